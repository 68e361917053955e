"""Commands of the relay as somebody at a terminal starts them: standard output and error are one pseudo-terminal."""

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.commands import COMMAND, environment


class Terminal:
    """A terminal in which one command runs; `shown` is all that it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self._process = process
        self._screen = screen
        self.shown = ""

    def until(self, words: str) -> None:
        """Read on until these words are there."""
        while words not in self.shown:
            assert self._read(), self.shown

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        return self._process.wait()

    def press_ctrl_c(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def _read(self) -> bool:
        try:
            read = os.read(self._screen, 65_536)
        except OSError:  # nobody has the other end open any more
            return False
        self.shown += read.decode()
        return bool(read)


@contextmanager
def terminal(*arguments: object, **settings: object) -> Iterator[Terminal]:
    """Run `relay <arguments>` in a terminal while the block does; NO_COLOR is set only if the settings say so."""
    no_colour = settings.pop("no_color", None)
    variables = {name: value for name, value in environment(**settings).items() if name != "NO_COLOR"}
    if no_colour is not None:
        variables["NO_COLOR"] = str(no_colour)
    screen, other_end = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], env=variables, stdin=other_end, stdout=other_end, stderr=other_end
    ) as process:
        os.close(other_end)
        try:
            yield Terminal(process, screen)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(screen)
