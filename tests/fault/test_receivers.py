"""Receivers of every class, followed through the whole schedule on clocks that jump to each next attempt."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from relay.domain.delivery import RetryPolicy
from tests.fault.conftest import Stage
from tests.support.clock import wait_until
from tests.support.history.client import Party
from tests.support.hostile import reset_after_200, say_nothing
from tests.support.listener import OK, Answer, Listener, certificate, listener, status
from tests.support.preload import Clock
from tests.support.scene import Scene

SCHEDULE_S, JITTER = RetryPolicy().delays_s, RetryPolicy().jitter
TIMEOUT_S = 2.0
LATE_S = 30.0  # each waits for the last of all before the clocks jump on

Shown = dict[str, Any]


@dataclass(frozen=True)
class Class:
    """A class of receivers: where one is, how each attempt ends there, and how the registration does.

    `asked` is the receiver's own record of what reached it, None where no request can.
    """

    url: str
    outcomes: frozenset[str]
    ends: tuple[str, str | None] = ("dead", "exhausted")
    attempts: int = len(SCHEDULE_S)
    asked: Listener | None = None

    def judge(self, shown: Shown) -> None:
        tries = shown["attempts"]
        assert (shown["state"], shown["death"]) == self.ends
        assert len(tries) == self.attempts
        assert {one["outcome"] for one in tries} <= self.outcomes
        for (before, after), delay_s in zip(pairwise(tries), SCHEDULE_S[1:], strict=False):
            waited_s = _unix_s(after["at"]) - _unix_s(before["at"]) - before["duration_s"]
            assert delay_s - 0.01 <= waited_s <= delay_s * (1 + JITTER) + LATE_S
        if self.asked is not None:
            assert self.attempts <= len(self.asked.requests) < 2 * self.attempts  # a kill breaks one off now and then
            assert len({request.partition(b"\r\n\r\n")[2] for request in self.asked.requests}) == 1
            assert all(shown["id"].encode() in request for request in self.asked.requests)


@asynccontextmanager
async def _receivers(folder: Path) -> AsyncIterator[dict[str, Class]]:
    async with AsyncExitStack() as stack:

        async def receiver(answer: bytes | Answer, outcome: str, **differs: Any) -> Class:
            asked = await stack.enter_async_context(listener(answer))
            return Class(asked.url, frozenset({outcome}), asked=asked, **differs)

        async with listener(OK) as closed:
            refused = closed.url
        secure = await stack.enter_async_context(listener(OK, certificate("localhost", folder).server))
        well = {"ends": ("delivered", None), "attempts": 1}
        yield {
            "well": await receiver(OK, "delivered", **well),
            "slow": await receiver(_slow, "delivered", **well),
            "200-then-reset": await receiver(reset_after_200, "delivered", **well),
            "410": await receiver(status("410 Gone"), "gone", ends=("dead", "gone"), attempts=1),
            "404": await receiver(status("404 Not Found"), "client_error"),
            "500": await receiver(status("500 Internal Server Error"), "server_error"),
            "loops": await receiver(status("302 Found", "location: /hook?a=b"), "redirect"),
            "black-hole": await receiver(say_nothing, "timeout"),
            "refused": Class(refused, frozenset({"connect_error"})),
            "bad-tls": Class(secure.url.replace("http:", "https:"), frozenset({"tls_error"})),
            "no-dns": Class("https://nobody.invalid/hook", frozenset({"dns_error", "timeout"})),  # no network: timeout
        }


async def _slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(TIMEOUT_S / 4)
    writer.write(OK)


@pytest.mark.timeout(3_600)
async def test_receivers_of_every_class_get_the_attempts_of_the_contract(stage: Stage, tmp_path: Path) -> None:
    clock = Clock(tmp_path, "relay")
    settings = {"RELAY_CALLBACK_TIMEOUT_S": str(TIMEOUT_S), **clock.environment}
    async with (
        _receivers(tmp_path) as classes,
        stage(workers=1, valkey_environment=clock.environment, **settings) as played,
    ):
        alice = played.client.parties[0]
        for name, one in classes.items():
            await played.client.insist(Party(alice.name, alice.key, one.url), name)
        for attempt in range(1, len(SCHEDULE_S) + 1):
            await _jump_to_the_next(played, clock, after=attempt)
        shown = await _all_shown(played)

    assert {one["request_id"] for one in shown} == classes.keys()
    for registration in shown:
        classes[registration["request_id"]].judge(registration)


async def _jump_to_the_next(played: Scene, clock: Clock, *, after: int) -> None:
    """Wait until so many attempts were made of each registration that is under way, and jump to the next ones."""

    async def tried() -> bool:
        under_way = [one for one in await _all_shown(played) if one["state"] in {"pending", "delivering"}]
        return all(len(one["attempts"]) >= after for one in under_way)

    await wait_until(tried, within_s=60)
    await played.kill(played.workers[0])  # a host's circuit is in its worker's memory, on a clock that does not jump
    due = [_unix_s(one["next_attempt_at"]) for one in await _all_shown(played) if one["next_attempt_at"]]
    if due:
        clock.jump(max(due) - time.time())
    await played.start_worker()


async def _all_shown(played: Scene) -> list[Shown]:
    return [await played.client.show(id_) for id_ in played.client.acknowledged]


def _unix_s(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
