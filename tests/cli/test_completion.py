"""`ser --install-completion`: Tab completes subcommands and options in the shell that ran it."""

import os
import shutil
import subprocess
import sys

import pytest

SER = f"'{sys.executable}' -m sercli"


def run(shell, command, home, **environment):
    """Run a command by a shell that stays its parent, which typer looks for."""
    return subprocess.run(
        [shell, "-c", f"{command}; code=$?; exit $code"],
        env=os.environ | {"HOME": str(home)} | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_after_installation(tmp_path):
    ser = tmp_path / "bin" / "ser"
    ser.parent.mkdir()
    ser.write_text(f'#!/bin/sh\nexec {SER} "$@"\n')
    ser.chmod(0o755)
    path = f"{ser.parent}{os.pathsep}{os.environ['PATH']}"
    installed = run("bash", "ser --install-completion bash", tmp_path, PATH=path)
    assert installed.returncode == 0, installed.stderr
    press_tab = (
        f'source "{tmp_path / ".bashrc"}"; COMP_WORDS=(ser ev); COMP_CWORD=1; _ser_completion ser ev; '
        'echo "${COMPREPLY[@]}"; COMP_WORDS=(ser predict --no); COMP_CWORD=2; _ser_completion ser --no; '
        'echo "${COMPREPLY[@]}"'
    )
    assert run("bash", press_tab, tmp_path, PATH=path).stdout.split() == ["evaluate", "--no-asr"]


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_a_shell_without_completion_is_the_users_matter(tmp_path):
    shell = tmp_path / "sh"
    shell.symlink_to(shutil.which("bash"))
    done = run(str(shell), f"{SER} --install-completion", tmp_path)
    assert (done.returncode, done.stdout) == (2, "Shell sh is not supported.\n")
    assert list(tmp_path.iterdir()) == [shell]
