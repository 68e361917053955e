"""Register: write down one client's wish, durably and once."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from relay import crash, log, metrics, traces
from relay.context import Relay
from relay.crash import Point
from relay.domain import message
from relay.domain.destination import Verdict, parse
from relay.domain.draft import Draft
from relay.domain.errors import (
    DestinationRefusedError,
    FieldError,
    InvalidRequestError,
    QuotaExceededError,
    StoreUnavailableError,
)
from relay.domain.event import EventName
from relay.domain.registration import Registration, after_task, registration_id
from relay.domain.task import Task, TaskName, after_join
from relay.services.once import Claim
from relay.services.room import take_room
from relay.services.show import Shown
from relay.store import keys
from relay.store.write import Write
from relay.traces import Span

TRIES = 50
NO_ACCOUNT = FieldError("/account", "there is no such account")

logger = log.get(__name__)


class Keeping(NamedTuple):
    """An idempotency key's claim, and how a new registration is answered."""

    claim: Claim
    answer: Callable[[Shown], bytes]

    def put_into(self, write: Write, shown: Shown) -> None:
        location = f"/v1/registrations/{shown.registration.id}"
        self.claim.conclude(write, status=201, location=location, body=self.answer(shown))


async def register(
    relay: Relay, client: str, draft: Draft, *, now: float, keeping: Keeping | None = None
) -> tuple[Registration, bool]:
    """Return the client's registration, and whether it is new.

    When it returns, one script has written all of it, and for `keeping` the answer to a new one. Raises
    InvalidRequestError, DestinationRefusedError, QuotaExceededError, KeyInUseError, StoreUnavailableError; then nothing
    was promised.
    """
    drafted = await _drafted(relay, client, draft, now)
    await relay.room.require()
    try:
        crowd = await take_room(relay, client)
    except QuotaExceededError:
        existing = await relay.store.registration(drafted.id)
        if existing is None:
            raise
        return existing, False
    created = False
    try:
        registration, created = await _registered(relay, drafted, now, keeping)
    finally:
        crowd.end(made=created)
    return registration, created


async def _registered(
    relay: Relay, drafted: Registration, now: float, keeping: Keeping | None
) -> tuple[Registration, bool]:
    name = drafted.task_name
    with log.bound(registration=drafted.id), traces.registering() as span:
        span.note(registration=drafted.id, account=name.account, operation=name.operation)
        registration, created = await _written(
            relay, replace(drafted, traceparent=span.traceparent), span, now, keeping
        )
        if created:
            logger.info(
                "registered",
                client=drafted.client,
                account=name.account,
                operation=name.operation,
                state=registration.state,
            )
        return registration, created


async def _written(
    relay: Relay, drafted: Registration, span: Span, now: float, keeping: Keeping | None
) -> tuple[Registration, bool]:
    task: Task | None = None
    for _ in range(TRIES):
        if task is not None and task.settled:
            status = await relay.store.task_status(task.name)
            due = replace(after_task(drafted, task), due_at=now)  # its instants may be by another machine's clock
            shown = Shown(due, task, status)
            write = _calling_back(shown, now)
        else:
            shown = Shown(drafted, None, None)
            write = _joining(drafted, task, now)
        if keeping is not None:
            keeping.put_into(write, shown)
        conflict = await relay.store.commit(write)
        if conflict is None:
            crash.reached(Point.REGISTERED, drafted.id, drafted.task_name.request_id)
            span.follows(None if task is None else task.traceparent)
            return shown.registration, True
        existing = conflict.registration(drafted.id)
        if existing is not None:
            return existing, False
        if keeping is not None:
            keeping.claim.check(conflict)
        task = conflict.task(drafted.task_name)
    raise StoreUnavailableError("too many registrations for one task at once")


async def _drafted(relay: Relay, client: str, draft: Draft, now: float) -> Registration:
    account = await relay.account(draft.account)
    unknown = [] if account is not None and account.admits(client) else [NO_ACCOUNT]
    target = parse(draft.callback_url, relay.destinations)
    if isinstance(target, Verdict):
        metrics.DESTINATIONS_REFUSED.labels(target).inc()
        logger.info("destination_refused", client=client, verdict=target)
        refused = DestinationRefusedError(target)
        raise InvalidRequestError(*unknown, *refused.errors) if unknown else refused
    if unknown:
        raise InvalidRequestError(*unknown)
    name = TaskName(draft.account, draft.operation, draft.request_id)
    return Registration(
        id=registration_id(client, name, draft.callback_url),
        client=client,
        task_name=name,
        callback_url=draft.callback_url,
        registered_at=now,
        deadline_at=now + draft.deadline_s,
        submitted_at=draft.submitted_at_s,
        metadata=draft.metadata_json,
    )


def _calling_back(shown: Shown, now: float) -> Write:
    """Make it due at once, with what its task has come to: no poll is spent on it."""
    due = shown.registration
    write = Write()
    write.blob(keys.body(due.id), message.body(due, shown.task_status), kept=True)
    write.registration(due, now=now, events=(EventName.REGISTERED, EventName.FINAL))
    return write


def _joining(registration: Registration, task: Task | None, now: float) -> Write:
    """Save the registration with the waiters of its task, which is made if there is none."""
    write = Write()
    write.registration(registration, now=now, events=(EventName.REGISTERED,))
    if task is None:
        waited_for = Task(
            name=registration.task_name,
            registered_at=now,
            deadline_at=registration.deadline_at,
            waiters=(registration.id,),
            client=registration.client,
            submitted_at=registration.submitted_at,
            traceparent=registration.traceparent,
        )
    else:
        waited_for = after_join(
            task,
            registration.id,
            deadline_at=registration.deadline_at,
            submitted_at=registration.submitted_at,
            traceparent=registration.traceparent,
        )
    write.task(waited_for)
    return write
