"""Polls: the calls that a poll lane sends, each in its slot, and what their answers do to task, gate and budget."""

import asyncio
import time
from collections.abc import Coroutine
from math import inf
from typing import Any

from relay import crash, log, metrics
from relay.clients.upstream import UpstreamClient
from relay.context import Relay
from relay.crash import Point
from relay.domain.account import Account, LearnedLimit
from relay.domain.answer import Answer, AnswerKind
from relay.domain.backlog import Hints
from relay.domain.budget import Limit, Tally
from relay.domain.errors import FencedError, UnreadableError
from relay.domain.gate import Gate, GateState, Pause, after_answer, after_mending, after_news, after_send
from relay.domain.operations import Operation
from relay.domain.outage import Outages
from relay.domain.slots import Slot, Slots
from relay.domain.task import Task, TaskState, rest_s
from relay.domain.trail import Polled, written
from relay.lanes.care import Care
from relay.lanes.pending import Pending
from relay.lanes.stirring import Stirring
from relay.services.hint import ask_backlog, heed
from relay.services.poll import Asker, ask, settle, tells_of_the_task
from relay.store.lanes import AHEAD_MS
from relay.store.write import Fence

SLACK_S = 0.25  # a slot is good for so long after its time, and its call may begin so long after that
UNSAVED_REST_S = 1.0
UNHEARD = Answer(AnswerKind.ERROR)  # what was not committed is as if it had not been asked

logger = log.get(__name__)


