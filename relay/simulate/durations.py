"""Durations: how long things take, written as the sandbox writes them."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from random import Random
from re import fullmatch

_NUMBER = r"\d{1,9}(?:\.\d{1,6})?"
_UNITS_S = {"ms": 0.001, "s": 1.0, "": 1.0, "min": 60.0, "h": 3600.0}


def _lognormal(random: Random, median_s: float, sigma: float) -> float:
    return median_s * exp(random.gauss(0.0, sigma))


# How many numbers each kind is written with, and what it draws.
_KINDS: dict[str, tuple[int, Callable[..., float]]] = {
    "fixed": (1, lambda _random, seconds: seconds),
    "uniform": (2, Random.uniform),
    "exponential": (1, lambda random, mean_s: mean_s * random.expovariate(1.0)),
    "lognormal": (2, _lognormal),
}


@dataclass(frozen=True)
class Durations:
    """A distribution of seconds: fixed:S, uniform:LOW,HIGH, exponential:MEAN or lognormal:MEDIAN,SIGMA."""

    kind: str
    parameters: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "Durations":
        """Read `lognormal:10,0.7` and the like. Raises ValueError with what is wrong."""
        kind, _, numbers = text.partition(":")
        parts = numbers.split(",")
        if kind not in _KINDS or len(parts) != _KINDS[kind][0] or not all(fullmatch(_NUMBER, part) for part in parts):
            raise ValueError("write fixed:S, uniform:LOW,HIGH, exponential:MEAN or lognormal:MEDIAN,SIGMA, in seconds")
        return cls(kind, tuple(map(float, parts)))

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(f'{number:.6g}' for number in self.parameters)}"

    def draw_s(self, random: Random) -> float:
        """Return one duration in seconds."""
        return _KINDS[self.kind][1](random, *self.parameters)


def parse_seconds(text: str) -> float:
    """Read a time such as `80ms`, `0.5s` or `2min` in seconds. Raises ValueError with what is wrong."""
    match = fullmatch(rf"({_NUMBER})\s?(ms|s|min|h|)", text.strip())
    if match is None:
        raise ValueError("write a time such as 80ms, 0.5s or 2min")
    return float(match[1]) * _UNITS_S[match[2]]


def lognormal_of_mean(mean_s: float, sigma: float) -> Durations:
    """Return the lognormal distribution with this mean."""
    return Durations("lognormal", (mean_s * exp(-(sigma**2) / 2), sigma))
