"""What a client of the relay asks and what it makes of the answers, apart from how it waits.

A call is a conversation: a generator that yields a request to send, and is sent its answer or the transport's error, or
yields seconds to sleep; it returns the document. `relay.client` holds them with sockets, awaited or not.
"""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import orjson

from relay.domain.delivery import parse_retry_after

Document = dict[str, Any]
Heard = httpx.Response | httpx.TransportError | None
Conversation = Generator[httpx.Request | float, Heard, Document]

TRIES = 6
LONGEST_PAUSE_S = 10.0
WAIT_S = 30.0
TIMEOUT_S = 15.0
SILENCE_S = 45.0  # the relay says something on a stream each 15 s
RESUME_S = 1.0
_PASSING = frozenset({429, 502, 503, 504})


class ClientError(Exception):
    """The relay could not be asked, or refused."""


class UnreachableError(ClientError):
    """No answer came, or none of a relay's, however often it was asked."""


class ProblemError(ClientError):
    """The relay refused: a problem document (RFC 9457). `code` is stable, `errors` names each wrong field."""

    def __init__(self, document: Document) -> None:
        super().__init__(f"{document.get('status')} {document.get('code')}: {document.get('detail')}")
        self.document = document
        self.status: int = document.get("status", 0)
        self.code: str = document.get("code", "")
        self.errors: list[dict[str, str]] = document.get("errors", [])


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom to ask and as whom: the relay's base URL, and a client key, which shows itself nowhere."""

    url: str
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str, key: str) -> "Caller":
        return cls(url.rstrip("/"), {"authorization": f"Bearer {key}", "accept": "application/json"})

    def register(self, request_id: str, callback_url: str, fields: Document) -> Conversation:
        wish = {"request_id": request_id, "callback_url": callback_url}
        wish |= {name: value for name, value in fields.items() if value is not None}
        if isinstance(submitted_at := wish.get("submitted_at"), datetime):
            wish["submitted_at"] = submitted_at.isoformat()
        return _asked(self._request("POST", "/v1/registrations", body=wish))

    def get(self, registration_id: str, *, wait_s: float | None = None) -> Conversation:
        return _asked(self._request("GET", f"/v1/registrations/{registration_id}", wait_s=wait_s))

    def wait(self, registration_id: str, timeout_s: float) -> Conversation:
        ends_at = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, ends_at - time.monotonic())
            registration = yield from self.get(registration_id, wait_s=round(min(WAIT_S, left_s), 3))
            if registration["state"] != "pending" or time.monotonic() >= ends_at:
                return registration

    def cancel(self, registration_id: str) -> Conversation:
        """One that is cancelled already, as after an answer that was lost, is what was wanted."""
        try:
            return (yield from _asked(self._request("DELETE", f"/v1/registrations/{registration_id}")))
        except ProblemError as error:
            if error.status != 409 or (yield from self.get(registration_id))["state"] != "cancelled":
                raise
            return {}

    def redeliver(self, registration_id: str) -> Conversation:
        return _asked(self._request("POST", f"/v1/registrations/{registration_id}/redeliver"))

    def stream(self, after: str | None) -> httpx.Request:
        """Return the request for what happened after the event with this id, or for what happens from now on."""
        headers = {**self.headers, "accept": "text/event-stream"}
        if after is not None:
            headers["last-event-id"] = after
        return _request("GET", f"{self.url}/v1/events", headers, silence_s=SILENCE_S)

    def _request(self, method: str, path: str, *, body: Any = None, wait_s: float | None = None) -> httpx.Request:
        query = "" if wait_s is None else f"?wait={wait_s:g}"
        return _request(method, self.url + path + query, self.headers, body, silence_s=TIMEOUT_S + (wait_s or 0.0))


def _request(method: str, url: str, headers: Mapping[str, str], body: Any = None, *, silence_s: float) -> httpx.Request:
    timeout = httpx.Timeout(TIMEOUT_S, read=silence_s).as_dict()
    return httpx.Request(method, url, headers=headers, json=body, extensions={"timeout": timeout})


def _asked(request: httpx.Request) -> Conversation:
    """Ask until there is an answer: any call may be repeated, as the same wish is the same registration."""
    number, answer = 1, (yield request)
    while number < TRIES and not (isinstance(answer, httpx.Response) and not passes(answer)):
        yield _pause_s(answer, number)
        number, answer = number + 1, (yield request)
    if isinstance(answer, httpx.Response):
        return document(answer)
    raise UnreachableError(f"nothing answers at {request.url.netloc.decode()}: {answer!r}")


def passes(answer: httpx.Response) -> bool:
    """Whether it is worth while to ask again: too early, or an outage."""
    return answer.status_code in _PASSING


def _pause_s(answer: Heard, number: int) -> float:
    now, header = time.time(), answer.headers.get("retry-after") if isinstance(answer, httpx.Response) else None
    hint_at = parse_retry_after(header, now)
    return min(LONGEST_PAUSE_S, 0.1 * 2.0**number if hint_at is None else hint_at - now)


def document(answer: httpx.Response) -> Document:
    """Return what a relay answered. Raises ProblemError when it refused, UnreachableError when it is no relay."""
    try:
        decoded = orjson.loads(answer.content) if answer.content else {}
    except orjson.JSONDecodeError:
        decoded = None
    if not isinstance(decoded, dict) or (answer.is_error and "code" not in decoded):
        where = answer.request.url.netloc.decode()
        raise UnreachableError(f"what answers at {where} is no relay: HTTP {answer.status_code}")
    if answer.is_error:
        raise ProblemError(decoded)
    return decoded


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one of the client's registrations. Go on after `id` to miss and repeat nothing."""

    id: str
    name: str
    data: Document


class EventReader:
    """Lines of a stream of server-sent events to events; `after` is where to go on when the stream breaks."""

    def __init__(self, after: str | None) -> None:
        self.after = after
        self.start()

    def start(self) -> None:
        """Forget the half of an event that a broken stream left."""
        self._id, self._name, self._data = self.after or "", "message", ""

    def take(self, line: str) -> Event | None:
        """Return the event that this line ends, if it ends one."""
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            self._id = value
        elif field == "event":
            self._name = value
        elif field == "data":
            self._data += value
        if line or not self._data:
            return None
        event = Event(self._id, self._name, orjson.loads(self._data))
        self.after = self._id or None
        self.start()
        return event
