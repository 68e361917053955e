"""Account: one upstream credential, its base URL and its limit; the rate budget belongs to it."""

from dataclasses import dataclass, field

from relay.domain.budget import Limit, effective_limit
from relay.domain.operations import DETAILS, Operation, metrics_path

DEFAULT_ACCOUNT = "default"
DOCUMENTED_LIMIT = Limit(25, 5.0)  # the vendor's


@dataclass(frozen=True, slots=True)
class Account:
    """An account's settings. `daily_limit` is calls a UTC day; `clients` are who may use it, None for everybody.

    `limit_said_at` is when the operator last gave its limit (Unix seconds); 0 when that is in the settings. `said`
    tells what the store had of it from what it may have later.
    """

    name: str
    upstream_url: str
    api_key: str = field(repr=False)
    limit: Limit
    share: float = 1.0
    daily_limit: int | None = None
    clients: frozenset[str] | None = None
    status_path: str | None = None
    limit_said_at: float = 0.0
    said: str = ""

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

    def asks_as(self, other: "Account") -> bool:
        """Whether the upstream is asked alike for both: the same URLs, the same key."""
        return (self.upstream_url, self.api_key, self.status_path) == (
            other.upstream_url,
            other.api_key,
            other.status_path,
        )

    def limit_in_use(self, learned: "LearnedLimit | None") -> Limit:
        """Return what the relay keeps to: the slower of what was said and what was learned since, and its share."""
        holds = learned is not None and learned.holds_for(self)
        return effective_limit(self.limit, learned.limit if learned is not None and holds else None, self.share)


@dataclass(frozen=True, slots=True)
class LearnedLimit:
    """The limit that a refusal named at `at` (Unix seconds), while `said` was what the operator had given."""

    limit: Limit
    said: Limit
    at: float

    def holds_for(self, account: Account) -> bool:
        """Whether the operator has said nothing newer about the limit."""
        return self.said == account.limit and self.at >= account.limit_said_at


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account as the operator has added it. What is None is as the default account has it, whatever that is then.

    `clients` are who may use it, None for everybody.
    """

    name: str
    api_key: str = field(repr=False)
    upstream_url: str | None = None
    limit: Limit | None = None
    share: float | None = None
    daily_limit: int | None = None
    clients: frozenset[str] | None = None
    limit_said_at: float = 0.0

    def says_nothing_beyond(self, default: Account | None) -> bool:
        """Whether it is the default account as it is anyway."""
        said = (self.upstream_url, self.limit, self.share, self.daily_limit, self.clients)
        return default is not None and self.name == default.name and self.api_key == default.api_key and not any(said)

    def completed(self, default: Account | None) -> Account | None:
        """Return the whole account, or None when nothing says where its upstream is."""
        upstream_url = self.upstream_url or (default.upstream_url if default else None)
        if upstream_url is None:
            return None
        base = default or Account(self.name, upstream_url, self.api_key, DOCUMENTED_LIMIT)
        return Account(
            name=self.name,
            upstream_url=upstream_url,
            api_key=self.api_key,
            limit=self.limit or base.limit,
            share=self.share or base.share,
            daily_limit=self.daily_limit or base.daily_limit,
            clients=self.clients,
            status_path=base.status_path if self.name == DEFAULT_ACCOUNT else None,
            limit_said_at=self.limit_said_at if self.limit else base.limit_said_at,
        )
