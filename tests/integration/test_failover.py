"""A replica is promoted: the relay finds the new primary, loses nothing that it waited for, and keeps the window."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ResponseError

from relay.context import open_relay
from relay.domain.budget import Limit
from relay.domain.errors import FencedError, SettingError, StoreNotDurableError, StoreUnavailableError
from relay.domain.registration import RegistrationState
from relay.domain.slots import Report
from relay.store import keys
from relay.store.dialing import connection_pool
from relay.store.keys import LaneKind, LaneName
from relay.store.lanes import AHEAD_MS, Grants, LaneStore, Rate, TurnRequest
from relay.store.store import Store
from relay.store.write import Fence
from tests.conftest import assert_nothing_forgotten
from tests.support import relays
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import Upstream, all_delivered, counted, states, wish, working
from tests.support.replicas import NAME, Pair, pair_in, sentinel_of

LANE = LaneName(LaneKind.POLL, "default")
RATE = Rate(Limit(5, 0.2), None, timeout_s=1.5)
CALLBACK = "http://127.0.0.1:9/hook"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_in(tmp_path) as pair:
        yield pair


@pytest.fixture
async def sentinel(pair: Pair, tmp_path: Path) -> AsyncIterator[str]:
    async with sentinel_of(pair, tmp_path) as address:
        yield f"redis+sentinel://127.0.0.1:1,{address}/{NAME}"  # the first one is down


async def test_a_sentinel_says_where_the_primary_is_and_where_it_is_after_its_death(
    pair: Pair, sentinel: str, upstream: Upstream, receiver: Receiver
) -> None:
    settings = relays.settings(sentinel, upstream_url=upstream.url)
    async with open_relay(settings) as relay, working(relay):
        before = await wish(relay, "before", receiver.url())
        await wait_until(lambda: all_delivered(relay, [before.id]))
        await wait_until(pair.in_sync)
        await pair.primary.kill()
        await wait_until(lambda: written(relay.store), within_s=30)
        after = await wish(relay, "after", receiver.url())
        await wait_until(lambda: all_delivered(relay, [after.id]))

    assert receiver.ids == [before.id, after.id]
    await assert_nothing_forgotten(pair.replica)


async def written(store: Store) -> bool:
    try:
        await store.ask("SET", "written", 1, "PX", 1)
    except StoreUnavailableError:
        return False
    return True


async def test_a_primary_that_was_demoted_is_left_for_the_new_one(pair: Pair, tmp_path: Path) -> None:
    async with (
        sentinel_of(pair, tmp_path) as address,
        aclosing(Store(connection_pool(f"redis+sentinel://{address}/{NAME}/0"))) as store,
    ):
        assert await written(store)
        await wait_until(lambda: switching(address))
        await wait_until(lambda: served_at(store, pair.ports[1]))
        assert await written(store)


async def served_at(store: Store, port: int) -> bool:
    try:
        return f"tcp_port:{port}\r".encode() in await store.ask("INFO", "server")
    except StoreUnavailableError:
        return False


async def test_a_connection_to_what_is_read_only_is_dropped(pair: Pair) -> None:
    async with aclosing(Store(connection_pool(pair.urls[0]))) as store:
        assert await written(store)
        before = await store.ask("CLIENT", "ID")
        await pair.promote()
        assert (await role(store, "slave"), await store.ask("CLIENT", "ID")) == (True, before)  # it answers reads
        assert not await written(store)
        assert await store.ask("CLIENT", "ID") != before


async def switching(sentinel: str) -> bool:
    """Have the Sentinel promote the replica; it does once it knows that one to be good."""
    async with Redis.from_url(f"redis://{sentinel}") as asked:
        try:
            return bool(await asked.sentinel_failover(NAME))
        except ResponseError:
            return False


async def role(store: Store, expected: str) -> bool:
    return f"role:{expected}".encode() in await store.ask("INFO", "replication")


async def test_what_waits_for_a_replica_is_there_when_it_is_promoted_under_load(pair: Pair) -> None:
    first, second = (
        relays.settings(url, store_wait_replicas=count) for url, count in zip(pair.urls, (1, 0), strict=True)
    )
    acknowledged: list[str] = []
    async with open_relay(first) as relay:

        async def load(client: int) -> None:
            for number in range(10_000):
                try:
                    acknowledged.append((await wish(relay, f"{client}-{number}", CALLBACK)).id)
                except StoreUnavailableError:
                    return  # the primary is one no longer

        loading = [asyncio.create_task(load(client)) for client in range(8)]
        await wait_until(lambda: len(acknowledged) > 200)
        await pair.promote()
        await asyncio.gather(*loading)
    async with open_relay(second) as relay:
        assert await states(relay, acknowledged) == {RegistrationState.PENDING}
        assert len(await relay.store.registrations(tuple(acknowledged))) == len(acknowledged) > 200


async def test_without_a_replica_that_has_it_nothing_is_acknowledged_not_even_what_was_there(pair: Pair) -> None:
    settings = relays.settings(pair.urls[0], store_wait_replicas=1)
    async with open_relay(settings) as relay, open_relay(settings) as another:
        pair.replica.freeze()
        errors = counted("relay_store_errors_total")
        for told in (relay, another):
            started = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="0 of 1 replicas"):
                await wish(told, "task", CALLBACK)
            assert time.monotonic() - started < 2.0
        assert counted("relay_store_errors_total") >= errors + 2
        pair.replica.thaw()
        await wait_until(lambda: written(another.store))  # it acknowledges once it has caught up
        registration = await wish(another, "task", CALLBACK)
        await wait_until(pair.in_sync)
        assert await pair.replica.ask("EXISTS", keys.registration(registration.id)) == 1


async def test_a_store_that_lacks_the_replicas_to_wait_for_is_not_durable(pair: Pair) -> None:
    with pytest.raises(StoreNotDurableError, match="1 replicas are connected, not 2"):
        async with open_relay(relays.settings(pair.urls[0], store_wait_replicas=2)):
            pass


# ---------------------------------------------------------------------- the window after the switch


async def taken(store: Store, holder: str) -> tuple[LaneStore, Fence]:
    await store.ask("ZADD", keys.LANES, "XX", 1, str(LANE))
    lanes = LaneStore(store, holder)
    fence = await lanes.acquire(LANE)
    assert fence is not None
    return lanes, fence


async def turn(lanes: LaneStore, fence: Fence) -> Grants:
    told = TurnRequest(
        elapsed_ms=10**9, want=100, since=0, slots=Report(1, 0, []), looks={}, statuses={}, all_changes=False,
        earliest_ms=0,
    )  # fmt: skip
    return await lanes.turn(fence, RATE, told)


async def test_slots_that_were_lost_with_the_old_primary_are_held_all_the_same(pair: Pair) -> None:
    async with (
        aclosing(Store(connection_pool(pair.urls[0]))) as old,
        aclosing(Store(connection_pool(pair.urls[1]))) as new,
    ):
        lanes, fence = await taken(old, "first")
        await wait_until(pair.in_sync)
        await pair.replica.ask("REPLICAOF", "NO", "ONE")
        assert sum(count for *_, count in (await turn(lanes, fence)).slots) == 5  # the new primary never hears of them
        heirs, heir = await taken(new, "second")
        after = await turn(heirs, heir)
        assert (after.slots, after.in_use) == ([], 5)
        assert after.next_free_ms is not None
        assert after.next_free_ms >= AHEAD_MS + 1_500 + 200

        later, fence_of_later = await taken(new, "third")  # once is enough
        assert await new.ask("HEXISTS", keys.lane(LANE), "unsure") == 0
        with pytest.raises(FencedError):
            await turn(heirs, heir)
        assert (await turn(later, fence_of_later)).slots == []


async def test_a_restart_is_no_promotion(pair: Pair) -> None:
    async with aclosing(Store(connection_pool(pair.urls[0]))) as store:
        await taken(store, "first")
        await pair.primary.kill()
        await pair.primary.server.start()
        await wait_until(lambda: written(store))
        lanes, fence = await taken(store, "second")
        assert (await turn(lanes, fence)).slots != []


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://127.0.0.1:26379",
        "redis+sentinel://127.0.0.1:26379/",
        "redis+sentinel://127.0.0.1:26379/name/first",
        "redis+sentinel://127.0.0.1:port/name",
        "redis+sentinel://127.0.0.1:26379,,127.0.0.1:26380/name",
        "redis+sentinel://127.0.0.1/name?sentinel_passwort=x",
    ],
)
def test_a_wrong_sentinel_url_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingError, match="RELAY_REDIS_URL"):
        connection_pool(url)


def test_a_sentinel_url_names_everything() -> None:
    pool = connection_pool("redis+sentinel://u%40:p%3A@[::1],two:26380/name/3?sentinel_password=s%20s")
    assert isinstance(pool, SentinelConnectionPool)
    sentinels = [redis.connection_pool.connection_kwargs for redis in pool.sentinel_manager.sentinels]
    assert [(told["host"], told["port"], told["password"]) for told in sentinels] == [
        ("::1", 26_379, "s s"), ("two", 26_380, "s s"),
    ]  # fmt: skip
    kwargs = pool.connection_kwargs
    assert (kwargs["username"], kwargs["password"], kwargs["db"], pool.service_name) == ("u@", "p:", 3, "name")
