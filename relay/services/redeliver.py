"""Redeliver: a callback that was delivered or given up is due again, with the same id and the same body."""

from relay import log
from relay.context import Relay
from relay.domain.caller import Caller
from relay.domain.errors import NotFoundError, StoreUnavailableError
from relay.domain.event import EventName
from relay.domain.registration import Registration, after_redelivery
from relay.services.show import seen
from relay.store import keys
from relay.store.write import Write

TRIES = 20

logger = log.get(__name__)


async def redeliver(relay: Relay, caller: Caller, registration_id: str, *, now: float) -> Registration:
    """Make a registration that the caller sees due at once, and return it as it was written.

    Raises NotFoundError, IllegalMoveError unless it is delivered or dead, RedeliveriesSpentError,
    StoreUnavailableError.
    """
    for _ in range(TRIES):
        registration = await seen(relay, caller, registration_id)
        due = after_redelivery(registration, now=now)
        body = await relay.store.body(registration_id)
        if body is None:
            raise NotFoundError("there is no such registration")  # it comes to its end this very moment
        write = Write()
        write.blob(keys.body(registration_id), body, kept=True)
        write.registration(due, now=now, events=(EventName.REDELIVERED,))
        if await relay.store.commit(write) is None:
            logger.info("redelivered", registration=registration_id, client=due.client)
            return due
    raise StoreUnavailableError("too many changes of one registration at once")
