"""Three clients of one API: whatever they do in whatever order, each finds its own, and another's is as if it were not.

Foreign and absent are compared byte for byte, on every route that takes an id; a new route is tried, too.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis

from relay.api.app import ROUTES, create_app
from relay.api.serving import serving
from relay.context import Relay, open_relay
from relay.domain.answer import Answer, AnswerKind
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.task import TaskName
from relay.services.poll import settle
from relay.store.keys import LaneKind, LaneName
from tests.support import relays
from tests.support.keys_left import complaints
from tests.support.valkey import Valkey

STORIES, STEPS = 20, 30
CLIENTS = ("alice", "bob", "carol")
FINAL = Answer(AnswerKind.FINAL, b'{"Status":"Success"}', TaskOutcome.SUCCEEDED)
OF_ONE_ANSWER = {"date", "ratelimit", "x-request-id"}

clients = st.sampled_from(CLIENTS)
requests = st.sampled_from(["a", "b"])
one_of_them = st.integers(0, 999)
routes = st.sampled_from(
    sorted(
        (method, route.path)
        for route in ROUTES
        for method in (route.methods or set()) - {"HEAD"}
        if route.path.startswith("/v1/") and "{id}" in route.path
    )
)


@dataclass
class Stage:
    """Where all stories are told: an event loop, an API on the store, and a client of it for each."""

    runner: asyncio.Runner
    relay: Relay
    redis: Redis
    url: str
    http: dict[str, httpx.AsyncClient] = field(default_factory=dict)


@contextmanager
def staged(url: str, *, scopes: str = "") -> Iterator[Stage]:
    keys = ",".join(f"{name}{scopes}:{name}'s key" for name in CLIENTS)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def enter(context: Any) -> Any:
            return await stack.enter_async_context(context)

        redis = runner.run(enter(Redis.from_url(url)))
        relay = runner.run(enter(open_relay(relays.settings(url, api_keys=keys))))
        api = runner.run(enter(serving(create_app(relay), "127.0.0.1", 0)))
        stage = Stage(runner, relay, redis, api)
        for name in CLIENTS:
            stage.http[name] = runner.run(enter(relays.client_of(api, f"{name}'s key")))
        try:
            yield stage
        finally:
            runner.run(stack.aclose())


class Stories(RuleBasedStateMachine):
    """One story, told on `stage`."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[str, str] = {}
        self.asked: dict[str, str] = {}
        self.run(self.stage.redis.flushall())

    def run(self, doing: Awaitable[Any]) -> Any:
        return self.stage.runner.run(_awaited(doing))

    def teardown(self) -> None:
        assert self.run(complaints(self.stage.redis)) == []

    def ask(self, client: str, method: str, path: str, **more: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.stage.http[client].request(method, path, **more))
        return answer

    def chosen(self, dice: int) -> str:
        return sorted(self.owners)[dice % len(self.owners)]

    # ------------------------------------------------------------------ what changes something

    @rule(client=clients, request_id=requests, path=st.sampled_from(["/x", "/y"]))
    def register(self, client: str, request_id: str, path: str) -> None:
        wish = {"request_id": request_id, "callback_url": f"http://127.0.0.1:9{path}"}
        answer = self.ask(client, "POST", "/v1/registrations", json=wish)
        id_ = answer.json()["id"]
        assert answer.status_code == (200 if id_ in self.owners else 201)
        assert self.owners.setdefault(id_, client) == client
        self.asked[id_] = request_id

    @precondition(lambda self: self.owners)
    @rule(dice=one_of_them, method_and_path=routes)
    def use_its_own(self, dice: int, method_and_path: tuple[str, str]) -> None:
        id_, (method, path) = self.chosen(dice), method_and_path
        assert self.ask(self.owners[id_], method, path.format(id=id_)).status_code in {200, 202, 204, 409}

    @rule(request_id=requests)
    def finish(self, request_id: str) -> None:
        self.run(_finished(self.stage.relay, TaskName("default", Operation.LEAD_UPDATE, request_id)))

    # ------------------------------------------------------------------ what must show nothing

    @precondition(lambda self: self.owners)
    @rule(client=clients, dice=one_of_them, method_and_path=routes)
    def try_anothers(self, client: str, dice: int, method_and_path: tuple[str, str]) -> None:
        id_, (method, path) = self.chosen(dice), method_and_path
        owner = self.owners[id_]
        if owner == client:
            return
        before = self.ask(owner, "GET", f"/v1/registrations/{id_}")
        foreign = self.ask(client, method, path.format(id=id_))
        absent = self.ask(client, method, path.format(id=f"{id_[:-8]}00000000"))
        nonsense = self.ask(client, method, path.format(id="nonsense"))
        after = self.ask(owner, "GET", f"/v1/registrations/{id_}")

        assert foreign.status_code == 404
        assert _seen(foreign) == _seen(absent) == _seen(nonsense)
        assert before.content == after.content

    @rule(client=clients, other=clients, request_id=st.none() | requests)
    def list_ones_own(self, client: str, other: str, request_id: str | None) -> None:
        query = {"limit": "1"} | ({"request_id": request_id} if request_id else {})
        own = {id_ for id_, owner in self.owners.items() if owner == client and request_id in {None, self.asked[id_]}}
        found: list[list[str]] = []
        cursor = None
        while not found or cursor is not None:
            page = self.ask(client, "GET", "/v1/registrations", params=query | ({"cursor": cursor} if cursor else {}))
            cursor = page.json()["next_cursor"]
            found.append([one["id"] for one in page.json()["registrations"]])
        listed = [id_ for ids in found for id_ in ids]
        assert (len(listed), set(listed)) == (len(own), own)

        anothers = self.ask(other, "GET", "/v1/registrations", params={"limit": "1"}).json()["next_cursor"]
        if anothers is not None:
            after = self.ask(client, "GET", "/v1/registrations", params=query | {"cursor": anothers, "limit": "100"})
            assert {one["id"] for one in after.json()["registrations"]} <= own

    @rule(client=clients, request_id=requests, operation=st.sampled_from(["lead", "activity"]))
    def poll(self, client: str, request_id: str, operation: str) -> None:
        path = {"lead": "/lead/update/status", "activity": "/activity/create/status"}[operation]
        key = {"x-api-key": f"{client}'s key"}
        answer = self.ask(client, "GET", path, params={"RequestID": request_id}, headers=key)
        absent = self.ask(client, "GET", path, params={"RequestID": "absent"}, headers=key)
        own = {self.asked[id_] for id_, owner in self.owners.items() if owner == client}
        if operation == "lead" and request_id in own:
            assert answer.status_code in {200, 404}  # 404 where nobody waits any more
            assert _seen(answer) != _seen(absent)
        else:
            assert answer.status_code == 404
            assert _seen(answer) == _seen(absent)

    @rule(client=clients)
    def hear(self, client: str) -> None:
        own = {id_ for id_, owner in self.owners.items() if owner == client}
        heard = self.run(_heard(self.stage.http[client], len(own)))
        assert {one["id"] for one in heard} <= own


