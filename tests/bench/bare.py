"""The bare endpoint that the API is measured against: it decodes a JSON body and answers with JSON."""

import asyncio

import orjson
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.api.serving import serving


async def _echo(request: Request) -> Response:
    return Response(orjson.dumps(orjson.loads(await request.body())), 201, media_type="application/json")


async def _main() -> None:
    app = Starlette(routes=[Route("/v1/registrations", _echo, methods=["POST"])])
    async with serving(app, "127.0.0.1", 0) as url:
        print(f"bare: {url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_main())
