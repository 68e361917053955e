"""Waiting for what must come: a predicate asked again and again, with a deadline that only a failure meets."""

import asyncio
import inspect
from collections.abc import Callable

ASKED_EACH_S = 0.005


async def wait_until(holds: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Return once `holds()`, awaited if it can be, is true. After `within_s` raises AssertionError, which shows it."""
    try:
        async with asyncio.timeout(within_s):
            while not await _asked(holds):  # noqa: ASYNC110 - what is waited for lives in other processes too
                await asyncio.sleep(ASKED_EACH_S)
    except TimeoutError:
        raise AssertionError(f"still not so after {within_s:g} s: {inspect.getsource(holds).strip()}") from None


async def _asked(holds: Callable[[], object]) -> object:
    answer = holds()
    return await answer if inspect.isawaitable(answer) else answer
