"""Look up: what the relay knows of a RequestID, for a client that has registered for it; the upstream is not asked."""

import asyncio
from collections.abc import Collection
from itertools import chain

from relay.context import Relay
from relay.domain.errors import NotFoundError
from relay.domain.operations import Operation
from relay.services.show import Shown, with_tasks


async def look_up(
    relay: Relay, clients: Collection[str], operation: Operation, request_id: str, *, account: str | None
) -> Shown:
    """Return what these clients' registrations for this RequestID wait for, or waited for.

    The same id in several accounts is several tasks: then it is one that is settled, else the one registered last.
    Raises NotFoundError when none of them has registered for it, StoreUnavailableError.
    """
    ids = await asyncio.gather(*(relay.index.asked(client, request_id) for client in clients))
    registrations = await relay.store.registrations(tuple(chain.from_iterable(ids)))
    asked = [
        one
        for one in registrations
        if (one.task_name.request_id, one.task_name.operation) == (request_id, operation)
        and account in {None, one.task_name.account}
    ]
    found = await with_tasks(relay, asked)
    if not found:
        raise NotFoundError("nothing is registered for this RequestID")
    return max(found, key=lambda one: (one.task is not None and one.task.settled, one.registration.registered_at))
