"""README's receivers, run as they stand there: each takes the relay's callback and refuses a forged one."""

import re
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from django.conf import settings as django_settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from relay.domain.signature import Secret, sign
from relay.sandbox.server import serving

README = Path(__file__).parents[2] / "README.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FRAMEWORKS = ["Starlette", "FastAPI", "Flask", "Django"]
BODY = b'{"type": "task.succeeded", "data": {"RequestID": "7ba60ab0"}}'


def block(framework: str) -> str:
    """Return README's block for this framework, without the line that names it."""
    [code] = re.findall(rf"```python\n# {framework}.*?\n(.*?)```", README.read_text(), re.DOTALL)
    return str(code)


def example(framework: str) -> ModuleType:
    """Return README's block for this framework as a module."""
    code = block(framework)
    module = ModuleType(f"receiver_in_{framework.lower()}")
    sys.modules[module.__name__] = module
    exec(compile(code, str(README), "exec"), module.__dict__)  # noqa: S102 - the documentation is what is tested
    return module


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing: the test reads standard output."""


@asynccontextmanager
async def serving_wsgi(app: Any) -> AsyncIterator[str]:
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def django_app() -> Any:
    view = example("Django").hook
    urls = ModuleType("receiver_urls")
    urls.__dict__["urlpatterns"] = [path("hook", csrf_exempt(view))]
    sys.modules[urls.__name__] = urls
    django_settings.configure(ROOT_URLCONF=urls.__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of no use", USE_TZ=True)
    return get_wsgi_application()


@asynccontextmanager
async def served(framework: str) -> AsyncIterator[str]:
    if framework in {"Starlette", "FastAPI"}:
        async with serving(example(framework).app) as url:
            yield url
    else:
        async with serving_wsgi(django_app() if framework == "Django" else example(framework).app) as url:
            yield url


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_receiver_in_the_readme_is_ten_lines_at_most(framework: str) -> None:
    lines = [line for line in block(framework).splitlines() if line]
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_the_receiver_in_the_readme_takes_the_relays_callback_and_no_other(
    framework: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RELAY_SIGNING_SECRET", SECRET)
    headers = sign([Secret.parse(SECRET)], message_id="reg_1", timestamp=int(time.time()), body=BODY)
    headers["content-type"] = "application/json"
    async with served(framework) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        taken = await http.post("/hook", content=BODY, headers=headers)
        forged = await http.post("/hook", content=BODY.replace(b"7", b"8"), headers=headers)
    assert (taken.status_code, forged.status_code) == (204, 401)
    assert capsys.readouterr().out.splitlines() == ["task.succeeded 7ba60ab0"]
