"""Registrations: how many a second the API takes, durably, beside a bare Starlette endpoint in the same run.

And what a pending one weighs in the store: all of it, and what the client's index adds.

python -m tests.bench.bench_api [--seconds 5] [--weighed 20000]
"""

import argparse
import asyncio
import json
import time
from urllib.parse import urlsplit

import uvloop
from redis.asyncio import Redis

from relay.store import keys
from relay.store.write import EVENTS_KEPT
from tests.support.stand import CLIENT, CLIENT_KEY, Process, Stand, running_python, stand

BATCH = 1_000


async def main(seconds: float, weighed: int) -> None:
    async with stand() as site, running_python(("-m", "tests.bench.bare"), site.environment) as bare:
        api = await site.start("api")
        print(await _weights(site, api, weighed))
        print(
            "| clients | bare/s | bare CPU us | relay/s | relay CPU us | rate x bare | CPU x bare | p50 ms | p99 ms |"
        )
        print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        for clients in (16, 64):
            bare_rate, bare_us, _, _ = await _load(bare, clients, seconds, "b")
            rate, us, p50, p99 = await _load(api, clients, seconds, f"r{clients}")
            print(
                f"| {clients} | {bare_rate:.0f} | {bare_us:.0f} | {rate:.0f} | {us:.0f} "
                f"| {rate / bare_rate:.2f} | {bare_us / us:.2f} | {p50 * 1e3:.1f} | {p99 * 1e3:.1f} |"
            )


async def _weights(site: Stand, api: Process, count: int) -> str:
    """Return what each of so many pending registrations of one client weighs, each for a task of its own.

    The client's stream of events is filled first: it does not grow with them.
    """
    await _batches(site, api, range(EVENTS_KEPT + BATCH))
    async with Redis.from_url(site.redis_url) as redis:
        before = (await redis.info("memory"))["used_memory"]
        await _batches(site, api, range(10**6, 10**6 + count))
        weight = ((await redis.info("memory"))["used_memory"] - before) / count
        states = await redis.memory_usage(keys.index(CLIENT)[0], samples=0)
        events = await redis.memory_usage(keys.events(CLIENT), samples=0)
    in_states = (states or 0) / (count + EVENTS_KEPT + BATCH)
    return (
        f"{weight:.0f} bytes a pending registration, {in_states:.0f} of them in the client's index by state; "
        f"the client's stream of events: {(events or 0) / 2**20:.1f} MiB\n"
    )


async def _batches(site: Stand, api: Process, numbers: range) -> None:
    for first in numbers[::BATCH]:
        batch = [_wish(f"7ba60ab0-7054-4856-8590-{number:012d}") for number in range(first, first + BATCH)]
        answer = await site.http.post(
            f"{api.url}/v1/registrations/batch",
            json={"registrations": batch},
            headers={"authorization": f"Bearer {CLIENT_KEY}"},
        )
        assert {result["status"] for result in answer.json()["results"]} == {201}


async def _load(process: Process, clients: int, seconds: float, name: str) -> tuple[float, float, float, float]:
    """Return requests/s, server CPU us a request, and the p50 and p99 of the latency in seconds."""
    await _many(process, clients, 0.5, f"{name}warm")
    cpu, started = process.cpu_s(), time.monotonic()
    latencies = sorted(await _many(process, clients, seconds, name))
    elapsed, used = time.monotonic() - started, process.cpu_s() - cpu
    count = len(latencies)
    return count / elapsed, used / count * 1e6, latencies[count // 2], latencies[count * 99 // 100]


async def _many(process: Process, clients: int, seconds: float, name: str) -> list[float]:
    ends_at = time.monotonic() + seconds
    found = await asyncio.gather(*(_one(process, f"{name}-{number}", ends_at) for number in range(clients)))
    return [latency for latencies in found for latency in latencies]


async def _one(process: Process, name: str, ends_at: float) -> list[float]:
    """POST on one kept-alive connection until the time is up."""
    url = urlsplit(process.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    latencies: list[float] = []
    while time.monotonic() < ends_at:
        sent_at = time.monotonic()
        writer.write(_request(f"{name}-{len(latencies):08d}"))
        await _answer(reader)
        latencies.append(time.monotonic() - sent_at)
    writer.close()
    return latencies


def _wish(request_id: str) -> dict[str, str]:
    return {"request_id": request_id, "callback_url": "https://hooks.example.com/leads/updated?team=7"}


def _request(request_id: str) -> bytes:
    body = json.dumps(_wish(request_id))
    head = (
        f"POST /v1/registrations HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {CLIENT_KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201"), head
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--weighed", type=int, default=20_000)
    arguments = parser.parse_args()
    uvloop.run(main(arguments.seconds, arguments.weighed))
