"""What the service manager is told: that the process is ready, that it stops, and that its event loop still turns.

The protocol is sd_notify's: datagrams to the socket in NOTIFY_SOCKET. Without one nobody is told anything.
"""

import asyncio
import os
import socket
from contextlib import suppress

READY = "READY=1"
STOPPING = "STOPPING=1"
_ALIVE = "WATCHDOG=1"


def tell(state: str) -> None:
    """Tell the service manager, if there is one; it never has to listen."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        notify.setblocking(False)
        notify.sendto(state.encode(), address)


async def tell_alive() -> None:
    """Tell it twice in each of its watchdog's intervals, if it has one: a loop that hangs falls silent."""
    interval_us = os.environ.get("WATCHDOG_USEC", "")
    if not interval_us.isdecimal() or int(interval_us) == 0:
        return
    while True:
        tell(_ALIVE)
        await asyncio.sleep(int(interval_us) / 2e6)
