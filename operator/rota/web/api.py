"""`/api/v1`: what the daemon knows beyond the status branch, for `rota events -f`, `rota logs`, `rota exec`.

Read-only, but for commands in the fleet's own containers, which always need the token.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from rota.web.access import Access
from rota.web.bodies import read_body
from rota.web.streams import Places, Stream, logs_of, output_of, refused
from rota.web.views import Absent, CommandQuestion, LogQuestion, Unready, Views

ROOT = "/api/v1"
MOST_STREAMS = 8
"""Of logs, and of commands, at a time."""
MOST_LINES = 10_000
USUAL_LINES = 100
MOST_COMMAND_BYTES = 64 << 10
MOST_SLOT = 100_000

Endpoint = Callable[[Request], Awaitable[ASGIApp]]


def api_routes(views: Views, access: Access) -> list[Route]:
    """Every address of the API. Each checks first who asks."""
    api = _Api(views)
    reads: dict[str, Endpoint] = {
        "/status": partial(api.document, lambda _: views.status()),
        "/events": partial(api.document, lambda asked: views.events(asked.query_params.get("after", ""))),
        "/workloads/{namespace}/{name}": partial(
            api.document,
            lambda asked: views.workload(asked.path_params["namespace"], asked.path_params["name"]),
        ),
        "/logs/{namespace}/{name}": api.logs,
        "/logs/{namespace}/{name}/{slot}": api.logs,
    }
    routes = [
        Route(ROOT + path, _guarded(endpoint, access, reads=True), methods=["GET"])
        for path, endpoint in reads.items()
    ]
    run = _guarded(api.run, access, reads=False)
    return [*routes, Route(f"{ROOT}/exec/{{namespace}}/{{name}}/{{slot}}", run, methods=["POST"])]


def _guarded(endpoint: Endpoint, access: Access, *, reads: bool) -> Callable[[Request], Awaitable[ASGIApp]]:
    async def guarded(request: Request) -> ASGIApp:
        refusal = access.refusal(request, reads=reads)
        if refusal is not None:
            return refused(*refusal)
        try:
            return await endpoint(request)
        except Absent as error:
            return refused(404, str(error))
        except Unready as error:
            return refused(503, str(error))
        except _Unclear as error:
            return refused(400, str(error))

    return guarded


class _Unclear(Exception):
    """A question that cannot be understood; the message says what would be."""


class _Api:
    def __init__(self, views: Views) -> None:
        self._views = views
        self._logs = Places(MOST_STREAMS)
        self._runs = Places(MOST_STREAMS)

    async def document(self, view: Callable[[Request], Mapping[str, Any]], request: Request) -> ASGIApp:
        found = await run_in_threadpool(view, request)
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    async def logs(self, request: Request) -> ASGIApp:
        slot = request.path_params.get("slot")
        question = LogQuestion(
            namespace=request.path_params["namespace"],
            name=request.path_params["name"],
            slot=None if slot is None else _number("the slot", slot, MOST_SLOT),
            lines=_number("lines", request.query_params.get("lines", str(USUAL_LINES)), MOST_LINES),
            follow=_yes(request.query_params.get("follow", "false")),
        )
        sources = await run_in_threadpool(self._views.logs, question)
        return Stream(lambda: logs_of(sources), "text/plain; charset=utf-8", self._logs)

    async def run(self, request: Request) -> ASGIApp:
        question = CommandQuestion(
            namespace=request.path_params["namespace"],
            name=request.path_params["name"],
            slot=_number("the slot", request.path_params["slot"], MOST_SLOT),
            command=await _command(request),
        )
        opened = await run_in_threadpool(self._views.run, question)
        return Stream(lambda: output_of(opened), "application/x-ndjson", self._runs)


def _number(what: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) > most:
        raise _Unclear(f"{what} is {text!r}: give a number from 0 to {most}")
    return int(text)


def _yes(text: str) -> bool:
    if text not in ("true", "false"):
        raise _Unclear(f"follow is {text!r}: write true or false")
    return text == "true"


async def _command(request: Request) -> tuple[str, ...]:
    try:
        body = await read_body(request, MOST_COMMAND_BYTES)
        stated = json.loads(body or b"")["command"]
    except (ClientDisconnect, TimeoutError):
        raise _Unclear("the body did not arrive") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        stated = None
    if not isinstance(stated, list) or not stated or not all(isinstance(word, str) for word in stated):
        wanted = '{"command": ["ls", "/"]}'
        raise _Unclear(f"the body is no command of at most {MOST_COMMAND_BYTES} bytes: send {wanted}")
    return tuple(stated)
