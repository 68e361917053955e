"""`relay completion`: the script, and what a shell that has loaded it would be offered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RELAY = str(Path(sys.executable).parent / "relay")


def run(*arguments: str, **environment: str) -> str:
    done = subprocess.run([RELAY, *arguments], env=os.environ | environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_the_command_itself(shell: str) -> None:
    assert f"_RELAY_COMPLETE={shell}_complete" in run("completion", shell)


@pytest.mark.parametrize(
    ("words", "offered"),
    [("relay do", "doctor"), ("relay register 1 --oper", "--operation"), ("relay completion z", "zsh")],
)
def test_commands_options_and_values_are_offered(words: str, offered: str) -> None:
    told = run(_RELAY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    assert offered in [line.partition(",")[2] for line in told.splitlines()]