def _seen(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.content, [one for one in answer.headers.items() if one[0] not in OF_ONE_ANSWER]


async def _awaited(doing: Awaitable[Any]) -> Any:
    return await doing


async def _heard(http: httpx.AsyncClient, count: int) -> list[Any]:
    """Return the client's first events: each of its registrations has one at least."""
    heard: list[Any] = []
    if count == 0:
        return heard
    async with http.stream("GET", "/v1/events", headers={"last-event-id": "0"}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                heard.append(orjson.loads(line.removeprefix("data: ")))
            if len(heard) == count:
                break
    return heard


async def _finished(relay: Relay, name: TaskName) -> None:
    """Settle the task, if there is one, as the holder of its lane would."""
    task = await relay.store.task(name)
    if task is None or task.settled or not task.waiters:
        return
    fence = await relay.lanes.acquire(LaneName(LaneKind.POLL, name.account))
    assert fence is not None
    await settle(relay, fence, task, FINAL, answered_at=None, now=time.time())
    await relay.lanes.release(fence)


@pytest.mark.timeout(300)
def test_another_clients_registration_is_as_if_it_were_not(server: Valkey) -> None:
    with staged(server.url) as stage:
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


def test_control_the_stories_notice_a_client_that_sees_too_much(server: Valkey) -> None:
    with staged(server.url, scopes="[admin]") as stage:
        story = type("Told", (Stories,), {"stage": stage})()
        story.register(client="alice", request_id="a", path="/x")
        with pytest.raises(AssertionError, match="404"):
            story.try_anothers(client="bob", dice=0, method_and_path=("GET", "/v1/registrations/{id}"))
