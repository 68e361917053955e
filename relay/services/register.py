"""Register: write down one client's wish, durably and once."""

from relay import crash, log, metrics
from relay.context import Relay
from relay.crash import Point
from relay.domain.destination import Verdict, parse
from relay.domain.draft import Draft
from relay.domain.errors import DestinationRefusedError, FieldError, InvalidRequestError, StoreUnavailableError
from relay.domain.registration import Registration, registration_id
from relay.domain.task import Task, TaskName, after_join
from relay.store.write import Write

TRIES = 50

logger = log.get(__name__)


async def register(relay: Relay, client: str, draft: Draft, *, now: float) -> tuple[Registration, bool]:
    """Return the client's registration, and whether it is new.

    When it returns, one script has written all of it. Raises InvalidRequestError, DestinationRefusedError,
    StoreUnavailableError; then nothing was promised.
    """
    registration = await _drafted(relay, client, draft, now)
    task: Task | None = None
    for _ in range(TRIES):
        conflict = await relay.store.commit(_joining(registration, task, now))
        if conflict is None:
            crash.reached(Point.REGISTERED, registration.id, draft.request_id)
            return registration, True
        existing = conflict.registration(registration.id)
        if existing is not None:
            return existing, False
        task = conflict.task(registration.task_name)
    raise StoreUnavailableError("too many registrations for one task at once")


async def _drafted(relay: Relay, client: str, draft: Draft, now: float) -> Registration:
    account = await relay.account(draft.account)
    if account is None or not account.admits(client):
        raise InvalidRequestError(FieldError("/account", "there is no such account"))
    target = parse(draft.callback_url, relay.destinations)
    if isinstance(target, Verdict):
        metrics.DESTINATIONS_REFUSED.labels(target).inc()
        logger.info("destination_refused", client=client, verdict=target)
        raise DestinationRefusedError(target)
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


def _joining(registration: Registration, task: Task | None, now: float) -> Write:
    """Save the registration where its task's state puts it: with the waiters, or due at once."""
    write = Write()
    write.registration(registration, now=now)
    if task is not None and task.settled:
        write.due(registration.task_name.account, registration.id, delay_s=0.0)
    elif task is not None:
        joined = after_join(
            task, registration.id, deadline_at=registration.deadline_at, submitted_at=registration.submitted_at
        )
        write.task(joined)
    else:
        write.task(
            Task(
                name=registration.task_name,
                registered_at=now,
                deadline_at=registration.deadline_at,
                waiters=(registration.id,),
                client=registration.client,
                submitted_at=registration.submitted_at,
            )
        )
    return write
