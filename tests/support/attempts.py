"""A process that makes attempts, all at once, and tells how they went and what memory they took.

The receivers stay with the test, so what grows is the client's own memory.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from ipaddress import ip_network
from pathlib import Path

import orjson
import uvloop

from relay.clients.callback import CallbackClient
from relay.domain.destination import DestinationPolicy

LOOPBACK = DestinationPolicy(allow=(ip_network("127.0.0.0/8"),))


@dataclass(frozen=True)
class Told:
    """The attempts' outcomes, how long the longest took (seconds), and by how much memory grew at its peak (KiB)."""

    outcomes: list[str]
    longest_s: float
    growth_kib: int


async def attempts(
    urls: Sequence[str], *, deadline_s: float, warm_up: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Told:
    """Have another process, with these variables too, call all URLs at once, after those to warm up with."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=pipe, stdout=pipe, env={**os.environ, **(environment or {})}
    )
    told, _ = await child.communicate(orjson.dumps([deadline_s, warm_up, urls]))
    return Told(**orjson.loads(told))


async def _attempt_all(deadline_s: float, warm_up: list[str], urls: list[str]) -> Told:
    async with aclosing(CallbackClient(LOOPBACK, deadline_s=deadline_s)) as client:

        async def attempt(url: str) -> tuple[str, float]:
            started = time.monotonic()
            reply = await client.post(url, b"{}", {"webhook-id": "reg_1"}, now=time.time())
            return reply.outcome, time.monotonic() - started

        await asyncio.gather(*map(attempt, warm_up))
        before_kib = _forget_the_peak()
        made = await asyncio.gather(*map(attempt, urls))
        growth_kib = _kib("VmHWM") - before_kib
    return Told([outcome for outcome, _ in made], max(took_s for _, took_s in made), growth_kib)


def _forget_the_peak() -> int:
    """Let the peak of memory be what it is now; return that, in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _kib("VmRSS")


def _kib(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(asdict(uvloop.run(_attempt_all(*orjson.loads(sys.stdin.buffer.read()))))))
