"""What every handler is given: the process's parts, its keys, who waits for what, and how the caller stands."""

from collections import Counter
from typing import NotRequired, TypedDict

from starlette.requests import Request

from relay.api.credentials import Keys
from relay.api.ledger import Ledger
from relay.context import Relay
from relay.domain.quota import Standing
from relay.store.knocks import Knocks


class State(TypedDict):
    """Lives as long as the app; `request` (its id) and `standing` belong to one request.

    `streams` counts each client's open ones, and the admin's as None's.
    """

    relay: Relay
    keys: Keys
    ledger: Ledger
    knocks: Knocks
    streams: Counter[str | None]
    request: NotRequired[str]
    standing: NotRequired[Standing]


AppRequest = Request[State]
