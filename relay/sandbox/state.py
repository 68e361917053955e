"""Everything one sandbox remembers, and the moves on it that need no HTTP."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from relay.sandbox.accounts import Account
from relay.sandbox.behaviour import Behaviour, TaskPlan, UnknownTask
from relay.sandbox.faults import ArmedFault, Call, FaultRule, first_to_strike
from relay.sandbox.lives import Lives
from relay.sandbox.operations import Operation
from relay.sandbox.plan import dice
from relay.sandbox.tasks import Task, Tasks

DRAWN = TaskPlan()


class Sandbox:
    """The state of one sandbox. `clock` gives monotonic seconds."""

    def __init__(self, behaviour: Behaviour, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.initial = behaviour
        self.clock_to_unix_s = time.time() - clock()
        self.reset(behaviour)

    def reset(self, behaviour: Behaviour) -> None:
        """Forget all that happened and begin again with `behaviour`."""
        self.behaviour = behaviour
        self.accounts: dict[str, Account] = {}
        self.tasks = Tasks()
        self.without_account = 0
        self._lives = Lives(behaviour)
        self._faults = [ArmedFault(rule) for rule in behaviour.faults]
        self._throw(behaviour.seed)

    def _throw(self, seed: int) -> None:
        self._id_dice = dice(seed, "ids")
        self._fault_dice = dice(seed, "faults")
        self._latency_dice = dice(seed, "latencies")

    def behave(self, changes: dict[str, Any]) -> None:
        """Change the named fields of the behaviour, or raise pydantic.ValidationError and change nothing.

        Tasks already made keep their lives. Naming `faults` arms them anew, naming `seed` throws the dice anew.
        """
        behaviour = self.behaviour.merged(changes)
        if "faults" in changes:
            self._faults = [ArmedFault(rule) for rule in behaviour.faults]
        if "seed" in changes:
            self._throw(behaviour.seed)
        self._lives = self._lives.under(behaviour)
        for account in self.accounts.values():
            account.behave(behaviour)
        self.behaviour = behaviour

    def account(self, key: str | None) -> Account | None:
        """Return the account of an API key, or None (and count it) when the key is none, or none any more."""
        api_keys = self.behaviour.api_keys
        if not key or (api_keys and key not in api_keys):
            self.without_account += 1
            return None
        if key not in self.accounts:
            self.accounts[key] = Account(key, self.behaviour)
        return self.accounts[key]

    def submit(self, account: Account, operation: Operation, request_body: str, plan: TaskPlan) -> Task:
        request_id = str(UUID(int=self._id_dice.getrandbits(128), version=4))
        task = self.plan(request_id, plan)
        task.account, task.operation, task.request_body = account.key, operation, request_body
        return task

    def plan(self, request_id: str, plan: TaskPlan) -> Task:
        """Make a task, or make it anew, as if submitted now."""
        now = self.clock()
        fault = ArmedFault(plan.fault) if plan.fault else None
        life = self._lives.begin(request_id, plan, now)
        return self.tasks.put(Task(request_id, now, life, reason=plan.reason, fault=fault))

    def sight(self, account: Account, operation: Operation, request_id: str) -> Task | None:
        """Return the task a status call asks for; None when it is unknown and unknown ones are not adopted."""
        task = self.tasks.find(request_id)
        if task is None and self.behaviour.unknown is UnknownTask.ADOPT:
            task = self.plan(request_id, DRAWN)
        if task is not None and task.account is None:
            task.account, task.operation = account.key, operation
        return task

    def strike(self, call: Call, request_id: str | None) -> FaultRule | None:
        """Return the fault that strikes this call, if one does; a task's own comes first."""
        task = self.tasks.find(request_id) if request_id else None
        if task is not None and task.fault is not None:
            own = first_to_strike([task.fault], call, request_id, self._fault_dice)
            if own:
                return own
        return first_to_strike(self._faults, call, request_id, self._fault_dice) if self._faults else None

    def latency_s(self) -> float:
        return self.behaviour.latency.draw_s(self._latency_dice)

    def report(self, *, with_arrivals: bool) -> dict[str, Any]:
        now = self.clock()
        accounts = {key: account.report(with_arrivals=with_arrivals) for key, account in self.accounts.items()}
        return {
            "clock_s": now,
            "arrivals": sum(account["arrivals"] for account in accounts.values()),
            "without_account": self.without_account,
            "accounts": accounts,
            "tasks": dict(self.tasks.count_by_status(now)),
            "tasks_final_unread": self.tasks.final_unread(now),
            "tasks_forgotten": self.tasks.forgotten,
            "detection_lag_s": self.tasks.lags.report(),
        }