class Polls:
    """Sends what may be sent. `account` is who pays, None while the account is unknown: then nothing is sent.

    `lost` is set once a commit was refused because the lane has another holder.
    """

    def __init__(
        self, relay: Relay, fence: Fence, account: Account | None, pending: Pending, care: Care, done: Stirring
    ) -> None:
        self.account = account
        self.lost = False
        self.slots = Slots(relay.settings.upstream_limit if account is None else account.limit, slack_s=SLACK_S)
        self._relay = relay
        self._fence = fence
        self._pending = pending
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._upstream = UpstreamClient(relay.tls, timeout_s=relay.settings.upstream_timeout_s)
        self._gate = Gate()
        self._past_outages = Outages()
        self._care = care
        self._tally = Tally()
        self._hints = Hints()
        self._under_way: set[asyncio.Task[None]] = set()
        self._hungry = metrics.WAITING.hungry_since

    def __len__(self) -> int:
        return len(self._under_way)

    def wanted(self, now: float, *, turn_s: float) -> int:
        """Return how many slots the next turn should grant; with nothing to send, hand back those in hand."""
        opens_at = self._gate.opens_at(time.time())
        if self.account is None or len(self._pending) == 0 or opens_at > time.time() + turn_s:
            self.slots.give_back()
            return 0
        return self.slots.wanted(now, ahead_s=AHEAD_MS / 1000)

    def send_ready(self) -> None:
        """Send a poll for each slot that is ready, as long as there is a task to ask about and the gate is open."""
        while self.account is not None:
            now, wall = self._loop.time(), time.time()
            slot = None if self._held_back(now, wall) else self.slots.take(now)
            call = None if slot is None else self._next_call(self.account, slot, wall)
            if call is None:
                return
            self._sent(now, wall)
            under_way = self._loop.create_task(call)
            self._under_way.add(under_way)
            under_way.add_done_callback(self._under_way.discard)

    def next_at(self) -> float:
        """Return when the next poll may be sent (the loop's clock), or infinity when something must happen first."""
        now, wall = self._loop.time(), time.time()
        pick_at, slot_at = self._pending.picker.ready_at(now=wall), self.slots.ready_at(now)
        if self.account is None or pick_at is None or slot_at is None:
            return inf
        return max(slot_at, now + pick_at - wall, now + self._gate.opens_at(wall) - wall)

    def welcome(self) -> None:
        """Hear that there are new tasks."""
        self._gate = after_news(self._gate, self._relay.gates, now=time.time())

    def use(self, account: Account | None, limit: Limit | None) -> None:
        """Keep to the account as it stands now, from the next slot on."""
        if account is not None and self.account is not None and not account.asks_as(self.account):
            self._gate = after_mending(self._gate, now=time.time())
        self.account = account
        if limit is not None and limit != self.slots.limit:
            self.slots.change(limit)

    def recall(self, outages: Outages, pause: Pause | None) -> None:
        """Take in what the lane's last holder has seen of the upstream."""
        self._past_outages = outages
        if pause is not None:
            self._close_gate(pause.gate(self._relay.gates))

    @property
    def pause(self) -> Pause | None:
        """Why the account is paused, if it is."""
        return self._gate.pause

    def outages(self, now: float) -> Outages:
        """Return when the upstream was down, the present outage up to now (Unix seconds)."""
        return self._past_outages.lasting(self._gate.failing_since, now=now)

    async def drain(self, timeout_s: float) -> None:
        """Let the polls under way be answered, for a while, and give back the slots in hand."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=timeout_s)
        self.slots.give_back()

    async def aclose(self) -> None:
        """Break off what is still under way."""
        for poll in self._under_way:
            poll.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._upstream.aclose()
        metrics.ACCOUNTS_PAUSED.dec(self._gate.state is GateState.PAUSED)
        self._hungry.pop(self._fence.lane.account, None)
        metrics.BY_ACCOUNT.handed_back(self._fence.lane.account)

    def _held_back(self, now: float, wall: float) -> bool:
        if self._pending.picker.ready_at(now=wall) != wall:
            self._hungry.pop(self._fence.lane.account, None)
            return True
        self._hungry.setdefault(self._fence.lane.account, now)
        return self._gate.opens_at(wall) > wall

    def _sent(self, now: float, wall: float) -> None:
        metrics.GATE_WAIT.observe(now - self._hungry.pop(self._fence.lane.account, now))
        metrics.UPSTREAM_OVERSPENT.inc(not self._tally.admits(self.slots.limit, now))
        self._gate = after_send(self._gate, self._relay.gates, now=wall)

    def _next_call(self, account: Account, slot: Slot, wall: float) -> Coroutine[Any, Any, None] | None:
        """Return the call that is worth most now: a poll, or now and then the metrics call."""
        hinted = self._relay.settings.upstream_metrics_hint and self._gate.state is GateState.OPEN
        operation = self._hints.due(self._pending.picker.ahead()) if hinted else None
        if operation is not None:
            return self._hint(account, operation, slot)
        key = self._pending.picker.pick(now=wall)
        return None if key is None else self._poll(account, key, self._pending.tasks[key], slot)

    async def _hint(self, account: Account, operation: Operation, slot: Slot) -> None:
        """Ask how the operation's queue stands. Of the gate it moves only what a refusal for rate does."""
        asked_at = time.time()
        try:
            told = await ask_backlog(Asker(account, self._upstream), operation)
        finally:
            self.slots.answered(slot, self._loop.time())
        if isinstance(told, Answer) and told.kind is AnswerKind.THROTTLED:
            now = time.time()
            self._close_gate(after_answer(self._gate, told, self._relay.gates, self.slots.limit, now=now))
        self._hints.told(operation, heed(self._pending.picker, operation, told, asked_at=asked_at))
        self._pending.passed(now=time.time())
        self._done.stir()

    async def _poll(self, account: Account, key: str, task: Task, slot: Slot) -> None:
        rest_s = self._care.rest_s(key)
        if rest_s > 0:
            self.slots.answered(slot, self._loop.time())
            self._pending.picker.answered(key, UNHEARD, now=time.time(), rest_s=rest_s)
            return
        try:
            answer = await self._ask(account, key, task, slot)
            now = time.time()
            self._close_gate(after_answer(self._gate, answer, self._relay.gates, self.slots.limit, now=now, task=key))
            await self._learn_limit(account, answer, now)
            await self._settle(key, task, answer, now)
            crash.reached(Point.POLL_COMMITTED, task.name.request_id)
        except FencedError:
            self.lost = True
        except UnreadableError:
            self._pending.set_aside(key, now=time.time())
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the task must be asked again
            logger.warning("answer_not_committed", account=account.name, error=type(error).__name__)
            self._pending.picker.answered(key, UNHEARD, now=time.time(), rest_s=UNSAVED_REST_S)
        finally:
            await self._care.end(key)
        self._done.stir()

    async def _ask(self, account: Account, key: str, task: Task, slot: Slot) -> Answer:
        try:
            async with asyncio.timeout(SLACK_S):  # a slot that is used later than that is held too short
                await self._care.begin(key)
            crash.reached(Point.POLL_PICKED, task.name.request_id)
            answer = await ask(Asker(account, self._upstream), task)
        finally:
            self.slots.answered(slot, self._loop.time())
        crash.reached(Point.POLL_ANSWERED, task.name.request_id)
        return answer

    async def _learn_limit(self, account: Account, answer: Answer, now: float) -> None:
        known = self._pending.learned_limit
        if answer.limit is None or (known and known.limit == answer.limit and known.holds_for(account)):
            return
        self._pending.learned_limit = learned = LearnedLimit(answer.limit, account.limit, now)
        logger.warning("limit_learned", account=account.name, limit=str(answer.limit))
        await self._relay.lanes.learn(self._fence, learned)

    async def _settle(self, key: str, task: Task, answer: Answer, now: float) -> None:
        settled: Task | None = task
        polls = written(Polled(now, answer.kind))
        if tells_of_the_task(answer) and not self._blames_the_account(answer):
            if answer.kind is not AnswerKind.PENDING:
                polls = self._pending.forget_unwritten(key) + polls
            answered_at = self._gate.answered_at
            settled = await settle(
                self._relay, self._fence, task, answer, answered_at=answered_at, now=now, polls=polls
            )
        still = settled if settled is not None and settled.state is TaskState.PENDING else None
        self._pending.picker.answered(key, answer, now=now, rest_s=0.0 if still is None else rest_s(still))
        self._pending.passed(now=now)
        if still is None:
            self._pending.drop(key)
        else:
            self._pending.polled(key, polls)
            self._pending.looked(key, still, answer, now=now)

    def _blames_the_account(self, answer: Answer) -> bool:
        """Whether it is a refusal of an id while every id is refused: that says nothing of this one."""
        return answer.kind is AnswerKind.REJECTED and self._gate.state is GateState.PAUSED

    def _close_gate(self, gate: Gate) -> None:
        if gate.failing_since is None:
            self._past_outages = self.outages(time.time())
        before, self._gate = self._gate, gate
        if gate.state is before.state:
            return
        paused = (gate.state is GateState.PAUSED) - (before.state is GateState.PAUSED)
        metrics.ACCOUNTS_PAUSED.inc(paused)
        tell = logger.error if paused > 0 else logger.info
        tell("account_gate", account=self._fence.lane.account, state=gate.state, reason=gate.reason or before.reason)
