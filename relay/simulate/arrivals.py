"""Arrivals: when tasks are submitted and registered, which is taken for one instant."""

from dataclasses import dataclass
from random import Random
from re import fullmatch
from typing import Protocol

_BATCH_S = 1.0  # a batch is submitted evenly over so many seconds
_NUMBER = r"(\d{1,9}(?:\.\d{1,6})?)"


class Arrivals(Protocol):
    """When tasks come."""

    def draw(self, random: Random, *, until_s: float) -> list[float]:
        """Return the instants of submission within `until_s` seconds from zero, in order."""


@dataclass(frozen=True)
class Steady:
    """Poisson arrivals: so many a second on the average, each independent of the others."""

    per_s: float

    def __str__(self) -> str:
        return f"{self.per_s:.6g}/s"

    def draw(self, random: Random, *, until_s: float) -> list[float]:
        arrived_at: list[float] = []
        at = random.expovariate(self.per_s)
        while at < until_s:
            arrived_at.append(at)
            at += random.expovariate(self.per_s)
        return arrived_at


@dataclass(frozen=True)
class Burst:
    """All at once, at the start."""

    count: int

    def __str__(self) -> str:
        return f"burst:{self.count}"

    def draw(self, random: Random, *, until_s: float) -> list[float]:  # noqa: ARG002 - nothing is left to chance
        return [0.0] * self.count


@dataclass(frozen=True)
class Batches:
    """`count` within a second, again and again each `every_s` seconds."""

    count: int
    every_s: float

    def __str__(self) -> str:
        return f"batches:{self.count}/{self.every_s:.6g}s"

    def draw(self, random: Random, *, until_s: float) -> list[float]:  # noqa: ARG002 - nothing is left to chance
        arrived_at: list[float] = []
        batch = 0
        while batch * self.every_s < until_s:
            arrived_at += [batch * self.every_s + _BATCH_S * place / self.count for place in range(self.count)]
            batch += 1
        return sorted(arrived_at)


def parse_arrivals(text: str) -> Arrivals:
    """Read `3/s`, `burst:5000` or `batches:200/100s`. Raises ValueError with what is wrong."""
    if (steady := fullmatch(rf"{_NUMBER}/s", text)) and float(steady[1]) > 0:
        return Steady(float(steady[1]))
    if (burst := fullmatch(r"burst:(\d{1,7})", text)) and int(burst[1]) > 0:
        return Burst(int(burst[1]))
    batches = fullmatch(rf"batches:(\d{{1,7}})/{_NUMBER}s", text)
    if batches and int(batches[1]) > 0 and float(batches[2]) > 0:
        return Batches(int(batches[1]), float(batches[2]))
    raise ValueError("write 3/s, burst:5000 or batches:200/100s, with numbers above zero")
