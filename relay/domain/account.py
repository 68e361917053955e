"""Account: one upstream credential, its base URL and its limit; the rate budget belongs to it."""

from dataclasses import dataclass, field

from relay.domain.budget import Limit
from relay.domain.operations import DETAILS, Operation, metrics_path

DEFAULT_ACCOUNT = "default"


@dataclass(frozen=True, slots=True)
class Account:
    """An account's settings. `daily_limit` is calls a UTC day; `clients` are who may use it, None for everybody."""

    name: str
    upstream_url: str
    api_key: str = field(repr=False)
    limit: Limit
    share: float = 1.0
    daily_limit: int | None = None
    clients: frozenset[str] | None = None
    status_path: str | None = None

    def admits(self, client: str) -> bool:
        """Whether this client may register for the account's tasks."""
        return self.clients is None or client in self.clients

    def status_url(self, operation: Operation) -> str:
        """Return the URL of the operation's status call; the RequestID goes into its query."""
        return self.upstream_url + self._status_path(operation)

    def metrics_url(self, operation: Operation) -> str:
        """Return the URL of the operation's metrics call."""
        return self.upstream_url + metrics_path(self._status_path(operation))

    def _status_path(self, operation: Operation) -> str:
        if operation is Operation.LEAD_UPDATE and self.status_path is not None:
            return self.status_path
        return DETAILS[operation].status_path
