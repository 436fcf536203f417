import subprocess
import sys

import pytest

# In a process of its own: the setting cannot be taken back. The arrays are as large as a block's spectra.
SCRIPT = """
import resource
import numpy as np
from sercli import memory

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
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(call=call)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep memory by rules of their own")
def test_freed_memory_is_used_again_instead_of_fetched_from_the_system():
    assert fetched("memory.keep_freed()") < 0.1 * fetched("")
