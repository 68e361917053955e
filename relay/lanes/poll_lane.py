"""PollLane: the polls of one account, as long as this worker holds them."""

import asyncio
import time
from math import floor

from relay import log, metrics
from relay.context import Relay
from relay.domain.account import Account
from relay.domain.budget import effective_limit
from relay.domain.errors import FencedError, StoreUnavailableError
from relay.domain.task import TaskState
from relay.lanes.pending import Pending
from relay.lanes.polls import SLACK_S, Polls
from relay.lanes.stirring import Stirring
from relay.services.expire import expire
from relay.store.lanes import LEASE_MS, PAGE, Grants, Rate, TurnRequest
from relay.store.write import Fence

TURN_S = 1.0
STIRRED_TURN_S = 0.02  # however often it is stirred, a lane takes no more than fifty turns a second
RETRY_TURN_S = 0.1
LINGER_S = 2.0
MODEL_KEPT_EVERY_S = 30.0  # it can be lost: then it is learned again
DRAIN_S = 0.8

logger = log.get(__name__)


class PollLane:
    """Takes a turn at the store each second, and sends a poll for each slot that it was granted.

    `run` ends when the lane was stopped, has had nothing to do for a while, or belongs to somebody else by now.
    """

    def __init__(self, relay: Relay, fence: Fence, account: Account | None) -> None:
        self.fence = fence
        self._relay = relay
        self._pending = Pending()
        self._stirring = Stirring()
        self._polls = Polls(relay, fence, account, self._pending, self._stirring)
        self._loop = asyncio.get_running_loop()
        self._turned_at = self._busy_at = self._loop.time()
        self._next_turn_at = 0.0
        self._stirred = False
        self._keep_model_at = self._loop.time() + MODEL_KEPT_EVERY_S
        self._behind = True  # until all that has changed is loaded
        self._stopping = False

    def stir(self) -> None:
        """Take a turn soon: something has changed."""
        self._stirred = True
        self._stirring.stir()

    def stop(self) -> None:
        """Send no more polls, and hand the lane back."""
        self._stopping = True
        self._stirring.stir()

    async def run(self) -> None:
        """Work the lane. Whatever ends it, what was granted and not told stays held until it has run out."""
        try:
            await self._recall()
            while not (self._stopping or self._polls.lost):
                await self._step()
            await self._hand_back()
        except FencedError:
            logger.warning("lane_lost", lane=str(self.fence.lane))
        except StoreUnavailableError:
            logger.warning("lane_not_handed_back", lane=str(self.fence.lane))
        finally:
            await self._polls.aclose()

    async def _step(self) -> None:
        if self._loop.time() >= self._turn_due_at():
            self._stirred = False  # before the turn: what stirs during it wants another one
            await self._try_turn()
        if self._loop.time() - self._turned_at > LEASE_MS / 1000:
            self._stopping = True
            return
        await self._expire_late()
        self._polls.send_ready()
        moment_in_s = self._pending.next_moment() - time.time()
        await self._stirring.sleep_until(
            min(self._polls.next_at(), self._turn_due_at(), self._loop.time() + moment_in_s)
        )

    def _turn_due_at(self) -> float:
        return min(self._next_turn_at, self._turned_at + STIRRED_TURN_S) if self._stirred else self._next_turn_at

    async def _try_turn(self) -> None:
        """Take a turn; while the store is out of reach, try again for as long as the lease lasts."""
        try:
            await self._refresh_account()
            await self._take_changes(await self._turn())
            await self._keep_model()
        except StoreUnavailableError:
            self._behind = True
            self._next_turn_at = self._loop.time() + RETRY_TURN_S
        self._stop_when_idle()

    async def _turn(self) -> Grants:
        started = self._loop.time()
        told = self._told(started, want=self._polls.wanted(started, turn_s=TURN_S))
        try:
            grants = await self._relay.lanes.turn(self.fence, self._rate(), told)
        except StoreUnavailableError:
            self._pending.not_written(told.looks, told.statuses)
            self._polls.slots.forget_grants()
            raise
        self._turned_at, self._next_turn_at = started, started + TURN_S
        received = self._loop.time()
        for at_ms, till_ms, count in grants.slots:
            self._polls.slots.grant(received + at_ms / 1000, till_ms, count)
        label = metrics.account_label(self.fence.lane.account)
        metrics.BUDGET_LIMIT.labels(label).set(self._polls.slots.limit.calls)
        metrics.BUDGET_IN_USE.labels(label).set(min(grants.in_use, self._polls.slots.limit.calls))
        return grants

    def _told(self, now: float, *, want: int) -> TurnRequest:
        earliest_ms = floor(self._polls.slots.earliest_in(now) * 1000)
        ended, unused = self._polls.slots.report(now)
        looks, statuses = self._pending.unwritten()
        return TurnRequest(
            elapsed_ms=round((now - self._turned_at) * 1000),
            want=want,
            since=self._pending.change,
            ended=ended,
            unused=unused,
            looks=looks,
            statuses=statuses,
            all_changes=self._behind,
            earliest_ms=earliest_ms,
        )

    def _rate(self) -> Rate:
        daily_limit = None if self._polls.account is None else self._polls.account.daily_limit
        return Rate(self._polls.slots.limit, daily_limit, self._relay.settings.upstream_timeout_s + SLACK_S)

    async def _refresh_account(self) -> None:
        self._polls.account = account = await self._relay.account(self.fence.lane.account)
        if account is not None:
            limit = effective_limit(account.limit, self._pending.learned_limit, account.share)
            if limit != self._polls.slots.limit:
                self._polls.slots.change(limit)
            self._pending.picker.slot_s = limit.pace_s

    async def _take_changes(self, grants: Grants) -> None:
        """Load what was registered, joined or left since the last turn; after a takeover that is everything."""
        tasks = await self._relay.lanes.tasks(self.fence.lane.account, grants.changed)
        for task in tasks:
            self._pending.take(task, now=time.time())
        self._pending.weigh_anew(now=time.time())
        self._pending.change = grants.change
        self._behind = len(grants.changed) == PAGE
        if tasks:
            self._polls.welcome()
        if self._behind or (tasks and self._polls.slots.ready_at(self._loop.time()) is None):
            self._next_turn_at = self._loop.time()

    async def _recall(self) -> None:
        """Go on from what the lane's last holder had learned."""
        self._pending.learned_limit = await self._relay.lanes.learned(self.fence)
        model = await self._relay.lanes.model(self.fence)
        if model is not None:
            self._pending.picker.learn_from(model)

    async def _keep_model(self) -> None:
        if self._loop.time() >= self._keep_model_at:
            self._keep_model_at = self._loop.time() + MODEL_KEPT_EVERY_S
            await self._relay.lanes.keep_model(self.fence, self._pending.picker.model())

    def _stop_when_idle(self) -> None:
        if len(self._pending) > 0 or len(self._polls) > 0 or self._behind:
            self._busy_at = self._loop.time()
        elif self._loop.time() - self._busy_at > LINGER_S:
            self._stopping = True

    async def _expire_late(self) -> None:
        for key in self._pending.late(now=time.time()):
            name, status = self._pending.tasks[key].name, self._pending.fresh_status(key)
            try:
                task = await expire(self._relay, self.fence, name, fresh_status=status, now=time.time())
            except StoreUnavailableError:
                self._pending.remind(key, at=time.time() + TURN_S)
                return
            if task is None or task.state is not TaskState.PENDING:
                self._pending.drop(key)
            else:
                self._pending.take(task, now=time.time())

    async def _hand_back(self) -> None:
        await self._polls.drain(DRAIN_S)
        await self._relay.lanes.turn(self.fence, self._rate(), self._told(self._loop.time(), want=0))
        await self._relay.lanes.keep_model(self.fence, self._pending.picker.model())
        await self._relay.lanes.release(self.fence)
