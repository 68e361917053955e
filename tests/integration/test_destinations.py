"""A refused destination has one word wherever it shows, and tells the client nothing of what lies inside."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import httpx
from structlog.testing import capture_logs

from relay.api.app import create_app
from relay.api.serving import serving
from relay.clients.callback import CallbackClient
from relay.clients.guard import Resolver
from relay.context import Relay
from relay.domain.destination import DestinationPolicy, Verdict
from tests.support.clock import wait_until
from tests.support.listener import OK, listener
from tests.support.nameserver import Nameserver, nameserver
from tests.support.relays import counted, wish, working

INSIDE = DestinationPolicy(allow=(ip_network("127.0.0.2/32"), ip_network("192.168.0.0/16")))
SPOKEN = {  # all but too_long: a text of that length is a wrong field already
    Verdict.CHARACTERS: "https://receiver.example/a b",
    Verdict.UNPARSABLE: "https:receiver.example",
    Verdict.SCHEME: "http://receiver.example/",
    Verdict.USERINFO: "https://user@receiver.example/",
    Verdict.HOST: "https://receiver.example./",
    Verdict.NUMERIC_HOST: "https://2130706433/",
    Verdict.PORT: "https://receiver.example:22/",
    Verdict.SCOPED: "https://[fe80::1%25eth0]/",
    Verdict.METADATA: "https://169.254.169.254/",
    Verdict.LOOPBACK: "https://[::1]/",
    Verdict.LINK_LOCAL: "https://169.254.0.1/",
    Verdict.PRIVATE: "https://10.0.0.1/",
    Verdict.MULTICAST: "https://224.0.0.1/",
    Verdict.RESERVED: "https://[64:ff9b::a00:1]/",
}

VARYING = {"date", "content-length", "x-request-id", "ratelimit"}


async def answers(relay: Relay, policy: DestinationPolicy, *urls: str) -> list[httpx.Response]:
    """Return what the API answers to a registration of each URL under this policy."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(create_app(replace(relay, destinations=policy)), "127.0.0.1", 0))
        headers = {"authorization": "Bearer alice's key"}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, trust_env=False))
        return [
            await http.post("/v1/registrations", json={"request_id": "abc", "callback_url": callback_url})
            for callback_url in urls
        ]


async def test_each_verdict_is_one_word_in_api_metric_and_log(relay: Relay) -> None:
    assert set(SPOKEN) == set(Verdict) - {Verdict.ALLOWED, Verdict.TOO_LONG}
    before = {verdict: counted("relay_destinations_refused_total", verdict=verdict) for verdict in SPOKEN}
    with capture_logs() as logs:
        answered = await answers(relay, DestinationPolicy(), *SPOKEN.values())

    assert [answer.json()["verdict"] for answer in answered] == list(SPOKEN)
    assert [log["verdict"] for log in logs if log["event"] == "destination_refused"] == list(SPOKEN)
    assert {v: counted("relay_destinations_refused_total", verdict=v) - before[v] for v in SPOKEN} == dict.fromkeys(
        SPOKEN, 1.0
    )


async def test_a_refusal_when_registered_differs_in_its_word_alone(relay: Relay) -> None:
    def without_word(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
        headers = {name: value for name, value in answer.headers.items() if name not in VARYING}
        return answer.status_code, headers, answer.text.replace(answer.json()["verdict"], "VERDICT")

    answered = await answers(relay, DestinationPolicy(), *SPOKEN.values())
    assert {answer.json()["code"] for answer in answered} == {"destination_refused"}
    assert len({str(without_word(answer)) for answer in answered}) == 1


async def test_registering_a_name_tells_nothing_of_what_it_means(relay: Relay) -> None:
    meanings = {"inside.example": ["127.0.0.1"], "outside.example": ["127.0.0.2"], "nowhere.example": []}
    async with nameserver(lambda name: meanings[name]) as dns, listener(OK) as canary, _resolving(dns) as client:
        urls = [f"http://{name}:{canary.port}/" for name in meanings]
        answered = await answers(replace(relay, callbacks=client), INSIDE, *urls)

    own = {"id", "callback_url", "registered_at", "deadline_at"}
    shown = [{name: value for name, value in answer.json().items() if name not in own} for answer in answered]
    assert [answer.status_code for answer in answered] == [201, 201, 201]
    assert shown[0] == shown[1] == shown[2]
    assert (dns.questions, canary.connects) == ([], 0)


async def test_a_refusal_when_due_says_its_verdict_to_the_operator_alone(relay: Relay) -> None:
    before = counted("relay_destinations_refused_total", verdict="loopback")
    async with (
        nameserver(lambda _: ["127.0.0.1"]) as dns,
        listener(OK) as canary,
        _resolving(dns) as client,
    ):
        guarded = replace(relay, callbacks=client, destinations=INSIDE)
        made = await wish(guarded, "abc", f"http://rebind.example:{canary.port}/")
        with capture_logs() as logs:
            async with working(guarded):
                await wait_until(lambda: _refused(logs))
        shown = await relay.store.registration(made.id)

    assert [(log["verdict"], log["outcome"]) for log in _refused(logs)] == [("loopback", "refused")]
    assert counted("relay_destinations_refused_total", verdict="loopback") - before == 1
    assert canary.connects == 0
    assert shown is not None
    assert [attempt.outcome for attempt in shown.attempts] == ["refused"]
    assert "loopback" not in repr(shown)


@asynccontextmanager
async def _resolving(dns: Nameserver) -> AsyncIterator[CallbackClient]:
    resolver = Resolver([dns.address])
    async with aclosing(resolver), aclosing(CallbackClient(INSIDE, resolve=resolver)) as client:
        yield client


def _refused(logs: Iterable[Any]) -> list[Any]:
    return [log for log in logs if log["event"] == "attempt_failed"]
