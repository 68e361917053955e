"""Stories of the store: whatever happens in whatever order, the scripts on a real Valkey say what a dict would say.

Registrations, claims, turns, endings, changes of mind, lapsed leases and holders that write after theirs has gone,
against a model.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis

from relay.context import Relay, open_relay
from relay.domain.answer import Answer, AnswerKind
from relay.domain.budget import Limit
from relay.domain.caller import UNLESS_SAID, Caller
from relay.domain.delivery import Outcome, Reply
from relay.domain.errors import FencedError, IllegalMoveError
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.outage import Outages
from relay.domain.registration import SETTLED, RegistrationState, after_attempt
from relay.domain.slots import Report
from relay.domain.task import TaskName, TaskState
from relay.services.cancel import cancel
from relay.services.deliver import _make_due
from relay.services.expire import expire
from relay.services.poll import settle
from relay.services.redeliver import redeliver
from relay.services.register import register
from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from relay.store.lanes import LaneStore, Rate, TurnRequest
from relay.store.write import Fence, Write
from tests.support import relays
from tests.support.keys_left import complaints
from tests.support.valkey import Valkey

STORIES, STEPS = 200, 40
CALLS = 5
ATTEMPTS = 11
LATE_S = 50_000.0  # past every deadline
FINAL = Answer(AnswerKind.FINAL, b'{"Status":"Success"}', TaskOutcome.SUCCEEDED)

kinds = st.sampled_from(LaneKind)
holders = st.sampled_from(["first", "second"])
requests = st.sampled_from(["a", "b", "c"])
places = st.sampled_from(["https://a.example", "https://a.example.org"])


@dataclass
class Wish:
    """A registration, as the model knows it."""

    request_id: str
    client: str
    state: RegistrationState = RegistrationState.PENDING
    attempts: int = 0
    tries: int = 0


@dataclass
class Lane:
    """Who holds a lane, the fences of those who once did, and in how many deaths what they tried was under way."""

    fence: Fence | None = None
    holder: str = ""
    lapsed: bool = False
    zombies: list[Fence] = field(default_factory=list)
    under_way: dict[str, int] = field(default_factory=dict)
    suspects: dict[str, int] = field(default_factory=dict)

    def judge(self, *, vanished: bool) -> None:
        """Count a death for all that was under way, if its holder vanished; one death alone makes no suspect."""
        counted = {key: deaths + vanished for key, deaths in self.under_way.items()}
        self.suspects |= {key: deaths for key, deaths in counted.items() if deaths > 1}
        self.under_way = {}


@dataclass
class Stage:
    """Where all stories are told: an event loop, a relay on the store, and two who may hold lanes."""

    runner: asyncio.Runner
    relay: Relay
    redis: Redis
    stores: dict[str, LaneStore]


@contextmanager
def staged(url: str) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        redis = runner.run(stack.enter_async_context(Redis.from_url(url)))
        relay = runner.run(stack.enter_async_context(open_relay(relays.settings(url))))
        try:
            yield Stage(runner, relay, redis, {name: LaneStore(relay.store, name) for name in ("first", "second")})
        finally:
            runner.run(stack.aclose())


class Stories(RuleBasedStateMachine):
    """One story, told on `stage`."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.relay, self.redis, self.stores = self.stage.relay, self.stage.redis, self.stage.stores
        self.wishes: dict[str, Wish] = {}
        self.waiters: dict[str, set[str]] = {}
        self.tasks: dict[str, TaskState] = {}
        self.ready: set[str] = set()
        self.later: set[str] = set()
        self.parked: dict[str, set[str]] = {}
        self.lanes = {kind: Lane() for kind in LaneKind}
        self.seen: set[str] = set()
        self.left: set[str] = set()
        self.change = self.turns = 0
        self.run(self.redis.flushall())

    def run(self, doing: Awaitable[Any]) -> Any:
        return self.stage.runner.run(_awaited(doing))

    def teardown(self) -> None:
        assert self.run(complaints(self.redis)) == []

    # ------------------------------------------------------------------ what clients do

    @rule(client=st.sampled_from(["alice", "bob"]), request_id=requests, path=st.sampled_from(["/x", "/y"]))
    def register(self, client: str, request_id: str, path: str) -> None:
        draft = relays.draft(request_id, f"http://127.0.0.1:9{path}")
        registration, created = self.run(register(self.relay, client, draft, now=time.time()))
        assert created == (registration.id not in self.wishes)
        if not created:
            return
        self.wishes[registration.id] = Wish(request_id, client)
        if self.tasks.get(request_id) is TaskState.FINAL:
            self.wishes[registration.id].state = RegistrationState.DELIVERING
            self.ready.add(registration.id)
            return
        self.tasks[request_id] = TaskState.PENDING
        self.waiters.setdefault(request_id, set()).add(registration.id)
        self.seen.discard(request_id)

    @precondition(lambda self: self.wishes)
    @rule(dice=st.integers(0, 999))
    def cancel(self, dice: int) -> None:
        id_, wish = sorted(self.wishes.items())[dice % len(self.wishes)]
        doing = cancel(self.relay, Caller(wish.client, UNLESS_SAID), id_, now=time.time())
        if wish.state in SETTLED:
            self._illegal(doing)
            return
        self.run(doing)
        wish.state = RegistrationState.CANCELLED
        self.ready.discard(id_)
        self.later.discard(id_)
        waiters = self.waiters.get(wish.request_id, set())
        if waiters == {id_}:
            self.tasks[wish.request_id] = TaskState.ABANDONED
            self.left.add(wish.request_id)
        elif id_ in waiters:
            self.seen.discard(wish.request_id)
        waiters.discard(id_)

    @precondition(lambda self: self.wishes)
    @rule(dice=st.integers(0, 999))
    def redeliver(self, dice: int) -> None:
        id_, wish = sorted(self.wishes.items())[dice % len(self.wishes)]
        doing = redeliver(self.relay, Caller(wish.client, UNLESS_SAID), id_, now=time.time())
        if wish.state not in {RegistrationState.DELIVERED, RegistrationState.DEAD}:
            self._illegal(doing)
            return
        self.run(doing)
        wish.state, wish.tries = RegistrationState.DELIVERING, 0
        self.ready.add(id_)

    def _illegal(self, doing: Awaitable[Any]) -> None:
        with pytest.raises(IllegalMoveError):
            self.run(doing)

    # ------------------------------------------------------------------ who holds what

    @rule(kind=kinds, holder=holders)
    def acquire(self, kind: LaneKind, holder: str) -> None:
        lane = self.lanes[kind]
        fence = self.run(self.stores[holder].acquire(LaneName(kind, "default")))
        held = lane.fence is not None and not lane.lapsed
        assert (fence is None) == held
        if fence is None:
            return
        if lane.fence is not None:
            lane.zombies.append(lane.fence)
        assert all(int(fence.epoch) > int(zombie.epoch) for zombie in lane.zombies)
        lane.judge(vanished=lane.fence is not None and lane.holder != holder)
        assert self.run(self.relay.suspects.deaths(fence)) == lane.suspects
        lane.fence, lane.holder, lane.lapsed = fence, holder, False
        if kind is LaneKind.POLL:
            self.seen, self.change, self.left = set(), 0, set()

    @rule(kind=kinds)
    def lapse(self, kind: LaneKind) -> None:
        lane = self.lanes[kind]
        if lane.fence is not None:
            self.run(self.redis.zadd(keys.LANES, {str(lane.fence.lane): 1}, xx=True))
            lane.lapsed = True

    @rule(kind=kinds)
    def release(self, kind: LaneKind) -> None:
        lane = self.lanes[kind]
        if lane.fence is not None:
            self.run(self.stores["first"].release(lane.fence))
            lane.zombies.append(lane.fence)
            lane.fence, lane.lapsed = None, False

    # ------------------------------------------------------------------ what holders do

    @rule(kind=kinds, key=requests)
    def try_with_care(self, kind: LaneKind, key: str) -> None:
        lane = self.lanes[kind]
        if lane.fence is not None:
            lane.under_way[key] = lane.suspects.pop(key, lane.under_way.get(key, 1))
            self.run(self.relay.suspects.name(lane.fence, key, lane.under_way[key]))

    @rule(kind=kinds, key=requests)
    def survive_it(self, kind: LaneKind, key: str) -> None:
        lane = self.lanes[kind]
        if lane.fence is not None and lane.under_way.pop(key, None) is not None:
            self.run(self.relay.suspects.clear(lane.fence, key))

    @rule(want=st.integers(0, 8))
    def turn(self, want: int) -> None:
        lane = self.lanes[LaneKind.POLL]
        if lane.fence is None:
            return
        grants = self.run(self.stores["first"].turn(lane.fence, RATE, self._request(want)))
        assert sum(count for _, _, count in grants.slots) <= want
        assert grants.in_use <= CALLS
        pending = {request_id for request_id, state in self.tasks.items() if state is TaskState.PENDING}
        found = {keys.named("default", member).request_id for member in grants.changed}
        assert found & pending == pending - self.seen
        assert self.left - pending <= found - pending <= {id_ for id_ in self.tasks if id_ not in pending}
        self.left = set()
        self.seen, self.change, lane.lapsed = pending, grants.change, False

    def _request(self, want: int) -> TurnRequest:
        self.turns += 1
        return TurnRequest(
            elapsed_ms=10**9, want=want, since=self.change, slots=Report(self.turns, self.turns - 1, []),
            looks={}, statuses={}, all_changes=True, earliest_ms=0,
        )  # fmt: skip

    @rule(request_id=requests)
    def finish(self, request_id: str) -> None:
        fence = self.lanes[LaneKind.POLL].fence
        if fence is not None and self.tasks.get(request_id) is TaskState.PENDING:
            self.run(self._finish(fence, request_id))
            self.tasks[request_id] = TaskState.FINAL
            self.ready |= self.waiters.pop(request_id)

    @rule(request_id=requests)
    def pass_deadlines(self, request_id: str) -> None:
        fence = self.lanes[LaneKind.POLL].fence
        if fence is not None and self.tasks.get(request_id) is TaskState.PENDING:
            late = time.time() + LATE_S
            self.run(expire(self.relay, fence, _name(request_id), outages=Outages(), fresh_status=None, now=late))
            self.tasks[request_id] = TaskState.ABANDONED
            for id_ in self.waiters.pop(request_id):
                self.wishes[id_].state = RegistrationState.DELIVERING
                self.ready.add(id_)

    @rule(want=st.integers(0, 4), dice=st.integers(0, 999))
    def claim_and_deliver_one(self, want: int, dice: int) -> None:
        lane = self.lanes[LaneKind.DELIVERY]
        if lane.fence is None:
            return
        ids = self.run(self.relay.deliveries.claim(lane.fence, want=want)).claimed
        lane.lapsed = False
        assert set(ids) <= self.ready
        assert len(ids) == min(want, len(self.ready))
        self.ready -= set(ids)
        self.later |= set(ids)
        if ids:
            self._deliver(lane.fence, ids[dice % len(ids)], Random(dice).choice([200, 200, 410, 500]))

    @rule(dice=st.integers(0, 999), place=places)
    def park(self, dice: int, place: str) -> None:
        lane = self.lanes[LaneKind.DELIVERY]
        if lane.fence is not None and self.later:
            id_ = sorted(self.later)[dice % len(self.later)]
            self.run(self.relay.deliveries.claim(lane.fence, want=0, park=[(place, id_)]))
            self.later.discard(id_)
            self.parked.setdefault(place, set()).add(id_)
            lane.lapsed = False

    @rule(want=st.integers(0, 3), place=places)
    def recall(self, want: int, place: str) -> None:
        lane = self.lanes[LaneKind.DELIVERY]
        if lane.fence is not None:
            [recalled] = self.run(self.relay.deliveries.claim(lane.fence, want=0, recall=[(place, want)])).recalled
            parked = self.parked.get(place, set())
            assert set(recalled) <= parked
            assert len(recalled) == min(want, len(parked))
            parked.difference_update(recalled)
            self.later.update(recalled)
            lane.lapsed = False

    def _deliver(self, fence: Fence, id_: str, status: int) -> None:
        wish = self.wishes[id_]
        wish.state = self.run(self._attempt(fence, id_, status))
        wish.attempts += 1
        wish.tries += 1
        last = wish.tries >= ATTEMPTS
        expected = {
            200: RegistrationState.DELIVERED,
            410: RegistrationState.DEAD,
            500: RegistrationState.DEAD if last else RegistrationState.DELIVERING,
        }
        assert wish.state is expected[status]
        if wish.state is not RegistrationState.DELIVERING:
            self.later.discard(id_)

    @rule()
    def let_time_pass(self) -> None:
        """Let every claim lapse and every retry become due."""
        for id_ in self.later:
            self.run(self.redis.zadd(keys.due("default"), {id_: 1}, xx=True))
        self.ready |= self.later
        self.later = set()

    # ------------------------------------------------------------------ what must be refused

    @precondition(lambda self: self.lanes[LaneKind.POLL].zombies and self.lanes[LaneKind.POLL].fence)
    @precondition(lambda self: TaskState.PENDING in self.tasks.values())
    @rule(dice=st.integers(0, 99))
    def a_zombie_finishes(self, dice: int) -> None:
        zombies = self.lanes[LaneKind.POLL].zombies
        pending = sorted(request_id for request_id, state in self.tasks.items() if state is TaskState.PENDING)
        self._refused(self._finish(zombies[dice % len(zombies)], pending[dice % len(pending)]))

    @precondition(lambda self: self.lanes[LaneKind.DELIVERY].zombies and self.lanes[LaneKind.DELIVERY].fence)
    @rule(dice=st.integers(0, 99))
    def a_zombie_claims_and_delivers(self, dice: int) -> None:
        zombies = self.lanes[LaneKind.DELIVERY].zombies
        zombie = zombies[dice % len(zombies)]
        self._refused(self.relay.deliveries.claim(zombie, want=3))
        self._refused(self.relay.suspects.name(zombie, "a", 2))
        waiting = sorted(self.later)
        if waiting:
            self._refused(self._attempt(zombie, waiting[dice % len(waiting)], 200))

    @precondition(lambda self: self.lanes[LaneKind.POLL].zombies and self.lanes[LaneKind.POLL].fence)
    @rule(want=st.integers(0, 8))
    def a_zombie_takes_a_turn(self, want: int) -> None:
        self._refused(self.stores["second"].turn(self.lanes[LaneKind.POLL].zombies[-1], RATE, self._request(want)))

    def _refused(self, doing: Awaitable[Any]) -> None:
        try:
            self.run(doing)
        except FencedError:
            return
        raise AssertionError("a holder whose lease had gone was let write")

    # ------------------------------------------------------------------ what is always so

    @invariant()
    def every_registration_stands_as_the_model_says(self) -> None:
        found = self.run(self.relay.store.registrations(tuple(self.wishes)))
        assert {one.id: (one.state, len(one.attempts)) for one in found} == {
            id_: (wish.state, wish.attempts) for id_, wish in self.wishes.items()
        }

    async def _finish(self, fence: Fence, request_id: str) -> None:
        task = await self.relay.store.task(_name(request_id))
        assert task is not None
        settled = await settle(self.relay, fence, task, FINAL, answered_at=None, now=time.time())
        assert settled is not None
        assert settled.state is TaskState.FINAL

    async def _attempt(self, fence: Fence, id_: str, status: int) -> RegistrationState:
        registration = await self.relay.store.registration(id_)
        assert registration is not None
        if registration.state is RegistrationState.PENDING:
            registration = await _make_due(self.relay, fence, registration)
        assert registration is not None
        outcome = {200: Outcome.DELIVERED, 410: Outcome.GONE}.get(status, Outcome.SERVER_ERROR)
        decided = after_attempt(registration, Reply(outcome, status), self.relay.retries, now=time.time(), dice=0.5)
        write = Write(fence)
        write.registration(decided, now=time.time())
        assert await self.relay.store.commit(write) is None
        return decided.state


