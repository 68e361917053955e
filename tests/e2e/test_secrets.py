"""A sentinel in every secret, everything forced to fail that can be, and then a search: it shows nowhere."""

import asyncio
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from redis.asyncio import Redis

from tests.support.clock import wait_until
from tests.support.commands import ended, running
from tests.support.listener import OK, listener, status
from tests.support.stand import Process, Stand, stand

CLIENT, ADMIN, UPSTREAM, ADDED, STORE = (f"sentinel-{name}-3f9c" for name in ("cli", "adm", "upstr", "added", "store"))
SIGNING = tuple(f"whsec_{b64encode(f'sentinel-signing-{n}-3f9c-padding!'.encode()).decode()}" for n in "ab")
ENCRYPTION = tuple(urlsafe_b64encode(f"sentinel-encryption-key-{n}-3f9ccc".encode()).decode() for n in "ab")
FAULTS = ("401", "403", "404", "429", "500", "reset", "garbage", "wrong_id", "huge", "truncated")
MARK = "this-is-to-be-found"


def forms(secret: str) -> Iterator[bytes]:
    """Return what a secret looks like wherever somebody writes it down."""
    raw = secret.encode()
    yield from (raw, b64encode(raw), urlsafe_b64encode(raw).rstrip(b"="), raw.hex().encode(), quote(secret).encode())
    if secret in (*SIGNING, *ENCRYPTION):
        key = b64decode(secret.removeprefix("whsec_"), altchars=b"-_" if secret in ENCRYPTION else None)
        yield from (key, key.hex().encode(), repr(key).encode()[2:-1])


EVERY_FORM = {
    form for secret in (CLIENT, ADMIN, UPSTREAM, ADDED, STORE, *SIGNING, *ENCRYPTION) for form in forms(secret)
}


def found(haystack: bytes) -> set[bytes]:
    return {form for form in EVERY_FORM if form in haystack}


@asynccontextmanager
async def sentinels() -> AsyncIterator[Stand]:
    """Set up a stand with a sentinel in every secret setting, which logs all that it can."""
    async with stand(
        "--durations",
        "fixed:0.1",
        RELAY_API_KEYS=f"stand:{CLIENT}",
        RELAY_ADMIN_KEY=ADMIN,
        RELAY_UPSTREAM_API_KEY=UPSTREAM,
        RELAY_SIGNING_SECRET=",".join(SIGNING),
        RELAY_ENCRYPTION_KEYS=",".join(ENCRYPTION),
        RELAY_LOG_LEVEL="DEBUG",
    ) as site:
        async with Redis.from_url(site.redis_url) as redis:
            await redis.config_set("requirepass", STORE)
        site.environment["RELAY_REDIS_URL"] = f"{site.redis_url}?password={STORE}"
        yield site


class Asked:
    """Calls of the API, and everything that they were answered."""

    def __init__(self, http: httpx.AsyncClient, api: Process) -> None:
        self._http, self._api = http, api
        self.answers: list[bytes] = []

    async def __call__(self, method: str, path: str, key: str = CLIENT, **request: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}", "connection": "close"}  # a 500 closes it in any case
        answer = await self._http.request(method, self._api.url + path, headers=headers, **request)  # type: ignore[arg-type]
        self.answers.append(repr(answer.headers).encode() + answer.content)
        return answer

    async def hear(self, lines: int) -> None:
        """Take in the first lines of what happened from the beginning on."""
        headers = {"authorization": f"Bearer {CLIENT}", "last-event-id": "0-0"}
        async with self._http.stream("GET", f"{self._api.url}/v1/events", headers=headers) as answer:
            heard = answer.aiter_lines()
            self.answers.extend([(await anext(heard)).encode() for _ in range(lines)])


async def refuse(asked: Asked) -> None:
    """Have the API refuse everything that it can."""
    for key in ("-", "wrong", ADMIN, SIGNING[0]):
        await asked("POST", "/v1/registrations", key, json={"request_id": "a", "callback_url": "https://a.example/"})
        await asked("PUT", "/v1/accounts/b", key, json={"upstream_api_key": "b"})
    wishes: tuple[Any, ...] = ({"request_id": 1}, {"metadata": 1}, [], "x", None)
    for wrong in wishes:
        await asked("POST", "/v1/registrations", json=wrong)
    for text in (b"{", b"\xff", b"x" * 70_000):
        await asked("POST", "/v1/registrations", content=text)
    for key_given in ({"x": ADDED}, [ADDED], ADDED * 100, 1, ""):
        await asked("PUT", "/v1/accounts/wrong", ADMIN, json={"upstream_api_key": key_given})
    await asked("PUT", "/v1/accounts/wrong", ADMIN, json={"upstream_api_key": ADDED, "limit": "none", "share": 7})
    for path in (
        "/v1/registrations/none",
        "/v1/accounts/none",
        "/none",
        "/console",
        "/docs",
        "/openapi.json",
    ):
        await asked("GET", path)
        await asked("DELETE", path)


