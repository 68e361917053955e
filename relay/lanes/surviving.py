"""Surviving: a lane that ends in an error nobody expected is handed back, so that another holder may try."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from relay import log, metrics
from relay.context import Relay
from relay.domain.errors import StoreUnavailableError
from relay.store.write import Fence

SOUND_S = 60.0  # a lane that was worked for so long before it failed has not failed in a row

logger = log.get(__name__)


@asynccontextmanager
async def surviving(relay: Relay, fence: Fence) -> AsyncIterator[None]:
    """Hand the lane back when the block fails: nobody waits for its lease, and it rests before it is tried again."""
    began_at = time.monotonic()
    try:
        yield
    except StoreUnavailableError:
        raise
    except Exception:
        logger.exception("lane_failed", lane=str(fence.lane))
        metrics.LANES_FAILED.labels(fence.lane.kind).inc()
        with suppress(StoreUnavailableError):
            await relay.lanes.release(fence, failed=True, anew=time.monotonic() - began_at > SOUND_S)
