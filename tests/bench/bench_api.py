"""Registrations: how many a second the API takes, durably, beside a bare Starlette endpoint in the same run.

python -m tests.bench.bench_api [--seconds 5]
"""

import argparse
import asyncio
import json
import time
from urllib.parse import urlsplit

import uvloop

from tests.support.stand import CLIENT_KEY, Process, running_python, stand


async def main(seconds: float) -> None:
    async with stand() as site, running_python(("-m", "tests.bench.bare"), site.environment) as bare:
        api = await site.start("api")
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


def _request(request_id: str) -> bytes:
    body = json.dumps({"request_id": request_id, "callback_url": "https://hooks.example.com/leads/updated?team=7"})
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
    uvloop.run(main(parser.parse_args().seconds))
