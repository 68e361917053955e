"""Every error that a caller can cause or must know of. A bug raises something else and answers 500.

`code` is stable: it stands in the API's problem documents, in logs and in the docs. `status` is the HTTP status.
"""

from dataclasses import dataclass
from typing import ClassVar


class RelayError(Exception):
    """Root of every expected error."""

    code: ClassVar[str]
    status: ClassVar[int]
    retry_after_s: int | None = None


@dataclass(frozen=True)
class FieldError:
    """One wrong field: `pointer` is its JSON pointer (RFC 6901), `detail` says what is wrong."""

    pointer: str
    detail: str


class InvalidRequestError(RelayError):
    """Some fields are wrong; `errors` names every one."""

    code = "invalid_request"
    status = 422

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.pointer or 'body'}: {error.detail}" for error in errors))
        self.errors = errors


class DestinationRefusedError(RelayError):
    """The callback URL points where the relay does not call; `verdict` says why, by the URL's form alone."""

    code = "destination_refused"
    status = 422

    def __init__(self, verdict: str) -> None:
        super().__init__(f"the callback URL is refused: {verdict}")
        self.verdict = verdict
        self.errors = (FieldError("/callback_url", str(self)),)


class MalformedBodyError(RelayError):
    """The body is not JSON."""

    code = "malformed_body"
    status = 400


class BodyTooLargeError(RelayError):
    """The body is over the limit."""

    code = "body_too_large"
    status = 413


class UnauthorizedError(RelayError):
    """The credential is missing or unknown."""

    code = "unauthorized"
    status = 401


class ForbiddenError(RelayError):
    """The credential is known, and does not allow this."""

    code = "forbidden"
    status = 403


class QuotaExceededError(RelayError):
    """The client has asked for more than its quota; `policy` names which."""

    code = "quota_exceeded"
    status = 429

    def __init__(self, policy: str, detail: str, retry_after_s: int) -> None:
        super().__init__(f"the client's quota of {policy}: {detail}")
        self.policy = policy
        self.retry_after_s = retry_after_s


class NotFoundError(RelayError):
    """There is no such thing, or it belongs to somebody else."""

    code = "not_found"
    status = 404


class MalformedKeyError(RelayError):
    """The Idempotency-Key is none."""

    code = "malformed_idempotency_key"
    status = 400


class KeyReusedError(RelayError):
    """The Idempotency-Key has come with another body."""

    code = "idempotency_key_reused"
    status = 422


class KeyInUseError(RelayError):
    """The first request with this Idempotency-Key is not answered yet."""

    code = "idempotency_key_in_use"
    status = 409
    retry_after_s = 1


class StoreUnavailableError(RelayError):
    """The store did not answer in time, or refused the write: nothing was promised."""

    code = "store_unavailable"
    status = 503
    retry_after_s = 1


class StoreNotDurableError(RelayError):
    """The store would lose acknowledged writes; `weaknesses` say how."""

    code = "store_not_durable"
    status = 503
    retry_after_s = 30

    def __init__(self, weaknesses: tuple[str, ...]) -> None:
        super().__init__("the store is not durable: " + "; ".join(weaknesses))
        self.weaknesses = weaknesses


class FencedError(RelayError):
    """The lane has another holder by now: this worker's write was refused."""

    code = "fenced"
    status = 503


class UnreadableError(RelayError):
    """A record of the store is damaged, or written by a version to come; it is left as it is."""

    code = "unreadable_record"
    status = 500


class InSettingsError(RelayError):
    """It is in the settings, and cannot be removed by a call."""

    code = "in_settings"
    status = 409


class IllegalMoveError(RelayError):
    """The record's state does not admit this move."""

    code = "illegal_move"
    status = 409

    def __init__(self, state: str, move: str) -> None:
        super().__init__(f"a record that is {state} cannot be {move}")
        self.state = state
        self.move = move


class RedeliveriesSpentError(RelayError):
    """The registration has been redelivered as often as one can be."""

    code = "redeliveries_spent"
    status = 409


class SettingError(RelayError):
    """A setting is wrong; the message names it, gives the reason, and never its value when it is a secret."""

    code = "wrong_setting"
    status = 500
