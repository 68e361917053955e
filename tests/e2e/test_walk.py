"""The tutorial: the processes as deployed, and a registration's way through them. Read this first."""

import asyncio
from collections import Counter

import pytest

from tests.support.clock import wait_until
from tests.support.receiver import receiving
from tests.support.stand import SIGNING_SECRET, Process, Stand, stand

ACCOUNTS, REGISTRATIONS = 20, 1_000


async def test_a_task_submitted_upstream_ends_as_one_signed_callback() -> None:
    async with stand("--durations", "fixed:0.5") as site, receiving() as receiver:
        api, _ = await site.start("api"), await site.start("worker")
        submitted = await site.http.post(f"{site.sandbox.url}/lead/update", json=[], headers={"x-api-key": "default"})
        request_id = submitted.json()["RequestID"]

        made = await site.register(api, request_id=request_id, callback_url=receiver.url())
        await wait_until(lambda: receiver.requests)

        received = receiver.requests[0]
        received.verify(SIGNING_SECRET)
        assert received.id == made["id"]
        assert received.message["type"] == "task.succeeded"
        assert received.message["data"]["RequestID"] == request_id
        await wait_until(lambda: _has_state(site, api, made["id"], "delivered"))


@pytest.mark.timeout(150)
async def test_a_thousand_over_twenty_accounts_are_delivered_once_each_within_every_budget() -> None:
    async with stand("--durations", "lognormal:3,0.7", "--seed", "1") as site, receiving() as receiver:
        api = await site.start("api")
        await site.start("worker"), await site.start("worker")
        ids = await _register_all(site, api, receiver.url())

        await wait_until(lambda: len(receiver.requests) >= REGISTRATIONS, within_s=100)
        await wait_until(lambda: _all_delivered(site, api, ids))

        assert Counter(receiver.ids) == Counter(ids)
        await _assert_budgets_kept(site)


@pytest.mark.timeout(150)
async def test_killing_a_worker_in_the_middle_loses_nothing() -> None:
    async with stand("--durations", "lognormal:3,0.7", "--seed", "2") as site, receiving() as receiver:
        api = await site.start("api")
        doomed, _ = await site.start("worker"), await site.start("worker")
        ids = await _register_all(site, api, receiver.url())
        await wait_until(lambda: len(receiver.requests) > REGISTRATIONS // 4, within_s=60)

        doomed.child.kill()
        await wait_until(lambda: len(set(receiver.ids)) >= REGISTRATIONS, within_s=100)

        assert set(receiver.ids) == set(ids)
        bodies = {(received.id, received.body) for received in receiver.requests}
        assert len(bodies) == REGISTRATIONS
        await _assert_budgets_kept(site)


async def _register_all(site: Stand, api: Process, url: str) -> list[str]:
    for number in range(ACCOUNTS):
        await site.add_account(api, f"a{number}")

    async def some(first: int) -> list[str]:
        return [
            (await site.register(api, request_id=f"task-{n}", callback_url=url, account=f"a{n % ACCOUNTS}"))["id"]
            for n in range(first, REGISTRATIONS, 8)
        ]

    found = await asyncio.gather(*(some(first) for first in range(8)))
    return [id_ for ids in found for id_ in ids]


async def _has_state(site: Stand, api: Process, id_: str, state: str) -> bool:
    return bool((await site.registration(api, id_))["state"] == state)


async def _all_delivered(site: Stand, api: Process, ids: list[str]) -> bool:
    return all([await _has_state(site, api, id_, "delivered") for id_ in ids])


async def _assert_budgets_kept(site: Stand) -> None:
    accounts = (await site.report())["accounts"]
    assert len(accounts) >= ACCOUNTS
    assert max(account["worst_window"] for account in accounts.values()) <= 25
    assert all(not account["refused"] for account in accounts.values())
