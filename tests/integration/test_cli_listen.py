"""`relay listen` as a process, and messages to it that are signed or not."""

import socket
import time
from collections.abc import Iterator

import httpx
import orjson
import pytest

from relay.domain.instant import rfc3339
from relay.domain.signature import Secret, sign
from tests.support.commands import Running, ended, running

SECRET = Secret(b"s" * 32)
OTHER = Secret(b"t" * 32)
MESSAGE = orjson.dumps(
    {
        "type": "task.failed",
        "data": {"RequestID": "abc", "TaskStatus": {"RequestBody": "somebody's name"}},
        "registration": {"registered_at": rfc3339(time.time() - 60)},
    }
)


@pytest.fixture(scope="module")
def listen() -> Iterator[Running]:
    with running("listen", "--port", 0, "--secret", OTHER.text, "--secret", SECRET.text) as process:
        yield process


def send(listen: Running, message_id: str, body: bytes = MESSAGE, *, by: Secret = SECRET) -> int:
    headers = sign([by], message_id=message_id, timestamp=int(time.time()), body=body)
    return httpx.post(f"{listen.url}/any/path", content=body, headers=headers, trust_env=False).status_code


def test_a_verified_callback_is_told_and_nothing_personal_with_it(listen: Running) -> None:
    assert send(listen, "reg_1") == 204
    words = listen.out.readline().split()
    assert words[1:5] == ["reg_1", "task.failed", "abc", "verified"]
    assert float(words[5]) >= 60
    assert " ".join(words[6:]) == "s after registration"


def test_the_second_with_one_id_is_marked(listen: Running) -> None:
    send(listen, "reg_2"), send(listen, "reg_2")
    assert "duplicate" not in listen.out.readline()
    assert listen.out.readline().endswith("duplicate\n")


def test_another_secret_is_refused_by_name_and_makes_no_duplicate(listen: Running) -> None:
    assert send(listen, "reg_3", by=Secret(b"u" * 32)) == 401
    assert listen.out.readline().split()[4] == "no_match"
    assert send(listen, "reg_3") == 204
    assert "duplicate" not in listen.out.readline()


def test_what_would_write_to_the_terminal_is_not_shown(listen: Running) -> None:
    assert send(listen, "reg_4", b'{"type": "\\u001b[2Jgone", "data": []}') == 204
    assert listen.out.readline().split()[1:] == ["reg_4", "-", "-", "verified"]


def test_a_body_over_the_cap_is_refused(listen: Running) -> None:
    assert send(listen, "reg_5", b"x" * (1 << 20)) == 204
    assert send(listen, "reg_5", b"x" * ((1 << 20) + 1)) == 413
    assert listen.out.readline().split()[4] == "verified"
    assert listen.out.readline().split()[4] == "too_large"


def test_no_colour_where_there_is_no_terminal_and_a_summary_at_the_end() -> None:
    with running("listen", "--port", 0, "--secret", SECRET.text, "--answer", 503) as listen:
        assert send(listen, "reg_1") == 503
        assert send(listen, "reg_1") == 503
        assert send(listen, "reg_2", by=OTHER) == 401
        stopped = listen.stop()
    assert (stopped.code, stopped.err) == (0, "")
    assert "\x1b" not in stopped.out
    assert stopped.out.splitlines()[-1] == "listen: 3 callbacks, 2 verified (1 of them duplicates), 1 refused"


def test_a_wrong_secret_is_a_usage_error_that_does_not_repeat_it() -> None:
    done = ended("listen", "--secret", "whsec_c2hvcnQ=")
    assert done.code == 2
    assert "24 to 64 bytes" in done.err
    assert "c2hvcnQ" not in done.err


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = ended("listen", "--port", port, "--secret", SECRET.text)
    assert done.code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.err
