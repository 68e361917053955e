"""Commands at a real terminal: they colour there alone, show how far they are, and keep quiet for machines."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.commands import Running, ended, relaying, running
from tests.support.terminal import Terminal, terminal

ESCAPE = "\x1b["
GREEN = "\x1b[32m"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def relay(data_dir: Path) -> Iterator[Running]:
    with (
        running("sandbox", "--port", 0, "--durations", "fixed:0.5", "--mix", "success=1") as sandbox,
        relaying(sandbox, data_dir) as relay,
    ):
        yield relay


@pytest.fixture(params=["status", "doctor"])
def asked(request: pytest.FixtureRequest, relay: Running) -> tuple[str, ...]:
    """Give a command that colours what it says, and ends."""
    return ("status", "--url", relay.url) if request.param == "status" else ("doctor",)


def shown(*arguments: str, **settings: object) -> str:
    """Return what somebody saw at whose terminal the command ended well."""
    with terminal(*arguments, **settings) as screen:
        assert screen.end() == 0, screen.shown
        return screen.shown


def test_a_command_colours_at_a_terminal(asked: tuple[str, ...], data_dir: Path) -> None:
    assert GREEN in shown(*asked, data_dir=data_dir)


def test_a_command_colours_nothing_where_that_is_not_wanted(asked: tuple[str, ...], data_dir: Path) -> None:
    assert ESCAPE not in shown(*asked, data_dir=data_dir, no_color=1)
    assert ESCAPE in shown(*asked, data_dir=data_dir, no_color="")  # as no-color.org has it


def test_a_command_colours_nothing_for_a_machine_and_shows_it_no_progress(
    asked: tuple[str, ...], data_dir: Path
) -> None:
    said = shown(*asked, "--json", data_dir=data_dir)
    assert ESCAPE not in said
    assert said.startswith("{")
    assert "\r" not in said.removesuffix("\r\n")  # a terminal's end of a line


def test_a_command_colours_nothing_in_a_pipe_and_shows_no_progress(asked: tuple[str, ...], data_dir: Path) -> None:
    done = ended(*asked, data_dir=data_dir)
    assert (done.code, done.err) == (0, "")
    assert ESCAPE not in done.out
    assert "\r" not in done.out


def listening(screen: Terminal) -> str:
    """Return the URL at which the command says that it listens."""
    screen.until("/\r\n")
    return next(word for word in screen.shown.split() if word.startswith("http://"))


def test_who_waits_sees_how_far_it_is_and_the_receiver_what_is_verified(relay: Running, data_dir: Path) -> None:
    with terminal("listen", "--port", "0", data_dir=data_dir) as receiver:
        wish = ("register", str(uuid4()), "--callback", listening(receiver), "--url", relay.url, "--wait")
        said = shown(*wish, data_dir=data_dir)
        receiver.until("after registration")
        again = shown("redeliver", said.split()[0], "--url", relay.url, data_dir=data_dir)
        receiver.until("duplicate")
        receiver.press_ctrl_c()
        assert receiver.end() == 0

    assert "pending  polls: 0, attempts: 0, 0 s" in said  # how far it is
    assert "delivered  task.succeeded" in said.splitlines()[-1].rpartition("\r")[2]  # where that was written before
    assert ESCAPE not in said
    assert "\r1 of 1, 0 s" in again
    assert f"{GREEN}verified" in receiver.shown


def test_in_a_pipe_who_waits_is_told_the_beginning_and_the_end_alone(relay: Running, data_dir: Path) -> None:
    wish = ("register", str(uuid4()), "--callback", "http://127.0.0.1:1/", "--url", relay.url, "--wait", "0.3")
    done = ended(*wish, data_dir=data_dir)
    assert done.code == 1
    assert [line.split()[1] for line in done.out.splitlines()] == ["pending", "pending"]
    assert "\r" not in done.out + done.err


def test_who_waits_for_a_simulation_sees_which_limit_is_tried() -> None:
    load = ("--arrivals", "1/s", "--seconds", "120", "--find-limit", "20s")
    said = shown("simulate", *load)
    assert said.count("\rsimulating ") > 1
    assert "\r" not in shown("simulate", *load, "--json").replace("\r\n", "")
