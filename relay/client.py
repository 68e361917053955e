"""A client of the relay, for those who register and for those who receive.

    with RelayClient("http://127.0.0.1:8080", "client-key") as relay:
        registration = relay.register("7ba60ab0-…", "https://example.com/hook")
        registration = relay.wait(registration["id"])  # holds until the task is final

    message = verify(request.headers, request_body)  # in the receiver, with RELAY_SIGNING_SECRET

`AsyncRelayClient` has the same methods, awaited. Registrations, events and messages are documents (dicts) as the
relay's contract writes them. A passing failure is asked again some times; then a ClientError says what was wrong.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import Any, Self

import httpx
import orjson

from relay.conversation import (
    RESUME_S,
    TIMEOUT_S,
    Caller,
    ClientError,
    Conversation,
    Document,
    Event,
    EventReader,
    Heard,
    ProblemError,
    UnreachableError,
    document,
    passes,
)
from relay.domain.signature import Refusal, Secret
from relay.domain.signature import verify as refusal_of

__all__ = [
    "AsyncRelayClient",
    "ClientError",
    "Document",
    "Event",
    "ProblemError",
    "RelayClient",
    "UnreachableError",
    "VerificationError",
    "verify",
]


class VerificationError(ClientError):
    """The message is not the relay's, or not of now; answer it with 401. `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"the callback is refused: {refusal}")
        self.refusal = refusal


def verify(
    headers: Mapping[str, str], body: bytes, secrets: str | Sequence[str] | None = None, *, tolerance_s: float = 300
) -> Document:
    """Return the callback in `body` (the very bytes that came) if a holder of one of the secrets sent it just now.

    The secrets are those in RELAY_SIGNING_SECRET, commas between, unless they are given. Raises VerificationError
    otherwise, and ValueError when a secret is none. The same callback may come twice after a crash: drop what was seen
    by its `webhook-id`.
    """
    if secrets is None:
        secrets = os.environ.get("RELAY_SIGNING_SECRET", "").split(",")
    known = [Secret.parse(text.strip()) for text in ([secrets] if isinstance(secrets, str) else secrets)]
    lower = {name.lower(): value for name, value in headers.items()}
    refusal = refusal_of(known, lower, body, now=time.time(), tolerance_s=tolerance_s)
    if refusal is not None:
        raise VerificationError(refusal)
    message: Document = orjson.loads(body)
    return message


class RelayClient:
    """Calls the relay at `url` with a client key. Close it when done, or use it as a context."""

    def __init__(self, url: str, key: str) -> None:
        self._caller = Caller.of(url, key)
        self._http = httpx.Client(trust_env=False, timeout=TIMEOUT_S)

    def register(self, request_id: str, callback_url: str, **fields: Any) -> Document:
        """Register and return the registration; `fields` are the contract's: operation, account, submitted_at, ...

        The same wish always is the same registration, so this may be repeated.
        """
        return self._held(self._caller.register(request_id, callback_url, fields))

    def get(self, registration_id: str) -> Document:
        """Return the registration as it stands."""
        return self._held(self._caller.get(registration_id))

    def wait(self, registration_id: str, *, timeout_s: float = 600) -> Document:
        """Return the registration once its task is final, or still pending when the time is out."""
        return self._held(self._caller.wait(registration_id, timeout_s))

    def cancel(self, registration_id: str) -> None:
        """Cancel it: no callback follows. Raises ProblemError when it is settled in another way."""
        self._held(self._caller.cancel(registration_id))

    def redeliver(self, registration_id: str) -> Document:
        """Have a dead or delivered one delivered again."""
        return self._held(self._caller.redeliver(registration_id))

    def events(self, *, after: str | None = None) -> Generator[Event]:
        """Yield what happens to this client's registrations, for ever; a stream that breaks is resumed there."""
        reader = EventReader(after)
        while True:
            try:
                answer = self._http.send(self._caller.stream(reader.after), stream=True)
                try:
                    if answer.is_success:
                        yield from filter(None, map(reader.take, answer.iter_lines()))
                    elif not passes(answer):
                        answer.read()
                        document(answer)
                finally:
                    answer.close()
            except httpx.TransportError:
                pass
            reader.start()
            time.sleep(RESUME_S)

    def _held(self, conversation: Conversation) -> Document:
        heard: Heard = None
        while True:
            try:
                step = conversation.send(heard)
            except StopIteration as done:
                answered: Document = done.value
                return answered
            heard = self._take(step)

    def _take(self, step: httpx.Request | float) -> Heard:
        if not isinstance(step, httpx.Request):
            time.sleep(step)
            return None
        try:
            return self._http.send(step)
        except httpx.TransportError as error:
            return error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncRelayClient:
    """RelayClient, awaited."""

    def __init__(self, url: str, key: str) -> None:
        self._caller = Caller.of(url, key)
        self._http = httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S)

    async def register(self, request_id: str, callback_url: str, **fields: Any) -> Document:
        """Register and return the registration; `fields` are the contract's: operation, account, submitted_at, ..."""
        return await self._held(self._caller.register(request_id, callback_url, fields))

    async def get(self, registration_id: str) -> Document:
        """Return the registration as it stands."""
        return await self._held(self._caller.get(registration_id))

    async def wait(self, registration_id: str, *, timeout_s: float = 600) -> Document:
        """Return the registration once its task is final, or still pending when the time is out."""
        return await self._held(self._caller.wait(registration_id, timeout_s))

    async def cancel(self, registration_id: str) -> None:
        """Cancel it: no callback follows. Raises ProblemError when it is settled in another way."""
        await self._held(self._caller.cancel(registration_id))

    async def redeliver(self, registration_id: str) -> Document:
        """Have a dead or delivered one delivered again."""
        return await self._held(self._caller.redeliver(registration_id))

    async def events(self, *, after: str | None = None) -> AsyncGenerator[Event]:
        """Yield what happens to this client's registrations, for ever; a stream that breaks is resumed there."""
        reader = EventReader(after)
        while True:
            try:
                answer = await self._http.send(self._caller.stream(reader.after), stream=True)
                try:
                    if answer.is_success:
                        async for line in answer.aiter_lines():
                            if event := reader.take(line):
                                yield event
                    elif not passes(answer):
                        await answer.aread()
                        document(answer)
                finally:
                    await answer.aclose()
            except httpx.TransportError:
                pass
            reader.start()
            await asyncio.sleep(RESUME_S)

    async def _held(self, conversation: Conversation) -> Document:
        heard: Heard = None
        while True:
            try:
                step = conversation.send(heard)
            except StopIteration as done:
                answered: Document = done.value
                return answered
            heard = await self._take(step)

    async def _take(self, step: httpx.Request | float) -> Heard:
        if not isinstance(step, httpx.Request):
            await asyncio.sleep(step)
            return None
        try:
            return await self._http.send(step)
        except httpx.TransportError as error:
            return error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
