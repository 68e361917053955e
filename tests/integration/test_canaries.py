"""No callback reaches inside: canaries on every loopback address, and everything that tries to get there."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from ipaddress import ip_network
from pathlib import Path
from random import Random

from relay.clients.callback import CallbackClient
from relay.domain.delivery import Outcome
from relay.domain.destination import DestinationPolicy
from tests.support.attempts import attempts
from tests.support.canaries import BODY, CLOSED, LOOPBACK, OPEN, canary, flips, raid
from tests.support.listener import OK, listener, status


async def test_a_canary_does_see_who_connects() -> None:
    async with canary() as listening:
        for host in ("127.0.0.1", "127.1.2.3", "::1", "0.0.0.0"):  # noqa: S104 - to connect to
            _, writer = await asyncio.open_connection(host, listening.port)
            writer.close()
        async with aclosing(CallbackClient(DestinationPolicy(allow=(ip_network("127.0.0.0/8"),)))) as client:
            await client.post(f"http://127.7.7.7:{listening.port}/", BODY, {}, now=0)
    assert set(listening.reached) == {"127.0.0.1", "127.1.2.3", "::1", "127.7.7.7"}


async def test_no_form_of_an_inside_address_gets_there() -> None:
    raided = await raid(LOOPBACK[:5])
    assert raided.calls == 5 * 2 * raided.forms
    assert (raided.forms >= 50, raided.admitted, raided.reached) == (True, {}, [])


async def test_a_name_that_changes_its_meaning_is_called_where_it_was_judged() -> None:
    flipped = await flips(100, Random(1))
    wanted = [Outcome.DELIVERED if meaning == [OPEN] else Outcome.REFUSED for meaning in flipped.meanings]
    assert flipped.outcomes == wanted  # so each attempt asked once
    assert set(flipped.reached) == {OPEN}
    assert len(flipped.reached) == wanted.count(Outcome.DELIVERED)


async def test_no_variable_of_the_environment_leads_a_callback_elsewhere(tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login canary password canary\n")
    async with canary() as listening, listener(OK) as receiver:
        names = [name + "_PROXY" for name in ("HTTP", "HTTPS", "ALL", "http", "https", "all", "SOCKS")]
        proxies = dict.fromkeys([*names, *(name.lower() for name in names)], f"http://{CLOSED}:{listening.port}")
        told = await attempts(
            [receiver.url] * 3, deadline_s=5, environment=proxies | {"HOME": str(tmp_path), "NETRC": str(netrc)}
        )
    assert told.outcomes == ["delivered"] * 3
    assert listening.reached == []
    assert not any(b"authorization" in request.lower() for request in receiver.requests)


async def test_a_chain_of_redirects_ends_at_its_first_link() -> None:
    async with canary() as listening, AsyncExitStack() as stack:
        url = f"http://{OPEN}:{listening.port}/"
        for line in ("301 A", "302 B", "303 C", "307 D", "308 E", "300 F"):
            moved = status(line, f"location: {url}", f"refresh: 0; url={url}", "set-cookie: a=b")
            link = await stack.enter_async_context(listener(moved))
            url = link.url
        told = await attempts([url] * 3, deadline_s=5)
    assert told.outcomes == ["redirect"] * 3
    assert listening.reached == []
