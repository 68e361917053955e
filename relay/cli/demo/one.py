"""The demo's first part: one task, told as it happens."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.cli.demo.stage import Say, Stage
from relay.cli.receiving import Received

DEADLINE_S = 60.0
LOOK_S = 0.05


@dataclass(frozen=True)
class One:
    """What became of the one task; instants are Unix seconds, None for what did not happen.

    `polled_at` and `final_at` are by the sandbox: when polls arrived, and when the task ended. `detected_at` is when
    the relay knew, `delivered_at` when a verified callback was here.
    """

    request_id: str
    registration_id: str
    register_s: float
    submitted_at: float
    polled_at: tuple[float, ...]
    final_at: float
    detected_at: float | None
    delivered_at: float | None


@dataclass(frozen=True)
class _Moment:
    at: float
    word: str
    text: str


class _Story:
    """Tells each moment once, the earliest first."""

    def __init__(self, say: Say, began_at: float) -> None:
        self._say = say
        self._began_at = began_at
        self._told: set[str] = set()

    def tell(self, *moments: _Moment) -> None:
        for moment in sorted(moments, key=lambda moment: moment.at):
            if moment.word not in self._told:
                self._told.add(moment.word)
                self._say(f"  {moment.at - self._began_at:8.3f} s  {moment.word:<11} {moment.text}")


async def show_one(stage: Stage, say: Say) -> One:
    """Submit, register and watch one task until its callback is here, or the time is out."""
    say("One task")
    story = _Story(say, submitted_at := time.time())
    request_id = await stage.submit()
    story.tell(_Moment(time.time(), "submitted", f"POST /lead/update at the sandbox gave RequestID {request_id}"))
    registration_id, register_s = await stage.register(request_id)
    text = f"POST /v1/registrations took {register_s * 1e3:.1f} ms and gave {registration_id}"
    story.tell(_Moment(time.time(), "registered", text))
    while True:
        one = await _look(stage, request_id, registration_id, submitted_at, register_s)
        story.tell(*_moments(one, stage.received))
        if one.delivered_at is not None or time.time() > submitted_at + DEADLINE_S:
            break
        await asyncio.sleep(LOOK_S)
    _sum_up(one, say)
    return one


async def _look(stage: Stage, request_id: str, registration_id: str, submitted_at: float, register_s: float) -> One:
    registration = await stage.registration(registration_id)
    truth = await stage.truth(request_id)
    detected_at = registration["final_at"]
    return One(
        request_id=request_id,
        registration_id=registration_id,
        register_s=register_s,
        submitted_at=submitted_at,
        polled_at=await stage.polled_at(),
        final_at=truth["final_at"],
        detected_at=None if detected_at is None else datetime.fromisoformat(detected_at).timestamp(),
        delivered_at=next((each.at for each in stage.received if _is_of(each, registration_id)), None),
    )


def _is_of(received: Received, registration_id: str) -> bool:
    return received.verified and received.webhook_id == registration_id


def _moments(one: One, arrived: Sequence[Received]) -> list[_Moment]:
    """Return everything that has happened since the registration."""
    moments = [
        _Moment(at, f"poll {number}", "In-Queue" if at < one.final_at else "final")
        for number, at in enumerate(one.polled_at, start=1)
    ]
    if one.final_at <= time.time():
        moments.append(_Moment(one.final_at, "ended", "the sandbox ends the task, and tells nobody"))
    if one.detected_at is not None:
        lag_s = one.detected_at - one.final_at
        moments.append(_Moment(one.detected_at, "detected", f"the relay knows, {lag_s:.3f} s after the end"))
    for received in arrived:
        judged = "signature verified" if received.verified else f"signature refused: {received.refusal}"
        lag_s = received.at - one.final_at
        moments.append(_Moment(received.at, "callback", f"{received.type}, {judged}, {lag_s:.3f} s after the end"))
    return moments


def _sum_up(one: One, say: Say) -> None:
    if one.delivered_at is None:
        say(f"  No verified callback within {DEADLINE_S:.0f} s.")
        return
    total_s, task_s = one.delivered_at - one.submitted_at, one.final_at - one.submitted_at
    say(f"  In all {total_s:.3f} s from submit to callback; the task took {task_s:.3f} s of them.")
