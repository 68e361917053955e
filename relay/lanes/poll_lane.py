"""PollLane: the polls of one account, as long as this worker holds them."""

import asyncio
import time
from contextlib import suppress
from math import floor

from relay import log, metrics
from relay.context import Relay
from relay.domain.account import Account
from relay.domain.errors import FencedError, StoreUnavailableError, UnreadableError
from relay.domain.outage import Outages
from relay.domain.task import Task, TaskState
from relay.lanes.care import Care
from relay.lanes.memory import Memory
from relay.lanes.pending import Pending
from relay.lanes.polls import SLACK_S, Polls
from relay.lanes.stirring import Stirring
from relay.services.condemn import condemn_task
from relay.services.expire import expire
from relay.store.keys import named
from relay.store.lanes import LEASE_MS, PAGE, Grants, Rate, TurnRequest
from relay.store.write import Fence

TURN_S = 1.0
STIRRED_TURN_S = 0.02  # however often it is stirred, a lane takes no more than fifty turns a second
RETRY_TURN_S = 0.1
LINGER_S = 2.0
HANDFUL = 50
LATE_AT_ONCE = 50  # tasks whose deadline has passed, between two looks at the clock
DRAIN_S = 0.8
SET_BACK_S = 1.0  # less is waited for

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
        self._care = Care(relay, fence)
        self._polls = Polls(relay, fence, account, self._pending, self._care, self._stirring)
        self._memory = Memory(relay, fence, self._pending, self._polls)
        self._loop = asyncio.get_running_loop()
        self._turned_at = self._busy_at = self._loop.time()
        self._next_turn_at = 0.0
        self._stirred = False
        self._ahead_s = time.time() - self._loop.time()
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
            await self._stirring.sleep_until(self._turn_due_at())  # nothing may be done until a turn says it is ours
            return
        self._stop_when_set_back()
        await self._expire_late()
        self._polls.send_ready()
        moment_in_s = self._pending.next_moment() - time.time()
        await self._stirring.sleep_until(
            min(self._polls.next_at(), self._turn_due_at(), self._loop.time() + moment_in_s)
        )

    def _stop_when_set_back(self) -> None:
        """Hand the lane back when the wall clock was set back: rests and waits that were begun would last too long."""
        ahead_s = time.time() - self._loop.time()
        if ahead_s < self._ahead_s - SET_BACK_S:
            logger.warning("clock_set_back", lane=str(self.fence.lane), by_s=round(self._ahead_s - ahead_s, 1))
            self._stopping = True
        self._ahead_s = ahead_s

    def _turn_due_at(self) -> float:
        return min(self._next_turn_at, self._turned_at + STIRRED_TURN_S) if self._stirred else self._next_turn_at

    async def _try_turn(self) -> None:
        """Take a turn; while the store is out of reach, try again: unless somebody has taken the lane, it goes on."""
        try:
            await self._refresh_account()
            await self._take_changes(await self._turn())
            await self._memory.keep()
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
            self._pending.not_written(told.looks, told.statuses, told.polls)
            raise
        self._polls.slots.heard()
        self._turned_at, self._next_turn_at = started, started + TURN_S
        if grants.outdated:
            self._relay.forget_accounts()
            self._next_turn_at = started
        received = self._loop.time()
        for at_ms, till_ms, count in grants.slots:
            self._polls.slots.grant(received + at_ms / 1000, till_ms, count)
        calls = self._polls.slots.limit.calls
        metrics.BY_ACCOUNT.budget(self.fence.lane.account, limit=calls, in_use=min(grants.in_use, calls))
        return grants

    def _told(self, now: float, *, want: int) -> TurnRequest:
        earliest_ms = floor(self._polls.slots.earliest_in(now) * 1000)
        looks, statuses, polls = self._pending.unwritten()
        return TurnRequest(
            elapsed_ms=round((now - self._turned_at) * 1000),
            want=want,
            since=self._pending.change,
            slots=self._polls.slots.report(now),
            looks=looks,
            statuses=statuses,
            all_changes=self._behind,
            earliest_ms=earliest_ms,
            polls=polls,
        )

    def _rate(self) -> Rate:
        account, timeout_s = self._polls.account, self._relay.settings.upstream_timeout_s + 2 * SLACK_S
        if account is None:
            return Rate(self._polls.slots.limit, None, timeout_s)
        return Rate(self._polls.slots.limit, account.daily_limit, timeout_s, account.said)

    async def _refresh_account(self) -> None:
        account = await self._relay.account(self.fence.lane.account)
        limit = None if account is None else account.limit_in_use(self._pending.learned_limit)
        self._polls.use(account, limit)
        self._pending.picker.slot_s = self._polls.slots.limit.pace_s

    async def _take_changes(self, grants: Grants) -> None:
        """Load what was registered, joined or left since the last turn; after a takeover that is everything."""
        changed = [*self._pending.aside(now=time.time()), *grants.changed]
        tasks = await self._relay.lanes.tasks(self.fence.lane.account, changed)
        for number, (key, task) in enumerate(tasks.items()):
            if task is None:
                self._pending.set_aside(key, now=time.time())
            else:
                self._pending.take(task, now=time.time())
            if number % HANDFUL == HANDFUL - 1:
                await asyncio.sleep(0)  # so that polls are sent and heard while thousands are loaded
        self._pending.weigh_anew(now=time.time())
        self._pending.change = grants.change
        self._behind = len(grants.changed) == PAGE
        pending = any(task is not None and task.state is TaskState.PENDING for task in tasks.values())
        if pending:
            self._polls.welcome()
        if self._behind or (pending and self._polls.slots.ready_at(self._loop.time()) is None):
            self._next_turn_at = self._loop.time()

    async def _recall(self) -> None:
        """Go on from what the lane's last holder had learned, without what it has died of."""
        for key in await self._care.recall():
            with suppress(UnreadableError):  # it will be set aside
                await condemn_task(self._relay, self.fence, named(self.fence.lane.account, key), now=time.time())
            await self._relay.suspects.clear(self.fence, key)
        await self._memory.recall()

    def _stop_when_idle(self) -> None:
        if len(self._pending) > 0 or len(self._polls) > 0 or self._behind or self._pending.has_aside:
            self._busy_at = self._loop.time()
        elif self._loop.time() - self._busy_at > LINGER_S:
            self._stopping = True

    async def _expire_late(self) -> None:
        """Call back those whose deadline has passed, some at a time; while the upstream is down, clocks stand."""
        for key in self._pending.late(now=time.time(), at_most=LATE_AT_ONCE):
            task, now = self._pending.tasks.get(key), time.time()
            if task is None:
                continue
            outages = self._polls.outages(now)
            # While it is down a bound will do: the store is not asked which of the task's waiters are late.
            not_before = outages.extended(task.deadline_at, since=task.registered_at) if outages.present(now) else now
            again_at = not_before if not_before > now else await self._expire(key, task, outages)
            if again_at is not None:
                self._pending.remind(key, at=max(again_at, now + TURN_S))

    async def _expire(self, key: str, task: Task, outages: Outages) -> float | None:
        """Expire the task's late waiters; return when to look again, if the next deadline is not its own."""
        status = self._pending.fresh_status(key)
        try:
            left, next_at = await expire(
                self._relay, self.fence, task.name, outages=outages, fresh_status=status, now=time.time()
            )
        except StoreUnavailableError:
            return time.time() + TURN_S
        except UnreadableError:
            self._pending.set_aside(key, now=time.time())
            return None
        if left is None or left.state is not TaskState.PENDING:
            self._pending.drop(key)
            return None
        self._pending.take(left, now=time.time())
        return next_at

    async def _hand_back(self) -> None:
        await self._polls.drain(DRAIN_S)
        await self._relay.lanes.turn(self.fence, self._rate(), self._told(self._loop.time(), want=0))
        await self._memory.keep_all()
        await self._relay.lanes.release(self.fence)
