"""`GET /v1/events`: what happens to the client's registrations, as server-sent events; the admin's are everybody's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from relay.api.auth import caller_of
from relay.api.standings import Standings
from relay.api.state import AppRequest, State
from relay.domain.caller import Scope
from relay.domain.errors import FieldError, InvalidRequestError, QuotaExceededError, StoreUnavailableError
from relay.domain.event import Event, EventId, EventName, beginning
from relay.domain.query import parsed
from relay.domain.quota import STREAMS
from relay.store.knocks import Knock

HEARTBEAT_S = 15.0
AGAIN_S = 1.0  # after which a store that was not there is asked again
PAGE = 100
MAX_STREAMS = 100  # of one client in one process
FIELDS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class EventsQuery(BaseModel):
    """The query of the stream: it has no parameters."""

    model_config = ConfigDict(extra="forbid")


async def read_stream(request: AppRequest) -> Response:
    """GET /v1/events; `Last-Event-ID` resumes after that event, `0` begins with the oldest that is kept."""
    state, caller = request.state, caller_of(request, Scope.READ)
    client = None if caller.may(Scope.ADMIN) else caller.client
    parsed(EventsQuery, request.query_params.multi_items())
    asked = _asked(request.headers.getlist("last-event-id"))
    if state["streams"][client] >= MAX_STREAMS:
        raise QuotaExceededError(STREAMS, f"at most {MAX_STREAMS} at once", retry_after_s=10)
    events = state["relay"].events
    first, last = await asyncio.gather(events.first(client), events.last(client))
    after, gap = beginning(asked, first=first, last=last)
    if request.method == "HEAD":
        return Response(headers=FIELDS, media_type="text/event-stream")
    return EventStream(state, client, after, head=_gap(asked) if gap else b"")


def _asked(headers: list[str]) -> EventId | None:
    try:
        return EventId.parse(headers[0]) if headers else None
    except ValueError as error:
        raise InvalidRequestError(FieldError("/Last-Event-ID", str(error))) from error


class EventStream(StreamingResponse):
    """An answer that never ends by itself: events as they come, and a comment when none has come for a while.

    It goes no faster than its reader: what is not yet sent stays in the store. `client` is None for the admin, who is
    told, too, how the accounts stand.
    """

    def __init__(self, state: State, client: str | None, after: EventId, *, head: bytes) -> None:
        super().__init__((), headers=FIELDS, media_type="text/event-stream")
        self._state = state
        self._client = client
        self._after = after
        self._head = head
        self._standings = Standings(state["relay"])

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        streams = self._state["streams"]
        streams[self._client] += 1
        try:
            async with AsyncExitStack() as stack:
                knock = stack.enter_context(self._state["knocks"].listening(self._client))
                if self._client is None:
                    await stack.enter_async_context(self._standings.watched(knock))
                self.body_iterator = self._told(knock)
                await super().__call__(scope, receive, send)
        finally:
            streams[self._client] -= 1

    async def _told(self, knock: Knock) -> AsyncIterator[bytes]:
        yield b": events\n\n" + self._head
        while not self._state["knocks"].ended:
            try:
                page = await self._state["relay"].events.page(self._client, after=self._after, count=PAGE)
                quiet_s = HEARTBEAT_S
            except StoreUnavailableError:
                page, quiet_s = [], AGAIN_S
            accounts = self._standings.take()
            if page or accounts:
                self._after = page[-1].id if page else self._after
                yield b"".join(map(_written, page)) + accounts
            elif not await knock.heard(quiet_s):
                yield b": nothing new\n\n"


def _written(event: Event) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (str(event.id).encode(), event.name.encode(), event.data)


def _gap(asked: EventId | None) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (EventName.GAP.encode(), orjson.dumps({"after": str(asked)}))
