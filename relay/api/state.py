"""What every handler is given: the process's parts, its keys, and how the caller stands."""

from typing import NotRequired, TypedDict

from starlette.requests import Request

from relay.api.credentials import Keys
from relay.api.ledger import Ledger
from relay.context import Relay
from relay.domain.quota import Standing


class State(TypedDict):
    """Lives as long as the app; `standing` belongs to one request."""

    relay: Relay
    keys: Keys
    ledger: Ledger
    standing: NotRequired[Standing]


AppRequest = Request[State]
