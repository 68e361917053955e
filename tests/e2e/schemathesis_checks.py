"""What no document can say: an Idempotency-Key is refused with another body than the one that it came with first."""

from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance as theirs

from relay.domain.errors import KeyReusedError, MalformedKeyError
from relay.domain.idempotency import parse_key

_sent: set[str] = set()


@schemathesis.check
def valid_data_acceptance(ctx: Any, response: Any, case: Any) -> bool | None:
    """Judge as theirs does, but for this one refusal of a key that was sent before."""
    key = _key_of(response.request.headers.get("Idempotency-Key"))
    sent_before = key in _sent
    if key is not None:
        _sent.add(key)
    refused_for_it = response.status_code == KeyReusedError.status and response.json()["code"] == KeyReusedError.code
    return None if sent_before and refused_for_it else theirs(ctx, response, case)


def _key_of(field: str | None) -> str | None:
    try:
        return None if field is None else parse_key([field])
    except MalformedKeyError:
        return None
