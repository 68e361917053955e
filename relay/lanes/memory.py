"""Memory: what the holder of a poll lane knows and its next holder should, kept in the store now and then."""

import asyncio
import time

from relay.context import Relay
from relay.domain.gate import Pause
from relay.domain.outage import Outages
from relay.lanes.pending import Pending
from relay.lanes.polls import Polls
from relay.store.write import Fence

MODEL_KEPT_EVERY_S = 30.0  # it can be lost: then it is learned again
OUTAGE_KEPT_EVERY_S = 5.0


class Memory:
    """The learned limit, the picker's model, the upstream's outages, and why the account is paused.

    Raises FencedError and StoreUnavailableError.
    """

    def __init__(self, relay: Relay, fence: Fence, pending: Pending, polls: Polls) -> None:
        self._relay = relay
        self._fence = fence
        self._pending = pending
        self._polls = polls
        self._loop = asyncio.get_running_loop()
        self._keep_model_at = self._loop.time() + MODEL_KEPT_EVERY_S
        self._keep_outages_at = 0.0
        self._kept_outages = Outages()
        self._kept_pause: Pause | None = None

    async def recall(self) -> None:
        """Go on from what the lane's last holder had learned."""
        account = self._fence.lane.account
        self._pending.learned_limit = await self._relay.lanes.learned(account)
        model = await self._relay.lanes.model(self._fence)
        if model is not None:
            self._pending.picker.learn_from(model)
        self._kept_outages = await self._relay.lanes.outages(self._fence)
        self._kept_pause = await self._relay.pauses.get(account)
        self._polls.recall(self._kept_outages, self._kept_pause)

    async def keep(self) -> None:
        """Keep what is new, each at its own time; a pause at once, as people wait to hear of it."""
        pause = self._polls.pause
        if pause != self._kept_pause:
            await self._relay.pauses.keep(self._fence, pause)
            self._kept_pause = pause
        if self._loop.time() >= self._keep_model_at:
            self._keep_model_at = self._loop.time() + MODEL_KEPT_EVERY_S
            await self._relay.lanes.keep_model(self._fence, self._pending.picker.model())
        outages = self._polls.outages(time.time())
        if outages != self._kept_outages and self._loop.time() >= self._keep_outages_at:
            self._keep_outages_at = self._loop.time() + OUTAGE_KEPT_EVERY_S
            await self._relay.lanes.keep_outages(self._fence, outages)
            self._kept_outages = outages

    async def keep_all(self) -> None:
        """Keep everything, as somebody else may go on at once."""
        self._keep_model_at = self._keep_outages_at = 0.0
        await self.keep()
