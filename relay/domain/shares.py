"""Shares: whose the pending tasks are, so that one client's burst does not bury another client's few."""

from collections.abc import Iterator
from itertools import islice

CHANGED = 2.0  # a part that is so many times what it was when its tasks were last weighed is news


class Shares:
    """The tasks of each client, by key, and the part of the whole that each client's tasks were weighed with.

    All tasks of a client are weighed with the same part, so that they stand in few classes; when it has changed much
    they are stale until `told` was asked about them again.
    """

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, None]] = {}
        self._parts: dict[str, float] = {}
        self._stale: dict[str, None] = {}
        self._count = 0

    def add(self, key: str, client: str) -> None:
        """Count a task in; one already counted is counted once."""
        keys = self._keys.setdefault(client, {})
        if key not in keys:
            keys[key] = None
            self._count += 1

    def drop(self, key: str, client: str) -> None:
        """Count a task out."""
        keys = self._keys.get(client, {})
        if key not in keys:
            return
        del keys[key]
        self._count -= 1
        self._stale.pop(key, None)
        if not keys:
            del self._keys[client]
            self._parts.pop(client, None)

    def told(self, key: str, client: str) -> float:
        """Return the part in (0, 1] to weigh this task with."""
        self._stale.pop(key, None)
        return self._parts.setdefault(client, self._part(client))

    def stale(self, *, at_most: int) -> list[str]:
        """Return keys to be weighed again: a client's part has changed, or was not all told of."""
        for client in list(self._changed()):
            self._parts[client] = self._part(client)
            self._stale.update(self._keys[client])
        return list(islice(self._stale, at_most))

    def _part(self, client: str) -> float:
        return max(1, len(self._keys.get(client, ()))) / max(1, self._count)

    def _changed(self) -> Iterator[str]:
        for client, part in self._parts.items():
            if not part / CHANGED < self._part(client) < part * CHANGED:
                yield client
