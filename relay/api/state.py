"""What every handler is given: the process's parts and its keys."""

from typing import TypedDict

from starlette.requests import Request

from relay.api.auth import Keys
from relay.context import Relay


class State(TypedDict):
    """Lives as long as the app."""

    relay: Relay
    keys: Keys


AppRequest = Request[State]
