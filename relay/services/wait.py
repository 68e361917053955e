"""Wait: show a registration once its task is final, without asking the store meanwhile."""

import time

from relay.context import Relay
from relay.domain.caller import Caller
from relay.domain.errors import StoreUnavailableError
from relay.domain.registration import RegistrationState
from relay.services.show import Shown, seen, with_task
from relay.store.knocks import Knocks

AGAIN_S = 1.0  # after which a store that was not there is asked again


async def show_final(relay: Relay, knocks: Knocks, caller: Caller, registration_id: str, *, within_s: float) -> Shown:
    """Return the registration once it is not pending any more, or as it stands when the time is out.

    Raises NotFoundError, and StoreUnavailableError when the store is not there at the beginning or at the end.
    """
    ends_at = time.monotonic() + within_s
    registration = await seen(relay, caller, registration_id)
    with knocks.listening(registration.client, registration_id) as knock:
        while True:
            left_s = 0.0 if knocks.ended else ends_at - time.monotonic()
            try:
                shown = await with_task(relay, await seen(relay, caller, registration_id))
            except StoreUnavailableError:
                if left_s <= 0:
                    raise
                await knock.heard(min(left_s, AGAIN_S))
                continue
            if shown.registration.state is not RegistrationState.PENDING or left_s <= 0:
                return shown
            await knock.heard(left_s)
