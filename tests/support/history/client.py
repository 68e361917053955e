"""The load client as a recorder: each registration is ok, failed or unknown, and at the end shows its state."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.history.journal import Journal

TIMEOUT_S = 4.0
UNAVAILABLE = 503
AGAIN_S = 0.2
AT_ONCE = 8
PAGE = 1_000
BATCH_TIMEOUT_S = 60.0
UNDER_WAY = frozenset({"pending", "delivering"})


class Result(StrEnum):
    """What the client may conclude: ok was promised, failed will never be, unknown may have been written or not."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Party:
    """One client of the API: its name, its key, and where it wants to be called back."""

    name: str
    key: str
    callback_url: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def wish(self, request_id: str) -> dict[str, Any]:
        return {
            "request_id": request_id,
            "callback_url": self.callback_url,
            "metadata": {"client": self.name},
        }


@dataclass
class Client:
    """Registers for several parties at `api()`, wherever that is by now. `acknowledged` says to whom an id belongs."""

    journal: Journal
    api: Callable[[], str]
    parties: tuple[Party, ...] = ()
    acknowledged: dict[str, Party] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    slowest_s: float = 0.0
    _ended: set[str] = field(default_factory=set)
    _http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S))

    @property
    def wanted(self) -> set[str]:
        """The ids that are to be called back: what was acknowledged and not cancelled."""
        return self.acknowledged.keys() - self.cancelled

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def register(self, party: Party, request_id: str, **fields: Any) -> Result:
        """Register once, with these further fields, and record what came of it."""
        started, id_, status = asyncio.get_running_loop().time(), None, None
        try:
            answer = await self._http.post(
                f"{self.api()}/v1/registrations",
                json=party.wish(request_id) | fields,
                headers=party.headers,
            )
            status = answer.status_code
            id_ = answer.json()["id"] if status in {200, 201} else None
        except (httpx.HTTPError, ValueError, KeyError):
            status = None
        self.slowest_s = max(self.slowest_s, asyncio.get_running_loop().time() - started)
        return self._note_result(party, request_id, status, id_)

    def _note_result(self, party: Party, request_id: str, status: int | None, id_: str | None) -> Result:
        result = _result(status, id_)
        self.journal.write("register", result=result, client=party.name, request_id=request_id, id=id_, status=status)
        if id_ is not None:
            self.acknowledged[id_] = party
        return result

    async def register_many(self, party: Party, request_ids: Sequence[str]) -> None:
        """Register all of them in one call of the batch, and record what came of each."""
        wishes = [party.wish(request_id) for request_id in request_ids]
        answer = await self._http.post(
            f"{self.api()}/v1/registrations/batch",
            json={"registrations": wishes},
            headers=party.headers,
            timeout=BATCH_TIMEOUT_S,
        )
        for request_id, one in zip(request_ids, answer.json()["results"], strict=True):
            id_ = one["registration"]["id"] if one["status"] in {200, 201} else None
            self._note_result(party, request_id, one["status"], id_)

    async def insist(self, party: Party, request_id: str, **fields: Any) -> None:
        """Register, again and again, until it is known."""
        while await self.register(party, request_id, **fields) is Result.UNKNOWN:  # noqa: ASYNC110 - the API is another process
            await asyncio.sleep(AGAIN_S)

    async def change_mind(self, id_: str) -> None:
        """Ask for what is delivered or dead once more, and cancel what is not; record what came of it."""
        try:
            was = str((await self.show(id_))["state"])
        except (httpx.HTTPError, ValueError):
            return  # nothing was asked for
        again = was in {"delivered", "dead"}
        self._ended.discard(id_)
        url, headers = f"{self.api()}/v1/registrations/{id_}", self.acknowledged[id_].headers
        try:
            call = (
                self._http.post(f"{url}/redeliver", headers=headers)
                if again
                else self._http.delete(url, headers=headers)
            )
            status: int | None = (await call).status_code
        except httpx.HTTPError:
            status = None
        result = Result.OK if status in {202, 204} else _result(status, None)
        self.journal.write("redeliver" if again else "cancel", id=id_, result=result, was=was)
        if not again and result is not Result.FAILED:
            self.cancelled.add(id_)

    async def note_states(self) -> None:
        """Record the state in which each acknowledged registration is by now, and that nobody else is shown it."""
        async with asyncio.TaskGroup() as group:
            for part in range(AT_ONCE):
                group.create_task(self._note(sorted(self.acknowledged)[part::AT_ONCE]))

    async def note_lists(self) -> bool:
        """Record the states that each party's own list shows, a thousand a page; whether nothing is under way there."""
        states: set[str] = set()
        for party in self.parties:
            page: dict[str, Any] = {"next_cursor": ""}
            while (cursor := page["next_cursor"]) is not None:
                query = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
                url = f"{self.api()}/v1/registrations"
                page = (await self._http.get(url, params=query, headers=party.headers)).json()
                for shown in page["registrations"]:
                    self._note_state(shown["id"], shown)
                    states.add(shown["state"])
        return states.isdisjoint(UNDER_WAY)

    async def all_settled(self) -> bool:
        """Whether none of what was acknowledged is still under way; records the end of each."""
        for id_ in sorted(self.acknowledged.keys() - self._ended):
            if await self._state(id_) in UNDER_WAY:
                return False
            self._ended.add(id_)
        return True

    async def _note(self, ids: list[str]) -> None:
        for id_ in ids:
            await self._state(id_)
            for other in self.parties:
                if other is not self.acknowledged[id_]:
                    status = (await self._get(id_, other)).status_code
                    self.journal.write("peek", id=id_, client=other.name, status=status)

    async def show(self, id_: str) -> dict[str, Any]:
        """Return an acknowledged registration as its client is shown it; only its `state` when it is not: http 404."""
        answer = await self._get(id_, self.acknowledged[id_])
        shown: dict[str, Any] = answer.json() if answer.status_code == 200 else {"state": f"http {answer.status_code}"}
        return shown

    async def _state(self, id_: str) -> str:
        shown = await self.show(id_)
        self._note_state(id_, shown)
        return str(shown["state"])

    def _note_state(self, id_: str, shown: dict[str, Any]) -> None:
        self.journal.write("state", id=id_, state=shown["state"], death=shown.get("death"))

    async def _get(self, id_: str, party: Party) -> httpx.Response:
        """Ask until it is answered: a 503 says nothing of the registration."""
        while True:
            answer = await self._http.get(f"{self.api()}/v1/registrations/{id_}", headers=party.headers)
            if answer.status_code != UNAVAILABLE:
                return answer
            await asyncio.sleep(AGAIN_S)


def _result(status: int | None, id_: str | None) -> Result:
    if id_ is not None:
        return Result.OK
    return Result.FAILED if status is not None and 400 <= status < 500 else Result.UNKNOWN
