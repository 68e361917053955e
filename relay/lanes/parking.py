"""Parking: which deliveries of one lane wait in the store, since too many wait at the same place already."""

from collections.abc import Callable, Iterable
from itertools import islice

from relay.domain.admission import party

BACKLOG = 32  # how many wait here, so that whoever gets room has the next at hand; more are parked
MAX_PARKED = 2_000  # a turn: a script takes some thousands of arguments, not more
MAX_RECALLS = 64  # places a turn
MAX_CROWDS = 16  # that are looked for in each record that is due


class Parking:
    """Parked deliveries by their place. `waiting` tells how many of the lane's wait here at a place."""

    def __init__(self, waiting: Callable[[str], int]) -> None:
        self._waiting = waiting
        self._places: set[str] = set()
        self._leaving: dict[str, str] = {}  # id -> place: to be parked with the next turn

    def __bool__(self) -> bool:
        return bool(self._places or self._leaving)

    def found(self, places: Iterable[str]) -> None:
        """Take in at which places an earlier holder of the lane has parked some."""
        self._places.update(places)

    def takes(self, place: str, *, recalled: bool) -> bool:
        """Whether a delivery that has to wait at the place is to be parked: behind those parked, unless recalled."""
        return (place in self._places and not recalled) or self._waiting(place) >= BACKLOG

    def park(self, id_: str, place: str) -> None:
        """Park it with the next turn."""
        self._leaving[id_] = place
        self._places.add(place)

    def leaving(self) -> list[tuple[str, str]]:
        """Return what is to be parked now: (place, id), not more than one turn takes."""
        return [(place, id_) for id_, place in islice(self._leaving.items(), MAX_PARKED)]

    def parked(self, left: Iterable[tuple[str, str]]) -> None:
        """Take in that these have been parked."""
        for _, id_ in left:
            del self._leaving[id_]

    def short(self, places: Iterable[str]) -> bool:
        """Whether one of the places has some parked, and few that wait here."""
        return any(place in self._places and self._waiting(place) <= BACKLOG // 2 for place in places)

    def crowds(self) -> list[str]:
        """Return hosts and clients that have some parked: whatever else of theirs is due is to be parked too."""
        return list(islice((place for place in self._places if any(party(place))), MAX_CROWDS))

    def recalls(self) -> list[tuple[str, int]]:
        """Return from which places to recall how many."""
        short = [place for place in self._places if self._waiting(place) <= BACKLOG // 2]
        return [(place, BACKLOG - self._waiting(place)) for place in short[:MAX_RECALLS]]

    def recalled(self, place: str, *, asked: int, came: int) -> None:
        """Take in how many a recall gave: fewer than asked for, and there are no more."""
        if came < asked:
            self._places.discard(place)
