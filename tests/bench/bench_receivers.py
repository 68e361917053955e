"""Receivers: what bad ones, and a client that floods, cost those who are well.

    python -m tests.bench.bench_receivers [--seconds 15]

Callbacks to 100 receivers that answer at once become due all the time; their lag is from being due to the arrival of
the POST. First they are alone, which is the baseline; then a crowd becomes due at once, and they go on. One worker
process and one account; a crowd that hangs is of the same client as those who are well.
"""

import argparse
import asyncio
import os
import re
import secrets
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import islice

import uvloop
from redis.asyncio import Redis

from relay import log
from relay.clients.callback import CallbackClient
from relay.clients.guard import Resolver
from relay.context import Relay, open_relay
from relay.domain import message
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.registration import Registration, RegistrationState, registration_id
from relay.domain.task import TaskName
from relay.settings import Settings
from relay.store import keys
from relay.store.write import Write
from relay.worker import Worker
from tests.support.clock import wait_until
from tests.support.nameserver import Nameserver, nameserver
from tests.support.stand import Stand, running_python, stand

WELL = 100
RATE = 50.0  # callbacks a second to those who are well
HANGING_S = 30.0
BATCH = 100
STATUS = b'{"TaskType":"Lead Update","Status":"Success"}'
_ID = re.compile(rb"webhook-id: (\S+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
Due = tuple[str, str]  # client, name of the receiver


def spread(client: str, count: int, hosts: int, kind: str) -> list[Due]:
    return [(client, f"{kind}{number % hosts}") for number in range(count)]


SLOW = spread("steady", 1_000, 50, "slow")
CROWDS = {
    "5,000 to one host that hangs, 1,000 to 50 slow names": spread("steady", 5_000, 1, "hung") + SLOW,
    "5,000 to 500 hosts that hang, 1,000 to 50 slow names": spread("steady", 5_000, 500, "hung") + SLOW,
    "50,000 of another client to 100 receivers": spread("flood", 50_000, 100, "other"),
}


@dataclass
class Receivers:
    """Who answers at once, and who hangs."""

    well_port: int = 0
    hung_port: int = 0
    arrived_at: dict[str, float] = field(default_factory=dict)
    hanging: int = 0
    most_hanging: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.arrived_at.setdefault(_found(_ID, head), time.time())
                await reader.readexactly(int(_found(_LENGTH, head)))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def hang(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hanging += 1
        self.most_hanging = max(self.most_hanging, self.hanging)
        try:
            async with asyncio.timeout(HANGING_S):
                await reader.read(-1)
        except (TimeoutError, ConnectionError):
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        finally:
            self.hanging -= 1
            writer.close()

    def url(self, name: str, number: int) -> str:
        port = self.hung_port if name.startswith("hung") else self.well_port
        return f"http://{name}.test:{port}/hook/{number}"


def _found(pattern: re.Pattern[bytes], head: bytes) -> str:
    match = pattern.search(head)
    assert match is not None, head
    return match[1].decode()


class Bench:
    """Makes callbacks due, and knows when."""

    def __init__(self, relay: Relay, receivers: Receivers) -> None:
        self._relay = relay
        self._receivers = receivers
        self._run = secrets.token_hex(4)
        self._count = 0

    async def make_due(self, some: list[Due], *, in_s: float = 0.0) -> dict[str, float]:
        """Write them down, due in so many seconds, with one commit; return when that was, by id."""
        now, write, made = time.time(), Write(), dict[str, float]()
        for client, name in some:
            self._count += 1
            task = TaskName("default", Operation.LEAD_UPDATE, f"{self._run}-{self._count}")
            url = self._receivers.url(name, self._count)
            due = Registration(
                registration_id(client, task, url), client, task, url, now, now + 3_600,
                state=RegistrationState.DELIVERING, outcome=TaskOutcome.SUCCEEDED, final_at=now, due_at=now + in_s,
            )  # fmt: skip
            write.blob(keys.body(due.id), message.body(due, STATUS), kept=True)
            write.registration(due, now=now)
            made[due.id] = now
        assert await self._relay.store.commit(write) is None
        return made

    async def trickle(self, seconds: float) -> list[float]:
        """Keep those who are well busy for so long; return each callback's lag (seconds), sorted."""
        made: dict[str, float] = {}
        begun = time.monotonic()
        for number in range(round(seconds * RATE)):
            await asyncio.sleep(begun + number / RATE - time.monotonic())
            made |= await self.make_due([("steady", f"well{number % WELL}")])
        await wait_until(lambda: made.keys() <= self._receivers.arrived_at.keys(), within_s=60)
        return sorted(self._receivers.arrived_at[id_] - at for id_, at in made.items())

    async def prepare(self, crowd: list[Due]) -> list[str]:
        """Write the crowd down, to become due much later; return their ids."""
        everybody, ids = iter(crowd), list[str]()
        while some := list(islice(everybody, BATCH)):
            ids += await self.make_due(some, in_s=3_600)
        return ids

    async def fall_due(self, ids: list[str]) -> None:
        """Let all of them become due now."""
        now_ms, everybody = await self._relay.store.now_ms(), iter(ids)
        while some := list(islice(everybody, 10 * BATCH)):
            words = (word for id_ in some for word in (now_ms, id_))
            await self._relay.store.ask("ZADD", keys.due("default"), *words)


async def main(seconds: float) -> None:
    print(f"{WELL} receivers that are well, {RATE:.0f} callbacks a second to them; lags in ms\n")
    print("| crowd | alone p50 | alone p99 | beside it p50 | beside it p99 | max | p99 x alone | hanging at once |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    allow = "127.0.0.0/8,192.168.0.0/16"  # beyond loopback, so that names over http are taken
    async with stand(RELAY_CALLBACK_ALLOW=allow) as site, serving() as receivers, nameserver(_addresses) as dns:
        for name, crowd in CROWDS.items():
            await _flush(site)
            alone, beside = await _case(site, receivers, dns, crowd, seconds)
            ratio = percentile(beside, 99) / percentile(alone, 99)
            figures = [percentile(alone, 50), percentile(alone, 99), percentile(beside, 50), percentile(beside, 99)]
            told = " | ".join(f"{figure * 1000:.1f}" for figure in (*figures, beside[-1]))
            print(f"| {name} | {told} | {ratio:.2f} | {receivers.most_hanging} |", flush=True)
            receivers.most_hanging = 0


async def _case(
    site: Stand, receivers: Receivers, dns: Nameserver, crowd: list[Due], seconds: float
) -> tuple[list[float], list[float]]:
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(open_relay(Settings.from_environment(site.environment)))
        worker = ("-m", "tests.bench.bench_receivers", "--worker", dns.address)
        await stack.enter_async_context(running_python(worker, site.environment))
        bench = Bench(relay, receivers)
        waiting = await bench.prepare(crowd)
        await bench.trickle(2 * WELL / RATE)
        alone = await bench.trickle(seconds)
        beside, _ = await asyncio.gather(bench.trickle(seconds), bench.fall_due(waiting))
        return alone, beside


def percentile(lags: list[float], percent: int) -> float:
    return lags[min(len(lags) - 1, len(lags) * percent // 100)]


def _addresses(name: str) -> list[str] | None:
    return None if name.startswith("slow") else ["127.0.0.1"]


async def _flush(site: Stand) -> None:
    async with Redis.from_url(site.redis_url) as redis:
        await redis.flushall()


@asynccontextmanager
async def serving() -> AsyncIterator[Receivers]:
    receivers = Receivers()
    async with (
        await asyncio.start_server(receivers.answer, "127.0.0.1", 0) as well,
        await asyncio.start_server(receivers.hang, "127.0.0.1", 0) as hung,
    ):
        receivers.well_port, receivers.hung_port = (each.sockets[0].getsockname()[1] for each in (well, hung))
        yield receivers


async def work(address: str) -> None:
    """Be a worker that resolves names at this nameserver, until SIGTERM."""
    settings, stop = Settings.from_environment(os.environ), asyncio.Event()
    log.configure(settings.log_level)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        open_relay(settings) as relay,
        aclosing(CallbackClient(relay.destinations, resolve=Resolver([address]))) as callbacks,
    ):
        print(f"worker: resolving at http://{address}", flush=True)
        await Worker(replace(relay, callbacks=callbacks)).run(stop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    uvloop.run(work(arguments.worker) if arguments.worker else main(arguments.seconds))
