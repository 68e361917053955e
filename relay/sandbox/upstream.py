"""The vendor's three calls of one operation: who may call, whether the limit lets it, what goes wrong, the answer."""

import asyncio

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from relay.sandbox import replies
from relay.sandbox.accounts import Account
from relay.sandbox.behaviour import TaskPlan, UnknownTask, complaint
from relay.sandbox.connection import ResetConnection, until_gone
from relay.sandbox.faults import BENT_BODIES, Call, Fault, FaultRule
from relay.sandbox.operations import Operation
from relay.sandbox.state import DRAWN, Sandbox

PLAN_HEADER = "x-sandbox-plan"


class Upstream:
    """One operation as the vendor serves it."""

    def __init__(self, sandbox: Sandbox, operation: Operation) -> None:
        self._sandbox = sandbox
        self._operation = operation

    async def submit(self, request: Request) -> Response:
        return await self._answer(Call.SUBMIT, request)

    async def status(self, request: Request) -> Response:
        return await self._answer(Call.STATUS, request)

    async def metrics(self, request: Request) -> Response:
        return await self._answer(Call.METRICS, request)

    async def _answer(self, call: Call, request: Request) -> Response:
        arrived_at = self._sandbox.clock()
        account = self._sandbox.account(request.headers.get("x-api-key"))
        if account is None:
            return replies.faulty(Fault.UNAUTHORIZED)
        if not account.admits(call, arrived_at):
            return self._refused(account, arrived_at)
        return await self._admitted(call, account, request)

    async def _admitted(self, call: Call, account: Account, request: Request) -> Response:
        if call is Call.SUBMIT:
            await request.body()  # before any wait: what comes after it can only be the caller's leaving
        request_id = request.query_params.get("RequestID") if call is Call.STATUS else None
        rule = self._sandbox.strike(call, request_id)
        if rule is not None:
            account.faulted[rule.fault] += 1
        if not await self._still_there(request, (rule and rule.delay_s) or 0):
            return Response()
        if rule is not None and rule.fault is not Fault.SLOW and rule.fault not in BENT_BODIES:
            return await self._spoilt(rule.fault, account, request)
        match call:
            case Call.SUBMIT:
                return await self._submitted(account, request)
            case Call.STATUS:
                return self._status(account, request_id, rule)
            case Call.METRICS:
                return self._metrics(account)

    def _refused(self, account: Account, now: float) -> Response:
        behaviour = self._sandbox.behaviour
        retry_after_s = account.reopens_in_s(now) if behaviour.retry_after else None
        return replies.refused(behaviour.refusal, behaviour.limit_of(account.key), retry_after_s)

    async def _still_there(self, request: Request, delay_s: float) -> bool:
        """Wait as long as this answer takes, and say whether the caller has waited too."""
        delay_s += self._sandbox.latency_s()
        if not delay_s:
            return True
        await asyncio.sleep(delay_s)
        return not await request.is_disconnected()

    async def _spoilt(self, fault: Fault, account: Account, request: Request) -> Response:
        match fault:
            case Fault.THROTTLED:
                return self._refused(account, self._sandbox.clock())
            case Fault.SILENT:
                await until_gone(request)
                return Response()
            case Fault.RESET:
                return ResetConnection()
            case _:
                return replies.faulty(fault)

    async def _submitted(self, account: Account, request: Request) -> Response:
        asked = request.query_params
        if self._sandbox.behaviour.submit_needs_access_keys and not (asked.get("accessKey") and asked.get("secretKey")):
            return replies.faulty(Fault.UNAUTHORIZED)
        request_body = await request.body()
        try:
            orjson.loads(request_body)
            plan = _plan(request)
        except orjson.JSONDecodeError:
            return replies.faulty(Fault.BAD_REQUEST)
        except ValidationError as error:
            return replies.envelope(422, "SandboxPlan", f"{PLAN_HEADER}: {complaint(error)}")
        task = self._sandbox.submit(account, self._operation, request_body.decode(), plan)
        return replies.accepted(task.request_id)

    def _status(self, account: Account, request_id: str | None, rule: FaultRule | None) -> Response:
        if not request_id:
            return replies.faulty(Fault.BAD_REQUEST)
        task = self._sandbox.sight(account, self._operation, request_id)
        if task is None:
            missing = self._sandbox.behaviour.unknown is UnknownTask.NOT_FOUND
            return replies.faulty(Fault.NOT_FOUND if missing else Fault.BAD_REQUEST)
        now = self._sandbox.clock()
        body = replies.status_body(task, self._operation, self._sandbox.behaviour, now)
        if rule is not None and rule.fault in BENT_BODIES:
            return replies.bent(body, rule.fault, self._sandbox.behaviour)
        self._sandbox.tasks.note_read(task, now)
        return replies.json(body)

    def _metrics(self, account: Account) -> Response:
        backlog = self._sandbox.tasks.backlog(account.key, self._operation, self._sandbox.clock())
        return replies.metrics(*backlog)


def _plan(request: Request) -> TaskPlan:
    text = request.headers.get(PLAN_HEADER)
    return TaskPlan.model_validate_json(text) if text else DRAWN
