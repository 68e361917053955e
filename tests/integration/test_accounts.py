"""Accounts as the operator keeps them: by admin call, while workers poll."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay, open_relay
from relay.domain.gate import GatePolicy
from relay.settings import Settings
from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import ADMIN_KEY, UPSTREAM_KEY, Upstream, all_delivered, counted, wish, working
from tests.support.valkey import Valkey

KEY = "a-sentinel-upstream-key"


@asynccontextmanager
async def served(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        serving(create_app(relay), "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as admin,
    ):
        yield admin


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Call the API of a relay of its own: what it is told, workers hear from the store alone."""
    async with open_relay(settings) as relay, served(relay) as admin:
        yield admin


async def put(admin: httpx.AsyncClient, name: str, **fields: Any) -> Any:
    answer = await admin.put(f"/v1/accounts/{name}", json={"upstream_api_key": KEY} | fields)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


async def shown(admin: httpx.AsyncClient, name: str) -> Any:
    return (await admin.get(f"/v1/accounts/{name}")).json()


async def test_an_account_is_made_changed_shown_listed_and_removed(
    admin: httpx.AsyncClient, upstream: Upstream
) -> None:
    path, every_field = "/v1/accounts/second.account-2", {
        "upstream_api_key": KEY, "upstream_url": "https://upstream.example.com/", "limit": "10/1", "share": 0.5,
        "daily_limit": 10_000, "clients": ["bob", "alice"],
    }  # fmt: skip
    made = await admin.put(path, json=every_field)
    changed = await admin.put(path, json={"upstream_api_key": KEY})
    again = await admin.put(path, json=every_field)
    listed = (await admin.get("/v1/accounts")).json()["accounts"]
    removed = [await admin.delete(path), await admin.delete(path), await admin.get(path)]

    assert (made.status_code, changed.status_code, again.status_code) == (201, 200, 200)
    assert made.json() == again.json() == listed[1]
    assert made.json() == {
        "name": "second.account-2", "origin": "added", "upstream_url": "https://upstream.example.com", "limit": "10/1",
        "share": 0.5, "daily_limit": 10_000, "clients": ["alice", "bob"], "state": "open", "pause": None,
        "limit_learned": None, "limit_in_use": "5/1", "pending": 0, "delivering": 0, "calls_in_use": 0,
    }  # fmt: skip
    assert changed.json()["upstream_url"] == upstream.url
    assert changed.json()["clients"] is None
    assert [account["name"] for account in listed] == ["default", "second.account-2"]
    assert listed[0]["origin"] == "settings"
    assert [answer.status_code for answer in removed] == [204, 404, 404]


async def test_a_key_never_comes_out(admin: httpx.AsyncClient, valkey: Valkey) -> None:
    answers = [
        await admin.put("/v1/accounts/second", json={"upstream_api_key": KEY}),
        await admin.put("/v1/accounts/second", json={"upstream_api_key": KEY, "limit": KEY}),
        await admin.put("/v1/accounts/second", json={"upstream_api_key": f"{KEY}\n"}),
        await admin.put("/v1/accounts/second", json={"upstream_api_key": [KEY]}),
        await admin.get("/v1/accounts/second"),
        await admin.get("/v1/accounts"),
    ]
    assert [answer.status_code for answer in answers] == [201, 422, 422, 422, 200, 200]
    assert all(KEY not in answer.text for answer in answers)
    assert KEY.encode() not in b"".join((await valkey.ask("HGETALL", keys.ACCOUNTS)).values())


async def test_every_wrong_field_is_named_and_changes_nothing(admin: httpx.AsyncClient) -> None:
    wrong = {
        "upstream_api_key": "", "upstream_url": "ftp://a", "limit": 25, "share": 1.5, "daily_limit": 0,
        "clients": [""], "colour": "red",
    }  # fmt: skip
    answer = await admin.put("/v1/accounts/second", json=wrong)

    assert answer.status_code == 422
    assert {error["pointer"].split("/")[1] for error in answer.json()["errors"]} == wrong.keys()
    said = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert said["/limit"] == "write it as calls/seconds, both above zero, for example 25/5"
    assert (await admin.get("/v1/accounts/second")).status_code == 404
    assert (await admin.put("/v1/accounts/a%20b", json={"upstream_api_key": KEY})).status_code == 404


async def test_what_is_absent_is_as_in_the_default_account_whatever_that_is(admin: httpx.AsyncClient) -> None:
    before = await put(admin, "second", share=0.5)
    await put(admin, "default", upstream_url="https://elsewhere.example.com", limit="30/5", daily_limit=500)
    after = await shown(admin, "second")
    await put(admin, "default", upstream_api_key=UPSTREAM_KEY)
    at_last = await shown(admin, "second")

    assert (before["limit"], before["daily_limit"], before["limit_in_use"]) == ("50/1", None, "25/1")
    assert after == before | {
        "upstream_url": "https://elsewhere.example.com", "limit": "30/5", "daily_limit": 500, "limit_in_use": "15/5",
    }  # fmt: skip
    assert at_last == before