async def deliver(site: Stand, asked: Asked) -> None:
    """Have polls answered with every fault, and deliveries end in every way."""
    faults = [{"fault": fault, "request_id": f"{MARK}-{fault}"} for fault in FAULTS]
    await site.http.put(f"{site.sandbox.url}/sandbox/behaviour", json={"faults": faults})
    moved, broken = status("302 A", "location: http://127.0.0.1/"), status("500 Oh", body=b"oh")
    async with listener(OK) as good, listener(moved) as elsewhere, listener(broken) as bad, listener(b"junk") as junk:
        urls = [bad.url, junk.url, elsewhere.url, f"https://127.0.0.1:{good.port}/", "http://127.0.0.1:9/"]
        wishes = [(f"{MARK}-{fault}", good.url) for fault in FAULTS]
        wishes += [
            (f"{MARK}-{number}", url) for number, url in enumerate([*urls, "https://no-such-name.invalid/", good.url])
        ]
        for request_id, url in wishes:
            for account in ("default", "added"):
                await asked(
                    "POST",
                    "/v1/registrations",
                    json={"request_id": request_id, "callback_url": url, "account": account},
                )
        await wait_until(lambda: len(good.requests) >= 2 and bad.connects and junk.connects and elsewhere.connects)
        await wait_until(lambda: all_polled(site))
        asked.answers.extend(good.requests)
        await asked.hear(20)


async def all_polled(site: Stand) -> bool:
    accounts = (await site.report())["accounts"]
    return all(accounts[key]["arrivals"] >= 2 * len(FAULTS) for key in (UPSTREAM, ADDED))


async def damage(site: Stand, asked: Asked, log: Path) -> None:
    """Write rubbish over records, and let API and worker meet it."""
    async with Redis.from_url(site.redis_url, password=STORE) as redis:
        await redis.execute_command("HSET", "relay:accounts", "damaged", "{rubbish", "locked", '{"api_key": "rubbish"}')
        async for key in redis.scan_iter("relay:*:reg:*"):
            await redis.set(key, b"1 {rubbish", keepttl=True)
    for path in ("/v1/accounts/damaged", "/v1/accounts/locked", "/v1/accounts"):
        await asked("GET", path, ADMIN)
    wish = {"request_id": "x", "callback_url": "http://127.0.0.1:9/", "account": "damaged"}
    assert (await asked("POST", "/v1/registrations", json=wish)).status_code == 500
    await wait_until(lambda: b'"bug"' in log.read_bytes() and b'"record_unreadable"' in log.read_bytes())


@pytest.mark.timeout(120)
async def test_no_secret_shows_in_logs_pages_metrics_answers_callbacks_or_the_store(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with sentinels() as site:
        api = await site.start("api", log=log)
        worker = await site.start("worker", log=log)
        asked = Asked(site.http, api)
        await asked("PUT", "/v1/accounts/added", ADMIN, json={"upstream_api_key": ADDED})
        await refuse(asked)
        await deliver(site, asked)
        for url in (f"{api.url}/metrics", f"{worker.url}/metrics", f"{api.url}/readyz", f"{worker.url}/readyz"):
            asked.answers.append((await site.http.get(url)).content)
        await damage(site, asked, log)
        await site.valkey.stop()
        await asked("POST", "/v1/registrations", json={"request_id": "x", "callback_url": "http://127.0.0.1:9/"})
        await asked("GET", "/readyz")
        settings = {name[6:].lower(): value for name, value in site.environment.items() if name.startswith("RELAY_")}
        doctored = await asyncio.to_thread(ended, "doctor", **settings)
        stored = b"".join(path.read_bytes() for path in site.valkey.data_dir.rglob("*") if path.is_file())
    logged = log.read_bytes()

    assert found(logged) == set()
    assert found(stored) == set()
    assert found(b"".join(asked.answers)) == set()
    assert found((doctored.out + doctored.err).encode()) == set()
    assert MARK.encode() in stored
    assert b"Traceback" in logged


RIGHT = {
    "redis_url": "redis://127.0.0.1:9/",
    "signing_secret": SIGNING[0],
    "encryption_keys": ENCRYPTION[0],
    "upstream_api_key": UPSTREAM,
    "upstream_url": "https://upstream.example",
}
WRONG = {
    "signing_secret": f"whsec_{STORE}",
    "encryption_keys": STORE,
    "api_keys": STORE,
    "admin_key": f"sha256={ADMIN}",
    "upstream_url": f"https://user:{UPSTREAM}@upstream.example",
    "upstream_keys": UPSTREAM,
}


@pytest.mark.parametrize("command", ["worker", "doctor"])
def test_wrong_settings_are_refused_without_being_repeated(command: str) -> None:
    done = ended(command, **(RIGHT | WRONG))
    told = done.out + done.err
    assert all(f"RELAY_{name.upper()}" in told for name in WRONG)
    assert (done.code, found(told.encode())) == (2 if command == "worker" else 1, set())


@pytest.mark.parametrize(
    "url", [f"amqp://:{STORE}@127.0.0.1/", f"redis://:{STORE}/@a:b/", f"redis://:{STORE}@127.0.0.1:9/"]
)
def test_a_store_that_cannot_be_had_is_told_without_its_password(url: str) -> None:
    done = ended("worker", **(RIGHT | {"redis_url": url}))
    assert done.code in {1, 2}
    assert found((done.out + done.err).encode()) == set()


def test_everything_in_one_process_prints_no_key_that_it_was_given(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "api_keys": f"stand:{CLIENT}",
        "signing_secret": SIGNING[0],
        "encryption_keys": ENCRYPTION[0],
    }
    with running("run", port=0, data_dir=tmp_path, log_level="DEBUG", **given) as process:
        stopped = process.stop()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert found((stopped.out + stopped.err).encode()) == set()
    assert found(stored) == set()
