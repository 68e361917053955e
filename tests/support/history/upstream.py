"""The upstream as a recorder: every arrival on one monotonic clock, and what was answered."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from tests.support.history.journal import Journal
from tests.support.history.wire import Answer, Request, serving

PENDING, FAULT = "In-Queue", "fault"
ENDINGS = ("Success", "Success", "Success", "FAILURE", "ERROR")


class Mood(StrEnum):
    """What it does instead of answering well."""

    WELL = "well"
    DOWN = "down"
    SLOW = "slow"
    THROTTLING = "throttling"
    FAILING = "failing"
    HTML = "html"
    MALFORMED = "malformed"
    STRANGER = "stranger"


_SICK = {
    Mood.THROTTLING: Answer(429, b'{"message":"Too Many Requests"}'),
    Mood.FAILING: Answer(500, b'{"Status":"Error","ExceptionType":"MXException","ExceptionMessage":"it fails"}'),
    Mood.HTML: Answer(502, b"<html><h1>502 Bad Gateway</h1></html>", "text/html"),
    Mood.MALFORMED: Answer(200, b'{"RequestID": "'),
}


@dataclass
class Upstream:
    """Tasks begin at their first poll and end up to `longest_s` later. At most `calls` arrivals pass in any window."""

    journal: Journal
    calls: int
    window_s: float
    longest_s: float = 1.5
    url: str = ""
    mood: Mood = Mood.WELL
    slow_s: float = 30.0
    _ends: dict[str, tuple[float, str]] = field(default_factory=dict)
    _arrived: deque[float] = field(default_factory=deque)
    arrivals: int = 0

    async def respond(self, request: Request) -> Answer | None:
        now = time.monotonic()
        request_id = request.query.get("RequestID", "")
        said, answer = self._decide(request_id, now)
        self.arrivals += 1
        self.journal.write("arrival", account=request.headers.get("x-api-key", ""), request_id=request_id, said=said)
        if self.mood is Mood.SLOW:
            await asyncio.sleep(self.slow_s)
        return answer

    def _decide(self, request_id: str, now: float) -> tuple[str, Answer | None]:
        if self._crowded(now):
            return FAULT, _SICK[Mood.THROTTLING]
        if self.mood is Mood.DOWN:
            return FAULT, None
        if self.mood in _SICK:
            return FAULT, _SICK[self.mood]
        if self.mood is Mood.STRANGER:
            return FAULT, _status(f"not-{request_id}", "Success")
        status = self._status_of(request_id, now)
        return status, _status(request_id, status)

    def _crowded(self, now: float) -> bool:
        while self._arrived and now - self._arrived[0] >= self.window_s:
            self._arrived.popleft()
        self._arrived.append(now)
        return len(self._arrived) > self.calls

    def _status_of(self, request_id: str, now: float) -> str:
        dice = Random(request_id)
        ends_at, ending = self._ends.setdefault(
            request_id, (now + dice.uniform(0, self.longest_s), dice.choice(ENDINGS))
        )
        return ending if now >= ends_at else PENDING


def _status(request_id: str, status: str) -> Answer:
    task_status = {"TaskType": "Lead Update", "Status": status, "StatusReason": None, "Message": '"{}"'}
    return Answer(200, json.dumps({"RequestID": request_id, "TaskStatus": task_status}).encode())


@asynccontextmanager
async def recording(upstream: Upstream) -> AsyncIterator[Upstream]:
    """Serve it while the block runs."""
    async with serving(upstream.respond) as port:
        upstream.url = f"http://127.0.0.1:{port}"
        yield upstream