async def test_the_default_account_may_be_put_over_the_settings_and_back(
    admin: httpx.AsyncClient, relay: Relay
) -> None:
    added = await put(admin, "default", limit="5/1")
    account = await relay.account("default")
    assert account is not None
    assert (added["origin"], added["limit"], account.api_key) == ("added", "5/1", KEY)
    removed = await admin.delete("/v1/accounts/default")
    assert (removed.status_code, removed.json()["code"]) == (409, "in_settings")
    assert (await put(admin, "default", upstream_api_key=UPSTREAM_KEY))["origin"] == "settings"
    assert await shown(admin, "default") == added | {"origin": "settings", "limit": "50/1", "limit_in_use": "50/1"}


async def test_an_account_whose_key_can_no_longer_be_read_is_shown_as_such(
    admin: httpx.AsyncClient, valkey: Valkey
) -> None:
    await put(admin, "first")
    await put(admin, "second")
    await valkey.ask("HSET", keys.ACCOUNTS, "second", await valkey.ask("HGET", keys.ACCOUNTS, "first"))
    listed = {account["name"]: account["state"] for account in (await admin.get("/v1/accounts")).json()["accounts"]}
    assert listed == {"default": "open", "first": "open", "second": "unusable"}


# ---------------------------------------------------------------------- paused accounts


async def arrivals(upstream: Upstream, key: str = UPSTREAM_KEY) -> int:
    return int((await upstream.account(key))["arrivals"])


async def some_turns(relay: Relay, count: int = 3) -> None:
    """Wait until the default account's lane has taken so many turns."""
    lane, seen = keys.lane(LaneName(LaneKind.POLL, "default")), set[bytes]()

    async def turned() -> bool:
        seen.add(await relay.store.ask("HGET", lane, "turned"))
        return len(seen) > count

    await wait_until(turned)


@pytest.mark.parametrize(("fault", "reason"), [("401", "unauthorized"), ("403", "unauthorized"), ("404", "rejected")])
async def test_a_refused_account_is_paused_shown_everywhere_and_asked_no_more(
    relay: Relay, admin: httpx.AsyncClient, upstream: Upstream, receiver: Receiver, fault: str, reason: str
) -> None:
    await upstream.behave(faults=[fault])
    ids = [(await wish(relay, f"task-{number}", receiver.url())).id for number in range(8)]
    async with working(relay):
        await wait_until(lambda: paused(admin))
        asked = await arrivals(upstream)
        ids += [(await wish(relay, f"later-{number}", receiver.url())).id for number in range(8)]
        await some_turns(relay)
        account = await shown(admin, "default")
        ready = await admin.get("/readyz")
        assert counted("relay_accounts_paused") == 1
    async with working(relay):  # another holder goes on with the pause
        await some_turns(relay)
        assert await arrivals(upstream) == asked
        await upstream.behave(faults=[])
        await put(admin, "default", upstream_api_key="a mended key")  # asked again at once, not in a minute
        await wait_until(lambda: all_delivered(relay, ids))
        await wait_until(lambda: goes_on(admin))

    assert (account["state"], account["pause"]["reason"], account["pending"]) == ("paused", reason, 16)
    assert account["pause"]["since"] < account["pause"]["next_probe_at"]
    assert (ready.status_code, ready.json()["detail"]) == (200, f"the account default is paused: {reason}")
    assert {received.message["type"] for received in receiver.requests} == {"task.succeeded"}
    assert counted("relay_accounts_paused") == 0


async def paused(admin: httpx.AsyncClient) -> bool:
    return bool((await shown(admin, "default"))["state"] == "paused")


async def goes_on(admin: httpx.AsyncClient) -> bool:
    account, ready = await shown(admin, "default"), await admin.get("/readyz")
    return account["state"] == "open" and account["pause"] is None and ready.json()["detail"] == ""


