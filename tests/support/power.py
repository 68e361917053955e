"""Power cuts: what a disk keeps of a store whose machine lost power is what was fsynced, and no byte more."""

import os
from pathlib import Path

from tests.support.preload import compiled
from tests.support.valkey import Valkey


class Disk:
    """Notes what the store fsyncs, by a library that it preloads; `environment` is what makes it do so."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "fsynced.log"
        self.environment = {"LD_PRELOAD": compiled("fsynced", folder), "FSYNC_LOG": str(self._log)}

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
