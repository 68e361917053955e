"""`POST /v1/registrations`, and many in one call: each is taken or refused for itself."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import orjson
from starlette.responses import Response

from relay import metrics
from relay.api.auth import caller_of
from relay.api.bodies import decoded, received
from relay.api.problems import problem_of
from relay.api.rendering import document, render
from relay.api.state import AppRequest
from relay.context import Relay
from relay.domain.caller import Scope
from relay.domain.destination import Verdict, parse
from relay.domain.draft import Draft
from relay.domain.errors import (
    DestinationRefusedError,
    FieldError,
    InvalidRequestError,
    RelayError,
    StoreUnavailableError,
)
from relay.domain.idempotency import Kept, fingerprint, parse_key
from relay.domain.registration import RegistrationState
from relay.services.once import Claim, claim, hold, keep, release
from relay.services.register import Keeping, register
from relay.services.show import Shown, with_task

MAX_BATCH = 1_000
MAX_BATCH_BYTES = 8 * 2**20
_UNDONE = {429, 503}  # nothing was done, and it may be sent again
AT_ONCE = 32  # registrations of a batch under way together: enough to share an fsync, few enough to block nobody


async def create(request: AppRequest) -> Response:
    """POST /v1/registrations: 201 when new, 200 when there already; with an Idempotency-Key the same answer again."""
    caller, relay = caller_of(request, Scope.REGISTER), request.state["relay"]
    key = parse_key(request.headers.getlist("idempotency-key"))
    body = await received(request)
    wish = decoded(body)
    if key is None:
        shown, created = await _register(relay, caller.client, wish)
        return _answer(Kept("", 201 if created else 200, _location(shown), render(shown)))
    claimed = await claim(relay, caller.client, key, fingerprint(wish, body))
    if isinstance(claimed, Kept):
        return _answer(claimed, replayed=True)
    try:
        shown, created = await _register(relay, caller.client, wish, Keeping(claimed, render))
        if not created:
            await keep(relay, claimed, status=200, location=_location(shown), body=render(shown))
    except RelayError:
        await release(relay, claimed)
        raise
    return _answer(claimed.kept)


def _answer(kept: Kept, *, replayed: bool = False) -> Response:
    headers = {"location": kept.location} if kept.location else {}
    if replayed:
        headers["idempotency-replayed"] = "true"
    return Response(kept.body, kept.status, headers, media_type="application/json")


async def create_many(request: AppRequest) -> Response:
    """POST /v1/registrations/batch: 200 with one result for each, in order, each with its own status.

    With an Idempotency-Key the same answer again, once there is nothing in it that can be tried again.
    """
    caller, relay = caller_of(request, Scope.REGISTER), request.state["relay"]
    key = parse_key(request.headers.getlist("idempotency-key"))
    body = await received(request, max_bytes=MAX_BATCH_BYTES)
    batch = decoded(body)
    if key is None:
        return _answer(_batch_answer(await _results(relay, caller.client, _wishes(batch))))
    claimed = await claim(relay, caller.client, key, fingerprint(batch, body))
    if isinstance(claimed, Kept):
        return _answer(claimed, replayed=True)
    try:
        results = await _results(relay, caller.client, _wishes(batch), claimed)
        answer = _batch_answer(results)
        if any(result["status"] in _UNDONE for result in results):
            await release(relay, claimed)
        else:
            await keep(relay, claimed, status=answer.status, location="", body=answer.body)
    except RelayError:
        await release(relay, claimed)
        raise
    return _answer(answer)


def _batch_answer(results: list[dict[str, Any]]) -> Kept:
    return Kept("", 200, body=orjson.dumps({"results": results}))


async def _results(relay: Relay, client: str, wishes: list[Any], claimed: Claim | None = None) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [{}] * len(wishes)

    async def take(places: list[int]) -> None:
        for place in places:
            results[place] = await _result(relay, client, wishes[place])

    for first in range(0, len(wishes), AT_ONCE):
        places = range(first, min(first + AT_ONCE, len(wishes)))
        await asyncio.gather(*map(take, _by_task(wishes, places)))
        if claimed is not None:
            await hold(relay, claimed)
    return results


def _by_task(wishes: list[Any], places: Iterable[int]) -> list[list[int]]:
    """Return the places, those for one RequestID together: they would only write over each other."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place in places:
        wish = wishes[place]
        groups[str(wish.get("request_id")) if isinstance(wish, dict) else ""].append(place)
    return list(groups.values())


def _wishes(body: Any) -> list[Any]:
    wishes = body.get("registrations") if isinstance(body, dict) else None
    if not isinstance(wishes, list) or not 1 <= len(wishes) <= MAX_BATCH:
        raise InvalidRequestError(FieldError("/registrations", f"send a list of 1 to {MAX_BATCH} registrations"))
    if unknown := [name for name in body if name != "registrations"]:
        raise InvalidRequestError(*(FieldError(f"/{name}", "there is no such field") for name in unknown))
    return wishes


async def _result(relay: Relay, client: str, wish: Any) -> dict[str, Any]:
    try:
        shown, created = await _register(relay, client, wish)
    except RelayError as error:
        return {"status": error.status, "problem": problem_of(error)}
    return {"status": 201 if created else 200, "location": _location(shown), "registration": document(shown)}


async def _register(relay: Relay, client: str, wish: Any, keeping: Keeping | None = None) -> tuple[Shown, bool]:
    """Return the registration as it stands, and whether it is new; count what became of the wish."""
    try:
        registration, created = await register(relay, client, _draft(relay, wish), now=time.time(), keeping=keeping)
    except RelayError as error:
        unavailable = isinstance(error, StoreUnavailableError)
        metrics.REGISTRATIONS_TOTAL.labels("unavailable" if unavailable else "refused").inc()
        raise
    metrics.REGISTRATIONS_TOTAL.labels("created" if created else "existing").inc()
    fresh = created and registration.state is RegistrationState.PENDING
    return Shown(registration, None, None) if fresh else await with_task(relay, registration), created


def _draft(relay: Relay, wish: Any) -> Draft:
    """Return the draft. When a field is wrong, a callback URL that would be refused is named with it."""
    try:
        return Draft.parse(wish)
    except InvalidRequestError as error:
        url = wish.get("callback_url") if isinstance(wish, dict) else None
        verdict = parse(url, relay.destinations) if isinstance(url, str) else None
        if not isinstance(verdict, Verdict) or any(one.pointer == "/callback_url" for one in error.errors):
            raise
        raise InvalidRequestError(*error.errors, *DestinationRefusedError(verdict).errors) from error


def _location(shown: Shown) -> str:
    return f"/v1/registrations/{shown.registration.id}"
