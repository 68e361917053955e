"""Crash points: off unless told, and a name that does not exist is refused."""

import os
import subprocess
import sys

import pytest

from relay import crash
from relay.crash import Point
from relay.domain.errors import SettingError

PASSES = "import sys; from relay import crash; crash.arm(sys.argv[1]); crash.reached('poll.answered', 'a:b', 'reg_1')"


def ended(where: str) -> int:
    """Return how a process ends that is told to die there, and passes `poll.answered` with two ids."""
    return subprocess.run([sys.executable, "-c", PASSES, where], check=False, env=os.environ).returncode


@pytest.mark.parametrize("where", ["poll.answered", "poll.answered:a:b", "poll.answered:reg_1"])
def test_a_process_is_killed_where_it_was_told_to_die(where: str) -> None:
    assert ended(where) == -9


@pytest.mark.parametrize("where", ["", "poll.picked", "poll.answered:a", "poll.answered:another"])
def test_a_process_passes_every_other_point_unharmed(where: str) -> None:
    assert ended(where) == 0


def test_a_point_that_does_not_exist_is_refused_and_those_that_do_are_named() -> None:
    with pytest.raises(SettingError, match=rf"no crash point poll\.anwsered.*{Point.POLL_ANSWERED}"):
        crash.arm("poll.anwsered:7ba60ab0")
