"""What schemathesis cannot know: an Idempotency-Key is bound to the body that it came with first."""

from typing import Any

import schemathesis

_bodies: dict[Any, Any] = {}


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Take the key from a request that would reuse it for another body; with the same body it stays."""
    key = (case.headers or {}).get("Idempotency-Key")
    if key is not None and _bodies.setdefault((case.path, key), case.body) != case.body:
        del case.headers["Idempotency-Key"]
