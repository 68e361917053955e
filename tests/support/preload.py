"""Preloaded libraries: what they make a real process believe of its disk and of its clock."""

import shutil
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def compiled(name: str, folder: Path) -> str:
    """Compile `name`.c of this folder, and return the path of the library."""
    library = folder / f"{name}.so"
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert cc is not None, "a C compiler is needed to deceive a process (on Debian: apt install gcc libc6-dev)"
    subprocess.run([cc, "-shared", "-fPIC", "-O1", "-o", library, HERE / f"{name}.c", "-ldl"], check=True)
    return str(library)


class Clock:
    """The wall clock of the processes that are started in `environment`; at first it is right."""

    def __init__(self, folder: Path, whose: str) -> None:
        self._file = folder / f"{whose}.ahead"
        self.environment = {"LD_PRELOAD": compiled("clock", folder), "CLOCK_AHEAD": str(self._file)}
        self._file.write_bytes(struct.pack("=q", 0))

    def jump(self, ahead_s: float) -> None:
        """Let it be so far ahead of the real time from now on, or behind it when negative."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", round(ahead_s * 1000)))


class SmallDisk:
    """The disk of a store that is started in `environment`: full from `fill` to `make_room`."""

    def __init__(self, folder: Path) -> None:
        self._flag = folder / "disk.full"
        self.environment = {"LD_PRELOAD": compiled("full", folder), "DISK_FULL": str(self._flag)}

    def fill(self) -> None:
        self._flag.touch()

    def make_room(self) -> None:
        self._flag.unlink()
