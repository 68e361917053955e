"""A journal: what one recorder saw, as JSON lines, in the order in which it saw it."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Event = dict[str, Any]


class Journal:
    """Writes each event at once. `at` is this machine's monotonic clock, in seconds: one clock for all recorders."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, event: str, **fields: Any) -> None:
        """Record that this happened now."""
        self._file.write(json.dumps({"event": event, "at": time.monotonic(), **fields}) + "\n")


def read(paths: Iterable[Path]) -> Iterator[Event]:
    """Return the events of these journals, one journal after another."""
    for path in paths:
        for line in path.read_text().splitlines():
            yield json.loads(line)
