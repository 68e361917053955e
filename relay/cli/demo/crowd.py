"""The demo's second part: many tasks at once."""

import asyncio
import time
from dataclasses import dataclass

from relay.cli.demo.stage import Say, Stage
from relay.cli.progress import Progress

LOOK_S = 0.1
AT_ONCE = 16
DEADLINE_S = 40.0
DEADLINE_PER_TASK_S = 1.0  # five polls, at 25 calls in 5 seconds


@dataclass(frozen=True)
class Crowd:
    """The tasks by RequestID with their registrations' ids, how long registering took, and the whole (seconds)."""

    registrations: dict[str, str]
    register_s: float
    took_s: float


async def show_crowd(stage: Stage, tasks: int, say: Say, progress: Progress) -> Crowd:
    """Submit and register them all, then wait until each has had its callback, or the time is out."""
    say(f"At once: {tasks}")
    began_at = time.perf_counter()
    free = asyncio.Semaphore(AT_ONCE)

    async def join() -> tuple[str, str]:
        async with free:
            request_id = await stage.submit()
            registration_id, _ = await stage.register(request_id)
            return request_id, registration_id

    registrations = dict(await asyncio.gather(*(join() for _ in range(tasks))))
    register_s = time.perf_counter() - began_at
    say(f"  submitted and registered in {register_s:.2f} s; the callbacks come")
    await _all_delivered(stage, set(registrations.values()), progress)
    return Crowd(registrations, register_s, time.perf_counter() - began_at)


async def _all_delivered(stage: Stage, expected: set[str], progress: Progress) -> None:
    began_at = time.perf_counter()
    deadline_s = DEADLINE_S + DEADLINE_PER_TASK_S * len(expected)
    missing = expected
    try:
        while missing and (passed_s := time.perf_counter() - began_at) < deadline_s:
            progress.show(f"  {passed_s:5.1f} s  {len(expected) - len(missing)} of {len(expected)} callbacks")
            await asyncio.sleep(LOOK_S)
            missing = expected - {received.webhook_id for received in stage.received if received.verified}
    finally:
        progress.clear()
