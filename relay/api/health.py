"""`/healthz`, `/readyz`, `/metrics`: the same in the API and in a worker."""

import orjson
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response
from starlette.routing import Route

from relay import metrics
from relay.api.state import AppRequest
from relay.context import Relay
from relay.domain.errors import StoreUnavailableError
from relay.domain.gate import Pause
from relay.store.counts import waiting
from relay.store.opening import weaknesses

TOLD = 10  # paused accounts, by name


async def live(_: AppRequest) -> Response:
    """GET /healthz: the process answers."""
    return Response(orjson.dumps({"status": "ok"}), media_type="application/json")


async def ready(request: AppRequest) -> Response:
    """GET /readyz: the store answers and would lose nothing; `degraded` when it would and that is allowed."""
    relay = request.state["relay"]
    try:
        found = await weaknesses(relay.store)
        paused = await relay.pauses.all()
    except StoreUnavailableError as error:
        return _readiness(503, "unavailable", str(error))
    told = _told_of(paused)
    if not found:
        return _readiness(200, "ready", "; ".join(told))
    allowed = relay.settings.allow_degraded
    told = ["the store could lose a registration", *told]
    return _readiness(200 if allowed else 503, f"degraded: {'; '.join(found)}", "; ".join(told))


def _told_of(paused: dict[str, Pause]) -> list[str]:
    """Say which accounts are paused: that takes no process out of service, but somebody must look after it."""
    told = [f"the account {name} is paused: {pause.reason}" for name, pause in paused.items()]
    return told if len(told) <= TOLD else [*told[:TOLD], f"{len(told) - TOLD} more accounts are paused"]


def _readiness(status: int, word: str, detail: str) -> Response:
    return Response(orjson.dumps({"status": word, "detail": detail}), status, media_type="application/json")


async def measure(request: AppRequest) -> Response:
    """GET /metrics: Prometheus text; what waits is counted in the store at the scrape."""
    await _count_waiting(request.state["relay"])
    return Response(generate_latest(metrics.REGISTRY), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})


async def _count_waiting(relay: Relay) -> None:
    try:
        found = await waiting(relay.store)
    except StoreUnavailableError:
        metrics.WAITING.unknown()
    else:
        metrics.WAITING.told(found.registrations, found.oldest_due_s)


ROUTES = [Route("/healthz", live), Route("/readyz", ready), Route("/metrics", measure)]
