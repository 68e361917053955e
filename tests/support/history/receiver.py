"""The receiver as a recorder: the id and the body of each callback, and its own answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from tests.support.history.journal import Journal
from tests.support.history.wire import Answer, Request, serving


def _always_200() -> int:
    return 200


@dataclass
class Receiver:
    """Answers after `delay_s` what `status` says; `taken` are the ids of what it has answered with 2xx.

    Each client has a path of its own, whose last part is the client's name.
    """

    journal: Journal
    status: Callable[[], int] = _always_200
    delay_s: float = 0.0
    url: str = ""
    calls: int = 0
    under_way: int = 0
    most_under_way: int = 0
    answered: int = 0
    taken: set[str] = field(default_factory=set)

    async def respond(self, request: Request) -> Answer:
        self.calls += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self.under_way -= 1
        status, id_, message = self.status(), request.headers.get("webhook-id", ""), json.loads(request.body)
        self.journal.write(
            "callback",
            id=id_,
            client=request.path.rpartition("/")[2],
            metadata_of=message["registration"]["metadata"].get("client"),
            request_id=message["data"]["RequestID"],
            type=message["type"],
            body_sha256=sha256(request.body).hexdigest(),
            answer=status,
        )
        self.answered += 1
        if 200 <= status < 300:
            self.taken.add(id_)
        return Answer(status)


@asynccontextmanager
async def recording(receiver: Receiver) -> AsyncIterator[Receiver]:
    """Serve it while the block runs."""
    async with serving(receiver.respond) as port:
        receiver.url = f"http://127.0.0.1:{port}"
        yield receiver
