"""A signing secret is changed under load, worker by worker, and no receiver ever sees a signature it cannot verify."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
import svix.webhooks
from standardwebhooks import Webhook

from relay.domain.signature import Secret
from tests.support.clock import wait_until
from tests.support.receiver import Received, Receiver, receiving
from tests.support.stand import Process, Stand, running, stand

OLD, NEW = Secret(b"o" * 32).text, Secret(b"n" * 32).text
EARLY, LATE = "/early", "/late"
ACCOUNTS = 6  # so that each worker delivers for some of them


@pytest.mark.timeout(240)
async def test_no_verification_fails_at_any_moment_of_a_rotation() -> None:
    async with stand("--durations", "fixed:0.1") as site, receiving() as receiver, loaded(site, receiver) as listen:
        switched_at: dict[str, int] = {}
        first, second = await asyncio.gather(start(site, OLD), start(site, OLD))
        await arrived(receiver, signatures=1, count=8)

        first = await replaced(site, first, f"{NEW},{OLD}")
        await arrived(receiver, signatures=2, count=3)  # while the other still signs with the old one alone
        second = await replaced(site, second, f"{NEW},{OLD}")
        switched_at[EARLY] = len(receiver.requests)
        await arrived(receiver, signatures=2, count=8)
        switched_at[LATE] = len(receiver.requests)

        first = await replaced(site, first, NEW)
        await arrived(receiver, signatures=1, count=3)
        second = await replaced(site, second, NEW)
        await arrived(receiver, signatures=1, count=8)
        heard = await ended(listen)

    for number, received in enumerate(receiver.requests):
        assert_verified(received, NEW if number >= switched_at[received.target] else OLD)
    both = [received for received in receiver.requests if signatures(received) == 2]
    for received in both:
        assert_verified(received, OLD)
        assert_verified(received, NEW)
    assert {signatures(received) for received in receiver.requests[switched_at[EARLY] : switched_at[LATE]]} == {2}
    assert heard.endswith(", 0 refused")


def assert_verified(received: Received, secret: str) -> None:
    """Let two verifiers that nobody here wrote raise unless it is signed with this secret."""
    Webhook(secret).verify(received.body, dict(received.headers))
    svix.webhooks.Webhook(secret).verify(received.body, dict(received.headers))


def signatures(received: Received) -> int:
    return len(received.headers["webhook-signature"].split(" "))


async def arrived(receiver: Receiver, *, signatures: int, count: int) -> None:
    """Wait until `count` more callbacks with so many signatures have come."""
    seen = len(receiver.requests)
    await wait_until(lambda: _with(receiver.requests[seen:], signatures) >= count, within_s=30)


def _with(requests: list[Received], wanted: int) -> int:
    return sum(signatures(received) == wanted for received in requests)


async def start(site: Stand, secret: str) -> Process:
    environment = site.environment | {"RELAY_SIGNING_SECRET": secret}
    return await site.stack.enter_async_context(running(("worker",), environment))


async def replaced(site: Stand, worker: Process, secret: str) -> Process:
    """Start a worker with this secret in the place of another."""
    made = await start(site, secret)
    worker.child.send_signal(signal.SIGTERM)
    await worker.child.wait()
    return made


@asynccontextmanager
async def loaded(site: Stand, receiver: Receiver) -> AsyncIterator[Process]:
    """Register all the time while the block runs, for two receivers and for `relay listen`, which is given."""
    api = await site.start("api")
    listen = await site.start("listen", "--port", "0", "--secret", OLD, "--secret", NEW)
    for number in range(ACCOUNTS):
        await site.add_account(api, f"a{number}")
    urls = [receiver.url(EARLY), receiver.url(LATE)] * 5 + [listen.url]

    async def register() -> None:
        for number in count():
            await site.register(
                api, request_id=f"task-{number}", callback_url=urls[number % 11], account=f"a{number % ACCOUNTS}"
            )
            await asyncio.sleep(0.1)  # a load of ten a second

    registering = asyncio.create_task(register())
    try:
        yield listen
    finally:
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)


async def ended(listen: Process) -> str:
    """Stop `relay listen`; return the summary with which it ends."""
    listen.child.send_signal(signal.SIGINT)
    assert listen.child.stdout is not None
    return (await listen.child.stdout.read()).decode().splitlines()[-1]
