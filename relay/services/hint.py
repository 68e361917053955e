"""Hint: ask the upstream once how an operation's queue stands, and tell those who choose what to poll next."""

import time

from relay import metrics
from relay.domain.adaptive import Adaptive
from relay.domain.answer import Answer, AnswerKind
from relay.domain.backlog import Backlog, HintOutcome
from relay.domain.operations import Operation
from relay.services.poll import Asker


async def ask_backlog(asker: Asker, operation: Operation) -> Backlog | Answer:
    """Ask the upstream once; time it, and count a refusal for rate."""
    started = time.monotonic()
    told = await asker.upstream.ask_backlog(asker.account, operation)
    metrics.UPSTREAM_DURATION.observe(time.monotonic() - started)
    if isinstance(told, Answer) and told.kind is AnswerKind.THROTTLED:
        metrics.BY_ACCOUNT.answered(asker.account.name, told.kind, told.shape)
    return told


def heed(picker: Adaptive, operation: Operation, told: Backlog | Answer, *, asked_at: float) -> HintOutcome:
    """Let the picker hear what was told, count what came of it, and return that."""
    outcome = HintOutcome.FAILED
    if isinstance(told, Backlog):
        news = picker.hear(operation, told, asked_at=asked_at, now=time.time())
        outcome = HintOutcome.NEWS if news else HintOutcome.NO_NEWS
    metrics.UPSTREAM_HINTS.labels(outcome).inc()
    return outcome
