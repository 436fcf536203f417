import os
import subprocess
import sys

import pytest

# In a process of its own: the setting cannot be taken back. The arrays are as large as a block's spectra.
PAGES = """
import resource
import numpy as np
from sercli._system import limits

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        arrays = [np.ones(1 << 17) for _ in range(4)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

{call}
pages()
print(pages())
"""


def fetched(call):
    done = subprocess.run([sys.executable, "-c", PAGES.format(call=call)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep memory by rules of their own")
def test_freed_memory_is_used_again_instead_of_fetched_from_the_system():
    assert fetched("limits.keep_freed()") < 0.1 * fetched("")


KERNELS = """
import torch
from sercli._system import limits

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

{call}
torch.set_num_threads(1)
convolution = torch.nn.Conv1d(80, 64, 3)
sound = torch.zeros(1, 80, 1000)
with torch.inference_mode():
    convolution(sound)
    before = resident_mb()
    for n in range(400, 600):
        convolution(sound[:, :, :n])
print(resident_mb() - before)
"""


def grown_mb(call):
    env = {k: v for k, v in os.environ.items() if not k.startswith("ONEDNN")}
    script = KERNELS.format(call=call)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    return float(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_memory_does_not_grow_with_each_new_length_of_sound():
    assert grown_mb("limits.set_environment(few_kernels=True)") < 0.5 * grown_mb("")


@pytest.mark.parametrize(("given", "kept"), [({}, "64"), ({"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "7"}, "7")])
def test_the_command_line_keeps_few_kernels_where_nobody_says_otherwise(given, kept):
    script = "import os, sys\nfrom sercli.cli import app\nsys.argv = ['ser', '--version']\ntry:\n    app.main()\n"
    script += "finally:\n    print(os.environ['ONEDNN_PRIMITIVE_CACHE_CAPACITY'])"
    env = {k: v for k, v in os.environ.items() if not k.startswith("ONEDNN")} | given
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split()[-1] == kept
