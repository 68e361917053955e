"""Power cuts: what a disk keeps of a store whose machine lost power is what was fsynced, and no byte more."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.valkey import Valkey

SOURCE = Path(__file__).with_name("fsynced.c")


class Disk:
    """Notes what the store fsyncs, by a library that it preloads; `environment` is what makes it do so."""

    def __init__(self, folder: Path) -> None:
        library, self._log = folder / "fsynced.so", folder / "fsynced.log"
        cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        assert cc is not None, "a C compiler is needed to see what was fsynced (on Debian: apt install gcc)"
        subprocess.run([cc, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "FSYNC_LOG": str(self._log)}

    def unsynced(self, valkey: Valkey) -> dict[Path, int]:
        """Return, for each file of the AOF, how many of its bytes a power cut would take now."""
        kept: dict[str, int] = {}
        for line in self._log.read_text().splitlines():
            length, _, name = line.partition(" ")
            kept[name] = int(length)
        files = (valkey.data_dir / "appendonlydir").glob("*.incr.aof")
        return {path: max(0, path.stat().st_size - kept.get(str(path), 0)) for path in files}

    async def cut_power(self, valkey: Valkey) -> int:
        """Kill the store and cut its AOF back to what was fsynced; return how many bytes that took."""
        await valkey.kill()
        taken = self.unsynced(valkey)
        for path, bytes_ in taken.items():
            os.truncate(path, path.stat().st_size - bytes_)
        return sum(taken.values())


async def cut_off(valkey: Valkey, bytes_: int) -> None:
    """Kill the store and cut so many bytes off its AOF, fsynced or not: what no honest disk does."""
    await valkey.kill()
    for path in (valkey.data_dir / "appendonlydir").glob("*.incr.aof"):
        os.truncate(path, max(0, path.stat().st_size - bytes_))
