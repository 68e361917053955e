"""Dice: the only randomness of a simulation. The same seed gives the same world, call for call."""

from random import Random


def dice(seed: int, topic: str) -> Random:
    """Return the dice of one topic: what one topic draws never shifts what another one draws."""
    return Random(f"{seed}/{topic}")  # noqa: S311 - a seeded play, not a secret
