"""A process in a network namespace of its own, in which every address there is leads to this machine.

`python -m tests.support.everywhere`, started under `unshare --net`. It raids every special address and prints what was
reached: first by whoever just connects (so the canary can be reached at all), then by callbacks.
"""

import asyncio
import subprocess
import sys
from contextlib import aclosing
from dataclasses import asdict, dataclass

import orjson

from relay.clients.callback import CallbackClient
from relay.domain.destination import DestinationPolicy
from tests.support.canaries import BODY, PUBLIC, canary, raid
from tests.support.special import METADATA, NETWORKS, edges

_EVERYTHING_IS_HERE = (
    "ip link set lo up",
    "ip route add local default dev lo",
    "ip -6 route add local default dev lo",
)
ADDRESSES = sorted({*METADATA, *(str(edge) for network in NETWORKS for edge in edges(network))})


@dataclass(frozen=True)
class Told:
    """How many addresses were raided, where naive connects and a callback to a public address got, and the raid."""

    addresses: int
    naive: list[str]
    public: list[str]
    calls: int
    forms: int
    admitted: dict[str, str]
    reached: list[str]


async def tell() -> Told:
    async with canary() as listening:
        await asyncio.gather(*(_connect(address, listening.port) for address in ADDRESSES))
        naive, listening.reached = listening.reached, []
        policy = DestinationPolicy(ports=frozenset({listening.port}))
        async with aclosing(CallbackClient(policy, deadline_s=1)) as client:
            await client.post(f"https://{PUBLIC}:{listening.port}/", BODY, {}, now=0)
        public = listening.reached
    return Told(len(ADDRESSES), naive, public, **asdict(await raid(ADDRESSES)))


async def _connect(address: str, port: int) -> None:
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(address, port)
    except OSError:  # a group, or an address that wants a scope
        return
    writer.close()


if __name__ == "__main__":
    for command in _EVERYTHING_IS_HERE:
        subprocess.run(command.split(), check=True)
    sys.stdout.buffer.write(orjson.dumps(asdict(asyncio.run(tell()))))
