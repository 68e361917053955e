"""One thing that `relay doctor` has looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What was found. Only `wrong` fails the doctor."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at (a setting's name, or a word for the thing), what was found, and how to mend it."""

    name: str
    verdict: Verdict
    detail: str
    mend: str = ""


def ok(name: str, detail: str) -> Check:
    return Check(name, Verdict.OK, detail)


def warning(name: str, detail: str, mend: str) -> Check:
    return Check(name, Verdict.WARNING, detail, mend)


def wrong(name: str, detail: str, mend: str) -> Check:
    return Check(name, Verdict.WRONG, detail, mend)
