"""Commands of the relay as a shell starts them: processes with an environment of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

COMMAND = (sys.executable, "-m", "relay")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, decoded."""
        return orjson.loads(self.out)


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment with no settings of the relay but these: `port` is RELAY_PORT."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    return kept | {f"RELAY_{name.upper()}": str(value) for name, value in settings.items()}


def ended(*arguments: object, stdin: object = "", **settings: object) -> Ended:
    """Run `relay <arguments>` to its end, with `stdin` for it to read."""
    words = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(
        words, env=environment(**settings), input=str(stdin), capture_output=True, text=True, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Running:
    """A command under way; `url` is where it says, in its first line with a URL, that it listens."""

    def __init__(self, process: subprocess.Popen[str], *, said_on_stderr: bool) -> None:
        self._process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self.out = process.stdout
        self.err = process.stderr
        said = self.err if said_on_stderr else self.out
        words = (word for line in said for word in line.split())
        self.url = next(word for word in words if word.startswith("http://")).removesuffix("/")

    def stop(self) -> Ended:
        """Press Ctrl-C, and return how it ended and what it had still to say."""
        self._process.send_signal(signal.SIGINT)
        out, err = self._process.communicate()
        return Ended(self._process.returncode, out, err)


@contextmanager
def running(*arguments: object, said_on_stderr: bool = False, **settings: object) -> Iterator[Running]:
    """Run `relay <arguments>` while the block does."""
    words = [*COMMAND, *map(str, arguments)]
    with subprocess.Popen(
        words, env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Running(process, said_on_stderr=said_on_stderr)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


@contextmanager
def relaying(sandbox: Running, data_dir: Path, **settings: object) -> Iterator[Running]:
    """Run `relay run` of this sandbox while the block does; callbacks may go to loopback."""
    settings |= {"upstream_url": sandbox.url, "upstream_api_key": "key", "callback_allow": "127.0.0.0/8"}
    with running("run", said_on_stderr=False, data_dir=data_dir, port=0, **settings) as relay:
        yield relay
