"""The store and its one connection, on a real Valkey: records, many callers at once, outages and refusals."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from relay.domain.delivery import Outcome
from relay.domain.errors import SettingError, StoreNotDurableError, StoreUnavailableError
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.registration import Attempt, DeathReason, Registration, RegistrationState, after_task, registration_id
from relay.domain.task import Looks, Task, TaskName, TaskState
from relay.store import keys
from relay.store.counts import waiting
from relay.store.dialing import connection_pool
from relay.store.opening import weaknesses
from relay.store.store import Store
from relay.store.write import RETENTION_MS, Write
from tests.support.builders import NAME, NOW, URL, a_registration, a_task
from tests.support.clock import wait_until
from tests.support.relays import counted
from tests.support.valkey import Valkey, valkey_in

CALL = TaskName("default", Operation.CALL_LOG, "7:b ¶")
DEAD = a_registration(
    id=registration_id("bob", CALL, URL),
    task_name=CALL,
    submitted_at=NOW - 1.5,
    metadata='{"a":[1,"¶"]}',
    state=RegistrationState.DEAD,
    outcome=TaskOutcome.REJECTED,
    reason="http 404",
    final_at=NOW + 1,
    death=DeathReason.GONE,
    attempts=(Attempt(NOW, Outcome.TIMEOUT, None, 15.0), Attempt(NOW + 20, Outcome.GONE, 410, 0.01)),
)
FINAL = a_task(
    state=TaskState.FINAL,
    submitted_at=NOW - 1,
    looks=Looks(3, NOW, 1, NOW - 2, NOW - 1),
    errored_at=NOW,
    outcome=TaskOutcome.ERRORED,
    final_at=NOW,
)


async def saved(store: Store, *records: Task | Registration) -> None:
    write = Write()
    for record in records:
        if isinstance(record, Task):
            write.task(record, waiting=[after_task(a_registration(), record)] if record.settled else [])
        else:
            write.registration(record, now=NOW)
    assert await store.commit(write) is None


@pytest.mark.parametrize("task", [a_task(), FINAL], ids=["pending", "final"])
async def test_a_task_reads_back_as_it_was_written(store: Store, task: Task) -> None:
    await saved(store, a_registration(), task)
    assert await store.task(NAME) == replace(task, version=1)


@pytest.mark.parametrize(
    "registration", [DEAD, a_registration(state=RegistrationState.CANCELLED)], ids=["dead", "bare"]
)
async def test_a_registration_reads_back_as_it_was_written(store: Store, registration: Registration) -> None:
    await saved(store, registration)
    assert await store.registration(registration.id) == replace(registration, version=1)
    assert await store.registrations(("reg_no", registration.id)) == [replace(registration, version=1)]


async def test_what_is_not_there_is_none(store: Store) -> None:
    assert await store.registration("reg_no") is None
    assert await store.task(NAME) is None
    assert await store.task_status(NAME) is None
    assert await store.body("reg_no") is None
    assert await store.registrations(()) == []


async def test_only_what_is_settled_has_a_time_to_live(store: Store) -> None:
    await saved(store, a_task(), a_registration(), DEAD)
    assert await store.ask("PTTL", keys.task(NAME)) == -1
    assert await store.ask("PTTL", keys.registration(a_registration().id)) == -1
    assert RETENTION_MS - 60_000 < await store.ask("PTTL", keys.registration(DEAD.id)) <= RETENTION_MS


async def test_the_store_counts_what_waits(store: Store) -> None:
    due = replace(a_registration(), id="reg_1f" + "b" * 32, state=RegistrationState.DELIVERING, due_at=NOW)
    await saved(store, a_task(), a_registration(), due)
    found = (await waiting(store)).registrations
    assert found == dict.fromkeys(RegistrationState, 0) | {"pending": 1, "delivering": 1}


async def test_every_caller_gets_its_own_answer_over_one_connection(store: Store, valkey: Valkey) -> None:
    answers = await asyncio.gather(*(store.ask("ECHO", str(number)) for number in range(2_000)))
    assert answers == [str(number).encode() for number in range(2_000)]
    listed = (await valkey.ask("CLIENT", "LIST")).decode().splitlines()
    assert len(listed) == 2  # the store's, and the one that asks for the list


async def test_a_caller_that_gives_up_shifts_nobody_elses_answer(store: Store) -> None:
    asked = [asyncio.ensure_future(store.ask("ECHO", str(number))) for number in range(100)]
    await store.ask("PING")
    asked += [asyncio.ensure_future(store.ask("ECHO", str(number))) for number in range(100, 200)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    for number in range(100, 200, 3):
        asked[number].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    kept = [number for number, answer in enumerate(answers) if isinstance(answer, bytes)]
    assert set(range(100)) < set(kept)
    assert [answers[number] for number in kept] == [str(number).encode() for number in kept]


async def test_a_wrong_command_fails_alone(store: Store) -> None:
    asked = [("ECHO", "a"), ("HGET", "one word"), ("ECHO", "b")]
    answers = await asyncio.gather(*(store.link.ask(*words) for words in asked), return_exceptions=True)
    assert (answers[0], answers[2]) == (b"a", b"b")
    assert isinstance(answers[1], ResponseError)


async def test_a_store_that_forgot_the_scripts_is_taught_them_again(store: Store) -> None:
    await saved(store, a_task(), a_registration())
    await store.ask("SCRIPT", "FLUSH")
    await saved(store, DEAD)
    assert await store.registration(DEAD.id) is not None


async def test_closing_fails_what_is_under_way(valkey: Valkey) -> None:
    store = Store(connection_pool(valkey.url))
    waiting = asyncio.ensure_future(store.ask("BLPOP", "nothing", 0))
    await wait_until(lambda: blocked(valkey))
    await store.aclose()
    with pytest.raises(StoreUnavailableError):
        await asyncio.wait_for(waiting, 5)


async def blocked(valkey: Valkey) -> bool:
    return bool((await valkey.ask("INFO", "clients"))["blocked_clients"])


async def test_a_store_out_of_memory_refuses_all_of_a_write(store: Store, valkey: Valkey) -> None:
    await store.ask("PING")
    errors = counted("relay_store_errors_total")
    await valkey.ask("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailableError, match="maxmemory"):
            await saved(store, a_task(), a_registration())
    finally:
        await valkey.ask("CONFIG", "SET", "maxmemory", "0")
    assert await valkey.ask("DBSIZE") == 0
    assert counted("relay_store_errors_total") == errors + 1


async def test_a_dead_store_is_said_at_once_and_used_again_when_back(tmp_path: Path) -> None:
    async with valkey_in(tmp_path) as valkey, aclosing(Store(connection_pool(valkey.url))) as store:
        await saved(store, DEAD)
        await valkey.kill()
        outcomes = await asyncio.gather(*(store.registration(DEAD.id) for _ in range(50)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailableError}
        await valkey.start()
        assert await store.registration(DEAD.id) == replace(DEAD, version=1)


async def test_a_frozen_store_is_given_up_and_its_late_answers_are_nobodys(tmp_path: Path) -> None:
    async with valkey_in(tmp_path) as valkey, aclosing(Store(connection_pool(valkey.url))) as store:
        await store.ask("PING")
        valkey.freeze()
        with pytest.raises(StoreUnavailableError, match="TimeoutError"):
            await store.ask("ECHO", "late")
        valkey.thaw()
        assert await store.ask("ECHO", "new") == b"new"


async def test_a_store_that_could_lose_a_write_says_how(tmp_path: Path) -> None:
    async with (
        valkey_in(tmp_path, appendfsync="everysec", maxmemory_policy="allkeys-lru") as valkey,
        aclosing(Store(connection_pool(valkey.url))) as store,
    ):
        found = await weaknesses(store)
    assert found == ("appendfsync is everysec, not always", "maxmemory-policy is allkeys-lru, not noeviction")
    assert "everysec" in str(StoreNotDurableError(found))


async def test_what_a_store_will_not_say_is_not_believed(tmp_path: Path) -> None:
    async with valkey_in(tmp_path) as valkey, aclosing(Store(connection_pool(valkey.url))) as store:
        await store.ask("ACL", "SETUSER", "default", "-config")
        found = await weaknesses(store)
    assert found[0] == "appendonly is (hidden), not yes"
    assert len(found) == 3


async def test_the_relays_own_store_has_no_weakness(store: Store) -> None:
    assert await weaknesses(store) == ()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://localhost:port",
        "redis://:PLANTED@localhost:65536",
        "redis://:PLANTED@localhost/name",
        "redis://:PLANTED@localhost?sentinel=1",
        "rediss://:PLANTED@localhost?ssl_cert_reqs=perhaps",
        "redis://:PLANTED@localhost\u2100",
        "redis+sentinel://:PLANTED@localhost\u2100/name",
    ],
)
def test_a_wrong_url_is_a_wrong_setting_and_its_password_is_not_shown(url: str) -> None:
    with pytest.raises(SettingError, match="RELAY_REDIS_URL: ") as caught:
        connection_pool(url)
    assert "PLANTED" not in str(caught.value)
