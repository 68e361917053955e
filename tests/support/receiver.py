"""A receiver of callbacks on a real socket: it answers as told, and remembers everything it was sent."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.sandbox.server import serving


@dataclass(frozen=True)
class Received:
    """One request: when it came (Unix seconds), its path and query, its headers (lower case) and its body."""

    at: float
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> Any:
        return orjson.loads(self.body)

    def verify(self, secret: str) -> None:
        """Raise standardwebhooks' WebhookVerificationError unless it is signed with this secret."""
        Webhook(secret).verify(self.body, dict(self.headers))


@dataclass(frozen=True)
class Reply:
    """What to answer; `held` keeps the answer back until it is set."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    held: asyncio.Event | None = None
    body: bytes = b""


@dataclass
class Receiver:
    """Answers `otherwise`, unless told what to answer a webhook-id or a path."""

    base_url: str = ""
    otherwise: Reply = Reply()
    requests: list[Received] = field(default_factory=list)
    _replies: dict[str, deque[Reply]] = field(default_factory=dict)

    def url(self, path: str = "/hook") -> str:
        return self.base_url + path

    def answer(self, key: str, *replies: int | Reply) -> None:
        """Answer the requests with this webhook-id or path so, one after another; then `otherwise` again."""
        self._replies[key] = deque(Reply(reply) if isinstance(reply, int) else reply for reply in replies)

    def of(self, key: str) -> list[Received]:
        """Return the requests with this webhook-id or path, in the order in which they came."""
        return [received for received in self.requests if key in {received.id, received.target}]

    @property
    def ids(self) -> list[str]:
        return [received.id for received in self.requests]

    async def receive(self, request: Request) -> Response:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(time.time(), target, headers, await request.body())
        self.requests.append(received)
        reply = self._next_reply(received)
        if reply.held is not None:
            await reply.held.wait()
        return Response(reply.body, reply.status, reply.headers)

    def _next_reply(self, received: Received) -> Reply:
        replies = self._replies.get(received.id) or self._replies.get(received.target)
        return replies.popleft() if replies else self.otherwise


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Serve a receiver on loopback while the block runs."""
    receiver = Receiver()
    async with serving(Starlette(routes=[Route("/{path:path}", receiver.receive, methods=["POST"])])) as base_url:
        receiver.base_url = base_url
        yield receiver
