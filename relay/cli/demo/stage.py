"""Where the demo plays: the relay's public API, the sandbox's, and what the receiver got."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from relay.cli.receiving import Received

Say = Callable[[str], None]
UPSTREAM_KEY = "demo"
_LEAD = [{"Attribute": "EmailAddress", "Value": "demo@example.com"}, {"Attribute": "mx_City", "Value": "Bangalore"}]


@dataclass(frozen=True)
class Stage:
    """Speaks to both sides by HTTP alone, as a client would. `received` grows with each callback."""

    relay: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    callback_url: str
    received: list[Received]

    async def submit(self) -> str:
        """Submit a task to the upstream as the vendor documents it, and return its RequestID."""
        answer = await _succeeded(self.sandbox.post("/lead/update", json=_LEAD))
        return str(answer["RequestID"])

    async def register(self, request_id: str) -> tuple[str, float]:
        """Register it, and return the registration's id and how long that took (seconds)."""
        started = time.perf_counter()
        wish = {"request_id": request_id, "callback_url": self.callback_url}
        answer = await _succeeded(self.relay.post("/v1/registrations", json=wish))
        return str(answer["id"]), time.perf_counter() - started

    async def registration(self, registration_id: str) -> Any:
        return await _succeeded(self.relay.get(f"/v1/registrations/{registration_id}"))

    async def truth(self, request_id: str) -> Any:
        """Return what the sandbox alone knows of a task; its instants are Unix seconds."""
        return await _succeeded(self.sandbox.get(f"/sandbox/tasks/{request_id}"))

    async def account(self) -> Any:
        """Return what the sandbox counted for the relay's key."""
        report = await _succeeded(self.sandbox.get("/sandbox/report"))
        return report["accounts"][UPSTREAM_KEY]

    async def polled_at(self) -> tuple[float, ...]:
        """Return when each poll arrived at the sandbox (Unix seconds, to about a millisecond)."""
        report = await _succeeded(self.sandbox.get("/sandbox/report", params={"arrivals": "1"}))
        to_unix_s = time.time() - report["clock_s"]
        return tuple(arrived_at + to_unix_s for arrived_at in report["accounts"][UPSTREAM_KEY]["arrived_at"])


async def _succeeded(call: Any) -> Any:
    """Return the decoded body; raises httpx.HTTPError when the call failed."""
    response: httpx.Response = await call
    response.raise_for_status()
    return response.json()
