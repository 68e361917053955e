"""Run: one account on a virtual clock, from the first task that comes to the last that is seen final."""

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import NamedTuple

from relay.domain.account import DEFAULT_ACCOUNT
from relay.domain.answer import Answer, AnswerKind
from relay.domain.backlog import Backlog
from relay.domain.budget import Limit, effective_limit
from relay.domain.polling import Picker
from relay.domain.task import Task, TaskName
from relay.simulate.dice import dice
from relay.simulate.lane import Hint, Lane, Poll
from relay.simulate.upstream import Upstream
from relay.simulate.world import Life, World

DEADLINE_S = 43_200.0


class Seen(NamedTuple):
    """A task as the relay saw it: its life, when its end was read, and after how many polls."""

    submitted_at: float
    final_at: float
    detected_at: float
    polls: int

    @property
    def lag_s(self) -> float:
        """From the final status being visible upstream to the relay reading it."""
        return self.detected_at - self.final_at


@dataclass(frozen=True)
class Run:
    """All that came of one account; `calls` are its polls and hints.

    `longest_unpolled_s` is the longest that any task waited for a poll.
    """

    seen: tuple[Seen, ...]
    calls: int
    refused: int
    longest_unpolled_s: float

    @property
    def lasted_s(self) -> float:
        """From the first submission to the last end read."""
        if not self.seen:
            return 0.0
        return max(task.detected_at for task in self.seen) - self.seen[0].submitted_at


def simulate(
    world: World, picker: Picker, limit: Limit, *, share: float = 1.0, seed: int = 0, hinted: bool = False
) -> Run:
    """Let an empty `picker` find the ends of all the world's tasks; the relay keeps to its `share` of the limit.

    `seed` is for what chance decides on the way: the delay of each call, and somebody else's calls. When `hinted`, now
    and then a call asks how the queue stands instead of how a task does.
    """
    lane = Lane(effective_limit(limit, None, share), picker, hinted=hinted)
    account = _Account(world, lane, Upstream(limit), seed)
    while account.unread:
        account.step()
    return account.run()


class _Account:
    """The events of one account: tasks come, calls are sent, arrive and are answered, and somebody else calls."""

    def __init__(self, world: World, lane: Lane, upstream: Upstream, seed: int) -> None:
        self.unread = len(world.lives)
        self._world = world
        self._lane = lane
        self._upstream = upstream
        self._way_dice = dice(seed, "ways")
        self._others_dice = dice(seed, "others")
        self._now = 0.0
        self._come = 0
        self._travelling: list[tuple[float, int, Poll | Hint | None, Answer | Backlog | None]] = []
        self._serial = count()
        self._final_at: list[float | None] = [None if world.begun_when_asked else life.final_at for life in world.lives]
        self._detected_at = [inf] * self.unread
        self._polls = [0] * self.unread
        self._hints = 0
        self._polled_at = [life.submitted_at for life in world.lives]
        self._longest_unpolled_s = 0.0
        if world.others_per_s:
            self._others_call()

    def step(self) -> None:
        """Go on to the next thing that happens."""
        come_at = self._world.lives[self._come].submitted_at if self._come < len(self._world.lives) else inf
        arrive_at = self._travelling[0][0] if self._travelling else inf
        send_at = self._lane.next_at(self._now)
        self._now = max(self._now, min(come_at, arrive_at, send_at))
        if come_at <= self._now:
            self._come_in()
        elif arrive_at <= self._now:
            self._arrive()
        elif (call := self._lane.send(now=self._now)) is not None:
            self._sent(call)

    def run(self) -> Run:
        numbers = range(len(self._world.lives))
        seen = (
            Seen(self._world.lives[n].submitted_at, self._ends_at(n), self._detected_at[n], self._polls[n])
            for n in numbers
        )
        return Run(tuple(seen), sum(self._polls) + self._hints, self._upstream.refused, self._longest_unpolled_s)

    def _come_in(self) -> None:
        key = str(self._come).zfill(9)  # keys ascend in the order of submission
        self._lane.add(key, _task(key, self._world.lives[self._come]), now=self._now)
        self._come += 1

    def _sent(self, call: Poll | Hint) -> None:
        self._travel(call, None)
        if isinstance(call, Hint):
            self._hints += 1
            return
        number = int(call.key)
        self._polls[number] += 1
        self._longest_unpolled_s = max(self._longest_unpolled_s, self._now - self._polled_at[number])
        self._polled_at[number] = self._now

    def _travel(self, call: Poll | Hint, answer: Answer | Backlog | None) -> None:
        arrives_at = self._now + self._world.round_trip.way_s(self._way_dice)
        heappush(self._travelling, (arrives_at, next(self._serial), call, answer))

    def _arrive(self) -> None:
        _, _, call, answer = heappop(self._travelling)
        if call is None:
            self._upstream.admits(now=self._now)
            self._others_call()
        elif answer is None:
            self._travel(call, self._asked(call))
        elif isinstance(call, Hint):
            self._lane.told(call, answer, now=self._now)
        elif isinstance(answer, Answer):
            self._read(call, answer)

    def _asked(self, call: Poll | Hint) -> Answer | Backlog:
        """Return what the upstream answers to a call that arrives now."""
        if isinstance(call, Poll):
            return self._upstream.ask(self._ends_at(int(call.key)), now=self._now)
        submitted = zip(self._world.lives[: self._come], self._final_at, strict=False)
        ends_at = (inf if at is None else at for life, at in submitted if life.operation is call.operation)
        return self._upstream.ask_backlog(ends_at, now=self._now)

    def _ends_at(self, number: int) -> float:
        """Return when the task's final status shows, as it is asked about now."""
        final_at = self._final_at[number]
        if final_at is None:
            life = self._world.lives[number]
            final_at = self._final_at[number] = self._now + life.final_at - life.submitted_at
        return final_at

    def _read(self, poll: Poll, answer: Answer) -> None:
        self._lane.answered(poll, answer, now=self._now)
        if answer.kind is AnswerKind.FINAL:
            self._detected_at[int(poll.key)] = self._now
            self.unread -= 1

    def _others_call(self) -> None:
        at = self._now + self._others_dice.expovariate(self._world.others_per_s)
        heappush(self._travelling, (at, next(self._serial), None, None))


def _task(key: str, life: Life) -> Task:
    name = TaskName(DEFAULT_ACCOUNT, life.operation, key)
    deadline_at = life.submitted_at + DEADLINE_S
    return Task(name, life.submitted_at, deadline_at, waiters=(key,), submitted_at=life.submitted_at)
