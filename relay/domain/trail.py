"""Trail: when a task was asked about and what each answer meant, as text; `trail.lua` keeps the last hundred of it.

A trail is how many polls it leaves out (6 hex digits), and for each poll it keeps when the answer came (Unix
milliseconds, 11 hex digits) and the kind of the answer (a letter): 12 bytes, of which a million pending tasks may have
some each.
"""

from dataclasses import dataclass

from relay.domain.answer import AnswerKind

HEAD, POLL, INSTANT = 6, 12, 11
LETTERS = {
    AnswerKind.PENDING: "p",
    AnswerKind.FINAL: "f",
    AnswerKind.THROTTLED: "t",
    AnswerKind.REJECTED: "r",
    AnswerKind.UNAUTHORIZED: "a",
    AnswerKind.ERROR: "e",
    AnswerKind.TIMEOUT: "o",
    AnswerKind.UNUSABLE: "u",
}
_KINDS = {letter: kind for kind, letter in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Polled:
    """One poll: when its answer came (Unix seconds), and what it meant."""

    at: float
    kind: AnswerKind


@dataclass(frozen=True, slots=True)
class Trail:
    """The polls that are kept, oldest first, and how many before them are not."""

    left_out: int = 0
    polls: tuple[Polled, ...] = ()


def written(polled: Polled) -> str:
    """Return the poll as it stands in a trail."""
    return f"{whole_ms(polled.at):011x}{LETTERS[polled.kind]}"


def whole_ms(at: float) -> int:
    """Return the instant (Unix seconds) in whole milliseconds, what is begun not counted."""
    return int(at * 1000 + 1e-3)  # a thousandth is what a float has lost, at most


def read(trail: str) -> Trail:
    """Return the trail in a text; an empty one has nothing in it."""
    if not trail:
        return Trail()
    polls = [trail[at : at + POLL] for at in range(HEAD, len(trail), POLL)]
    return Trail(
        left_out=int(trail[:HEAD], 16),
        polls=tuple(Polled(int(one[:INSTANT], 16) / 1000, _KINDS[one[INSTANT]]) for one in polls),
    )
