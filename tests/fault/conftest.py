"""Seeds, rounds, and the table that a run prints: `make fault ROUNDS=100 SEED=7`."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest

from tests.support.history.checker import Verdict
from tests.support.scene import Scene, scene

SEED = int(os.environ.get("SEED") or SystemRandom().randrange(10_000))
ROUNDS = int(os.environ.get("ROUNDS") or 1)

Stage = Callable[..., AbstractAsyncContextManager[Scene]]
Tell = Callable[[Scene, Verdict, int], Verdict]

_rows: list[tuple[str, ...]] = []
_COUNTS = ("acknowledged", "unknown", "delivered", "dead", "duplicated")
_OFFENCES = ("lost", "unsettled", "false", "changed", "crossed", "window violations")
_HEADS = ("fault", "rounds", *_COUNTS, *_OFFENCES, "longest gap, s", "verdict")


def pytest_report_header() -> str:
    return f"fault: SEED={SEED} ROUNDS={ROUNDS}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not _rows:
        return
    terminalreporter.section(f"histories, SEED={SEED} ROUNDS={ROUNDS}")
    for row in (_HEADS, ("---",) * len(_HEADS), *_rows):
        terminalreporter.write_line(f"| {' | '.join(row)} |")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK  # each file has a pytest of its own: a choice may leave one without


@pytest.fixture
def rounds() -> range:
    return range(ROUNDS)


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Stage:
    """Set the scene of this test; its dice depend on the seed and the test's name alone."""
    print(f"SEED={SEED}")  # noqa: T201 - pytest shows it with a failure

    @asynccontextmanager
    async def set_scene(**options: Any) -> AsyncIterator[Scene]:
        async with scene(tmp_path, Random(f"{SEED} {request.node.name}"), **options) as made:
            yield made

    return set_scene


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Tell:
    """Put a verdict into the table; it is printed too, for when the test fails."""

    def tell(played: Scene, verdict: Verdict, times: int) -> Verdict:
        print(f"SEED={SEED} {request.node.name}\n{verdict}")  # noqa: T201 - pytest shows it with a failure
        offenders = {name: str(len(found)) for name, found in verdict.offenders.items()}
        gap = f"{max(played.recoveries_s):.1f}" if played.recoveries_s else ""
        _rows.append(
            (
                request.node.name.removeprefix("test_").replace("_", " "),
                str(times),
                *(str(getattr(verdict, name)) for name in _COUNTS),
                *(offenders[name] for name in _OFFENCES),
                gap,
                "VALID" if verdict.valid else "INVALID",
            )
        )
        return verdict

    return tell