RATE = Rate(Limit(CALLS, 60.0), None, 1.0)


def _name(request_id: str) -> TaskName:
    return TaskName("default", Operation.LEAD_UPDATE, request_id)


async def _awaited(doing: Awaitable[Any]) -> Any:
    return await doing


def _tell(stage: Stage) -> None:
    run_state_machine_as_test(
        type("Told", (Stories,), {"stage": stage}),
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=STEPS,
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(300)
def test_the_scripts_tell_the_story_that_a_dict_tells(server: Valkey) -> None:
    with staged(server.url) as stage:
        _tell(stage)


def test_control_without_the_fence_a_story_goes_wrong(server: Valkey) -> None:
    with staged(server.url) as stage:
        script = stage.relay.store._commit
        script._source = script._source.replace("return {'fenced'}", "local off = true")
        script._sha = sha1(script._source.encode(), usedforsecurity=False).hexdigest()
        story = type("Told", (Stories,), {"stage": stage})()
        story.register(client="alice", request_id="a", path="/x")
        story.acquire(kind=LaneKind.POLL, holder="first")
        story.lapse(kind=LaneKind.POLL)
        story.acquire(kind=LaneKind.POLL, holder="second")
        with pytest.raises(AssertionError, match="was let write"):
            story.a_zombie_finishes(dice=0)