async def test_few_refused_ids_do_not_keep_a_new_one_waiting(
    relay: Relay, admin: httpx.AsyncClient, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(faults=[{"fault": "404", "request_id": "bad"}])
    bad = await wish(relay, "bad", receiver.url())
    async with working(relay):
        await wait_until(lambda: paused(admin), within_s=40)
        good = await wish(relay, "good", receiver.url())
        await wait_until(lambda: all_delivered(relay, [good.id]))
        await wait_until(lambda: goes_on(admin))
        assert not await all_delivered(relay, [bad.id])


async def test_a_paused_account_is_probed_and_goes_on_by_itself(
    relay: Relay, admin: httpx.AsyncClient, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(faults=["401"])
    registration = await wish(relay, "task", receiver.url())
    async with working(replace(relay, gates=GatePolicy(probe_s=0.5))):
        await wait_until(lambda: paused(admin))
        probed = await arrivals(upstream)
        await wait_until(lambda: probed_again(upstream, probed + 2))
        await upstream.behave(faults=[])
        await wait_until(lambda: all_delivered(relay, [registration.id]))


async def probed_again(upstream: Upstream, count: int, key: str = UPSTREAM_KEY) -> bool:
    return await arrivals(upstream, key) >= count


# ---------------------------------------------------------------------- limits


def worst(arrived_at: list[float], window_s: float) -> int:
    """Return the most calls that arrived in any window."""
    return max(
        sum(first <= at < first + window_s for at in arrived_at[place:]) for place, first in enumerate(arrived_at)
    )


async def in_use(limit: int) -> bool:
    return counted("relay_upstream_budget_limit", account="default") == limit


@pytest.mark.parametrize(("before", "after"), [("20/1", "4/1"), ("4/1", "20/1"), ("20/1", "8/2")])
async def test_a_limit_is_changed_while_running_and_neither_is_exceeded(
    relay: Relay, admin: httpx.AsyncClient, upstream: Upstream, receiver: Receiver, before: str, after: str
) -> None:
    await upstream.behave(limit="1000/1")
    await upstream.plan("slow", stuck=True)
    await put(admin, "default", upstream_api_key=UPSTREAM_KEY, limit=before)
    await wish(relay, "slow", receiver.url())
    async with working(relay):
        await wait_until(lambda: probed_again(upstream, 12))
        unchanged = await arrivals(upstream)
        await put(admin, "default", upstream_api_key=UPSTREAM_KEY, limit=after)
        changed = await arrivals(upstream)
        await wait_until(lambda: probed_again(upstream, changed + 10))

    arrived_at = (await upstream.account())["arrived_at"]
    (calls, window_s), (new_calls, new_window_s) = (map(float, limit.split("/")) for limit in (before, after))
    assert worst(arrived_at[:unchanged], window_s) <= calls
    assert worst(arrived_at[changed:], new_window_s) <= new_calls
    assert worst(arrived_at, min(window_s, new_window_s)) <= max(calls, new_calls)


async def test_once_an_account_is_said_to_be_removed_nobody_polls_by_it(
    relay: Relay, admin: httpx.AsyncClient, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(limit="1000/1")
    await upstream.plan("slow", stuck=True)
    await put(admin, "second")
    for name in ("default", "second"):
        await wish(relay, "slow", receiver.url(), account=name)
    async with working(relay):
        await wait_until(lambda: probed_again(upstream, 12, key=KEY))
        removed = await admin.delete("/v1/accounts/second")
        calls, others = await arrivals(upstream, KEY), await arrivals(upstream)
        await wait_until(lambda: probed_again(upstream, others + 20))

    assert removed.status_code == 204
    assert await arrivals(upstream, KEY) == calls


async def test_a_learned_limit_is_used_and_shown_until_the_operator_says_another(
    relay: Relay, admin: httpx.AsyncClient, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(limit="10/1")
    await upstream.plan("slow", stuck=True)
    await wish(relay, "slow", receiver.url())
    async with working(relay):
        await wait_until(lambda: learned(admin, "10/1"))
        await wait_until(lambda: in_use(10))
        account = await shown(admin, "default")
        assert (account["limit"], account["limit_in_use"]) == ("50/1", "10/1")
        await upstream.behave(limit="30/1")
        await put(admin, "default", upstream_api_key=UPSTREAM_KEY, share=0.5)
        assert (await shown(admin, "default"))["limit_in_use"] == "5/1"
        await put(admin, "default", upstream_api_key=UPSTREAM_KEY, limit="50/1", share=0.5)
        assert (await shown(admin, "default"))["limit_learned"] is None
        await wait_until(lambda: in_use(25))


async def learned(admin: httpx.AsyncClient, limit: str) -> bool:
    return bool((await shown(admin, "default"))["limit_learned"] == limit)


async def test_a_hundred_accounts_are_listed_with_what_waits(
    relay: Relay, admin: httpx.AsyncClient, receiver: Receiver
) -> None:
    await asyncio.gather(*(put(admin, f"account-{number:03}") for number in range(100)))
    await wish(relay, "task", receiver.url(), account="account-007")
    listed = (await admin.get("/v1/accounts")).json()["accounts"]
    assert [account["name"] for account in listed] == [*(f"account-{number:03}" for number in range(100)), "default"]
    assert [account["name"] for account in listed if account["pending"]] == ["account-007"]
