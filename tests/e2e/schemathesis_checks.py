"""What no document can say of the API, as checks in the place of two of schemathesis's own, and else as strict.

A valid registration may be refused for what was sent before it: an Idempotency-Key with another body, or an account
that was changed so that the client may not use it. And DELETE cancels a registration, which stays to be seen.
"""

from dataclasses import asdict
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance, use_after_free

from relay.domain.errors import KeyReusedError, MalformedKeyError
from relay.domain.idempotency import parse_key
from relay.services.register import NO_ACCOUNT

_keys_sent: set[str] = set()
_accounts_changed: set[str] = set()


@schemathesis.check
def valid_data_acceptance(ctx: Any, response: Any, case: Any) -> bool | None:
    """Judge as positive_data_acceptance does, but for what follows from an earlier call."""
    key = _key_of(response.request.headers.get("Idempotency-Key"))
    sent_before = key in _keys_sent
    if key is not None:
        _keys_sent.add(key)
    if case.operation.path == "/v1/accounts/{name}" and response.request.method in {"PUT", "DELETE"}:
        _accounts_changed.add(response.request.url)
    refusal = response.json() if response.status_code == KeyReusedError.status else {}
    reused = sent_before and refusal.get("code") == KeyReusedError.code
    closed = bool(_accounts_changed) and refusal.get("errors") == [asdict(NO_ACCOUNT)]
    return None if reused or closed else positive_data_acceptance(ctx, response, case)


@schemathesis.check
def use_after_removal(ctx: Any, response: Any, case: Any) -> bool | None:
    """Judge as use_after_free does, but for registrations: their DELETE cancels."""
    cancelled = case.operation.path.startswith("/v1/registrations/{id}")
    return None if cancelled else use_after_free(ctx, response, case)


def _key_of(field: str | None) -> str | None:
    try:
        return None if field is None else parse_key([field])
    except MalformedKeyError:
        return None
