"""Serving an app on a real socket inside this process's event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import uvicorn
from starlette.applications import Starlette

from relay.api.receiving import RECEIVE_S, PromptProtocol
from relay.domain.errors import SettingError

BACKLOG = 2_048
GRACE_S = 5
KEEP_ALIVE_S = 75  # longer than clients and load balancers do: who closes first must not be the one that is asked


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the process decides what ends it."""
        yield


@asynccontextmanager
async def serving(app: Starlette, host: str, port: int, *, receive_s: float = RECEIVE_S) -> AsyncIterator[str]:
    """Serve `app` while the block runs and give its base URL; port 0 picks a free one.

    A request that is not whole after `receive_s` seconds is cut off.

    Raises SettingError when the address cannot be had.
    """
    listener = _listener(host, port)
    server = _Server(
        uvicorn.Config(
            app,
            http=partial(PromptProtocol, receive_s=receive_s),  # type: ignore[arg-type] # it is called, no more
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{listener.getsockname()[1]}"
    finally:
        end_waiting: Callable[[], None] = getattr(app.state, "end_waiting", lambda: None)
        end_waiting()  # the server waits for every answer under way, and some are held back for a minute
        server.should_exit = True
        await running
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingError(
            f"RELAY_HOST, RELAY_PORT, RELAY_METRICS_PORT: cannot listen on {host}:{port}: {reason}"
        ) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # uvloop does this, asyncio would not: 40 ms a reply
    return listener
