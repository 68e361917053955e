"""A client's registrations as a page: newest first, by state, account, operation and RequestID."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay
from relay.domain.account import Account
from relay.domain.budget import Limit
from relay.domain.listing import Listing
from relay.domain.registration import Registration, packed
from relay.lanes.poll_lane import PollLane
from relay.services.browse import browse
from relay.store import keys
from relay.store.index import SWEPT_AT_ONCE
from relay.store.keys import LaneKind, LaneName
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import ADMIN_KEY, Upstream, all_delivered, client_of, wish, working
from tests.support.valkey import Valkey

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
async def api(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url, client_of(url, "alice's key") as client:
        yield client


async def page(api: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await api.get("/v1/registrations", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ids(api: httpx.AsyncClient, **query: Any) -> list[str]:
    return [one["id"] for one in (await page(api, **query))["registrations"]]


async def all_pages(api: httpx.AsyncClient, **query: Any) -> list[str]:
    """Follow the cursors to the end, and return the ids in the order in which they came."""
    found: list[str] = []
    while True:
        one = await page(api, **query)
        found += [registration["id"] for registration in one["registrations"]]
        if one["next_cursor"] is None:
            return found
        query["cursor"] = one["next_cursor"]


async def wishes(relay: Relay, count: int, **fields: Any) -> list[Registration]:
    return [await wish(relay, f"task-{number}", URL, **fields) for number in range(count)]


async def test_a_page_is_newest_first_and_shows_each_as_it_is_shown_alone(api: httpx.AsyncClient, relay: Relay) -> None:
    made = await wishes(relay, 3)
    found = await page(api)

    assert [one["id"] for one in found["registrations"]] == [one.id for one in reversed(made)]
    assert found["next_cursor"] is None
    assert found["registrations"][0] == (await api.get(f"/v1/registrations/{made[-1].id}")).json()


async def test_nobody_sees_the_registrations_of_another_client(api: httpx.AsyncClient, relay: Relay) -> None:
    await wish(relay, "7", URL, client="bob")

    assert await ids(api) == await ids(api, request_id="7") == []


async def test_the_admin_sees_everybodys_and_whose_they_are(api: httpx.AsyncClient, relay: Relay) -> None:
    made = [
        await wish(relay, f"task-{number}", URL, client=client) for number in range(4) for client in ("alice", "bob")
    ]
    async with client_of(str(api.base_url), ADMIN_KEY) as admin:
        found = (await page(admin))["registrations"]
        first = await page(admin, limit=3)
        rest = await ids(admin, cursor=first["next_cursor"])

    assert [(one["id"], one["client"]) for one in found] == [(one.id, one.client) for one in reversed(made)]
    assert [*(one["id"] for one in first["registrations"]), *rest] == [one.id for one in reversed(made)]


@pytest.mark.parametrize("limit", [1, 2, 7, 1_000])
async def test_following_the_cursors_shows_everything_once_though_many_were_made_at_one_instant(
    api: httpx.AsyncClient, limit: int
) -> None:
    many = [{"request_id": f"task-{number}", "callback_url": URL} for number in range(20)]
    made = (await api.post("/v1/registrations/batch", json={"registrations": many})).json()["results"]
    found = await all_pages(api, limit=limit)

    assert sorted(found) == sorted(one["registration"]["id"] for one in made)
    assert found == await all_pages(api)


async def test_a_cursor_goes_on_where_it_was_though_registrations_move_and_come(
    api: httpx.AsyncClient, relay: Relay
) -> None:
    made = await wishes(relay, 4)
    first = await page(api, limit=2)
    await api.delete(f"/v1/registrations/{made[1].id}")
    await wish(relay, "newer", URL)

    assert await ids(api, cursor=first["next_cursor"]) == [made[1].id, made[0].id]


async def test_each_state_lists_its_own(
    api: httpx.AsyncClient, relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    receiver.answer("/gone", 410)
    await upstream.plan("stuck", stuck=True)
    delivered, dead = await wish(relay, "a", receiver.url()), await wish(relay, "b", receiver.url("/gone"))
    pending, cancelled = await wish(relay, "stuck", URL), await wish(relay, "c", URL)
    assert (await api.delete(f"/v1/registrations/{cancelled.id}")).status_code == 204
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [delivered.id]))
        await wait_until(lambda: is_listed(api, dead.id, "dead"))
    late = await wish(relay, "a", receiver.url("/late"))

    for state, one in (
        ("pending", pending), ("delivering", late), ("delivered", delivered), ("dead", dead), ("cancelled", cancelled),
    ):  # fmt: skip
        assert await ids(api, state=state) == [one.id]
    assert await ids(api) == [late.id, cancelled.id, pending.id, dead.id, delivered.id]


async def is_listed(api: httpx.AsyncClient, id_: str, state: str) -> bool:
    return id_ in await ids(api, state=state)


async def test_one_whose_task_has_just_been_settled_is_listed_as_delivering(
    api: httpx.AsyncClient, relay: Relay, receiver: Receiver
) -> None:
    one = await wish(relay, "a", receiver.url())
    fence = await relay.lanes.acquire(LaneName(LaneKind.POLL, "default"))
    assert fence is not None
    lane = PollLane(relay, fence, relay.default_account())
    polling = asyncio.create_task(lane.run())
    await wait_until(lambda: is_listed(api, one.id, "delivering"))
    lane.stop()
    await polling

    record = await relay.store.registration(one.id)
    assert record is not None
    assert record.state == "pending"
    assert await ids(api, state="pending") == []
    assert (await page(api))["registrations"][0]["state"] == "delivering"


async def test_filters_go_together(api: httpx.AsyncClient, relay: Relay) -> None:
    await relay.accounts.put(Account("second", "http://127.0.0.1:9", "k", Limit(5, 1.0)))
    plain = await wish(relay, "7", URL)
    other = await wish(relay, "7", URL, account="second")
    call = await wish(relay, "7", URL, account="second", operation="call.log")
    another = await wish(relay, "8", URL, account="second")

    assert await ids(api, account="second") == [another.id, call.id, other.id]
    assert await ids(api, request_id="7") == [call.id, other.id, plain.id]
    assert await ids(api, operation="lead.update") == [another.id, other.id, plain.id]
    assert await ids(api, request_id="7", account="second", operation="call.log", state="pending") == [call.id]
    assert await ids(api, request_id="7", state="dead") == []
    assert await all_pages(api, request_id="7", limit=1) == [call.id, other.id, plain.id]


async def test_a_filter_that_few_pass_ends_a_page_early_and_says_where_to_go_on(relay: Relay) -> None:
    wanted = await wish(relay, "call", URL, operation="call.log")
    await wishes(relay, 7)
    pages, cursor = [], None
    for _ in range(3):
        listing = Listing.parse([("operation", "call.log"), *([("cursor", cursor)] if cursor else [])])
        page = await browse(relay, ("alice",), listing, max_scanned=3)
        pages.append([shown.registration.id for shown in page.shown])
        cursor = page.next_after.cursor() if page.next_after else None

    assert (pages, cursor) == ([[], [], [wanted.id]], None)


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("state=lost", ["/state"]),
        ("limit=0&state=pending", ["/limit"]),
        ("limit=1001", ["/limit"]),
        ("limit=1e2", ["/limit"]),
        ("limit=", ["/limit"]),
        ("cursor=abc", ["/cursor"]),
        ("cursor=%C3%A4", ["/cursor"]),
        ("cursor=" + "A" * 33, ["/cursor"]),
        ("account=a%20b&operation=lead", ["/account", "/operation"]),
        ("request_id=", ["/request_id"]),
        ("status=pending", ["/status"]),
        ("state=pending&state=dead", ["/state"]),
    ],
)
async def test_a_wrong_filter_is_named(api: httpx.AsyncClient, query: str, pointers: list[str]) -> None:
    answer = await api.get(f"/v1/registrations?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


async def test_what_has_come_to_its_end_leaves_the_index(api: httpx.AsyncClient, relay: Relay, valkey: Valkey) -> None:
    ended, kept = await wish(relay, "a", URL), await wish(relay, "b", URL)
    for one in (ended, kept):
        await api.delete(f"/v1/registrations/{one.id}")
    await let_it_end(valkey, ended)
    assert await ids(api) == [kept.id]  # although nobody has swept yet
    assert await relay.index.sweep("alice") == 1
    assert await valkey.ask("ZRANGE", keys.index("alice")[4], 0, -1) == [packed(kept.id)]
    await let_it_end(valkey, kept)
    assert await relay.index.sweep("alice") == 1

    assert await valkey.ask("KEYS", "relay:index*") == await valkey.ask("KEYS", "relay:asked*") == []
    assert await relay.index.clients() == []


async def test_a_worker_sweeps_the_index_by_itself(relay: Relay, valkey: Valkey, api: httpx.AsyncClient) -> None:
    ended = await wish(relay, "a", URL)
    await api.delete(f"/v1/registrations/{ended.id}")
    await let_it_end(valkey, ended)
    async with working(relay):
        await wait_until(lambda: swept(relay))


async def swept(relay: Relay) -> bool:
    return await relay.index.clients() == []


async def test_a_wish_made_again_after_its_end_is_not_swept(
    api: httpx.AsyncClient, relay: Relay, valkey: Valkey
) -> None:
    first = await wish(relay, "a", URL)
    await api.delete(f"/v1/registrations/{first.id}")
    await let_it_end(valkey, first)
    again = await wish(relay, "a", URL)
    assert await relay.index.sweep("alice") == 0
    assert SWEPT_AT_ONCE > 0

    assert await ids(api, state="pending") == await ids(api, request_id="a") == [again.id]


async def let_it_end(valkey: Valkey, registration: Registration) -> None:
    """Let the record's time to live pass, as thirty days would."""
    name = registration.task_name
    await valkey.ask("DEL", keys.registration(registration.id), keys.body(registration.id), keys.task(name))
    await valkey.ask("DEL", keys.status(name))
    ends = keys.index(registration.client)[-1]
    await valkey.ask("ZADD", ends, "XX", 1, packed(registration.id) + keys.bucket(name.request_id).encode())
