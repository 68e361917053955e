"""Polls: how many a core, what they cost the store, and what a pending registration weighs.

    python -m tests.bench.bench_lanes [--seconds 10]

Every rate is a ratio to a bare httpx loop in the same run, by CPU time, since these machines are noisy.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from redis.asyncio import Redis

from relay.context import Relay, open_relay
from relay.domain.account import Account
from relay.domain.budget import Limit
from relay.domain.draft import Draft
from relay.services.register import register
from relay.settings import Settings
from tests.support.stand import Process, Stand, stand

LOADED = 100_000


@dataclass
class Cost:
    """What one case measured, between two moments."""

    polls: float
    worker_cpu_s: float
    commands: float
    seconds: float
    rss_mib: float
    refused: int
    worst: str


async def main(seconds: float) -> None:
    async with stand("--stuck", "1") as site:
        bare_us = await _bare_loop(site, seconds / 2)
        print(f"bare httpx loop, 4 connections: {bare_us:.0f} us of CPU a poll\n")
        print("| accounts x limit | polls/s | worker CPU us a poll | x bare | commands a poll | worker MiB | refused |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for accounts, limit, tasks in ((1, "25/5", 100), (1, "10000/5", 2000), (100, "100/5", 20), (2000, "25/5", 20)):
            cost = await _case(site, accounts, limit, tasks, seconds)
            us = cost.worker_cpu_s / cost.polls * 1e6
            print(
                f"| {accounts} x {limit} | {cost.polls / cost.seconds:.0f} | {us:.0f} | {bare_us / us:.2f} "
                f"| {cost.commands / cost.polls:.2f} | {cost.rss_mib:.0f} | {cost.refused} |"
            )
        await _weigh(site)
        await _idle(site)


async def _bare_loop(site: Stand, seconds: float) -> float:
    """CPU microseconds that a plain polling loop spends on one call."""
    await site.behave(limit="1000000/5")
    url = f"{site.sandbox.url}/lead/update/status?RequestID=bare"
    calls, ends_at = 0, time.monotonic() + seconds
    async with httpx.AsyncClient(headers={"x-api-key": "bare"}, trust_env=False) as client:

        async def loop() -> None:
            nonlocal calls
            while time.monotonic() < ends_at:
                (await client.get(url)).json()
                calls += 1

        started = time.process_time()
        await asyncio.gather(*(loop() for _ in range(4)))
    return (time.process_time() - started) / calls * 1e6


async def _case(site: Stand, accounts: int, limit: str, tasks: int, seconds: float) -> Cost:
    await site.behave(limit="1000000/5" if limit != "25/5" else limit)
    async with Redis.from_url(site.redis_url) as redis:
        await redis.flushall()
        async with open_relay(Settings.from_environment(site.environment)) as relay:
            for number in range(accounts):
                await relay.accounts.put(_account(site, f"a{number}", limit))
            await _load(relay, accounts * tasks, accounts)
        worker = await site.start("worker")
        await asyncio.sleep(6)
        cost = await _measure(site, worker, redis, seconds)
        worker.child.terminate()
        await worker.child.wait()
    return cost


def _account(site: Stand, name: str, limit: str) -> Account:
    return Account(name=name, upstream_url=site.sandbox.url, api_key=name, limit=Limit.parse(limit))


async def _measure(site: Stand, worker: Process, redis: "Redis", seconds: float) -> Cost:
    before = await _now(site, worker, redis)
    await asyncio.sleep(seconds)
    after = await _now(site, worker, redis)
    report = (await site.http.get(f"{site.sandbox.url}/sandbox/report")).json()
    refused = sum(sum(account["refused"].values()) for account in report["accounts"].values())
    polls, cpu, commands, at = (b - a for a, b in zip(before, after, strict=True))
    return Cost(polls, cpu, commands, at, worker.rss_mib(), refused, "")


async def _now(site: Stand, worker: Process, redis: "Redis") -> tuple[float, float, float, float]:
    report = (await site.http.get(f"{site.sandbox.url}/sandbox/report")).json()
    commands = (await redis.info("stats"))["total_commands_processed"]
    return report["arrivals"], worker.cpu_s(), commands, time.monotonic()


async def _load(relay: Relay, count: int, accounts: int) -> None:
    async def some(first: int) -> None:
        for number in range(first, count, 64):
            draft = Draft(
                request_id=f"7ba60ab0-7054-4856-8590-{number:012d}",
                callback_url="https://hooks.example.com/leads/updated?team=7",
                account=f"a{number % accounts}",
            )
            await register(relay, "bench", draft, now=time.time())

    await asyncio.gather(*(some(first) for first in range(64)))


async def _weigh(site: Stand) -> None:
    async with Redis.from_url(site.redis_url) as redis:
        await redis.flushall()
        before = (await redis.info("memory"))["used_memory"]
        async with open_relay(Settings.from_environment(site.environment)) as relay:
            await relay.accounts.put(_account(site, "a0", "25/5"))
            with _timed(f"{LOADED} registrations, 64 at a time, without HTTP"):
                await _load(relay, LOADED, 1)
        after = (await redis.info("memory"))["used_memory"]
        print(f"a pending registration: {(after - before) / LOADED:.0f} B of store memory, {LOADED} loaded")
        await redis.flushall()


async def _idle(site: Stand) -> None:
    api, worker = await site.start("api"), await site.start("worker")
    async with Redis.from_url(site.redis_url) as redis:
        await asyncio.sleep(3)
        before = (await redis.info("stats"))["total_commands_processed"]
        await asyncio.sleep(20)
        after = (await redis.info("stats"))["total_commands_processed"]
    print(f"idle relay (an API, a worker): {(after - before - 1) / 20:.1f} store commands a second")
    for process in (api, worker):
        process.child.terminate()
        await process.child.wait()


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"\n{what}: {LOADED / (time.monotonic() - started):.0f}/s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    asyncio.run(main(parser.parse_args().seconds))
