"""`POST /webhook/github` wakes the loop; `GET /healthz` says whether it turns. The API stands beside them.

The body is counted while it is read, verified before anything looks into it, and never parsed: the
payload is a hint that there may be news, not data.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rota.web.bodies import read_body

MOST_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the pages may do: `wake` the loop, and ask for the `age` of the last pass in seconds."""

    wake: Callable[[], None]
    age: Callable[[], float | None]
    oldest: float = 120.0
    """A loop whose last pass is older does not turn any more."""


def application(hooks: Hooks, github_secret: str | None, api: Iterable[Route] = ()) -> Starlette:
    """The ASGI application. Without a secret there is no webhook: unsigned calls are never taken."""
    routes = [Route("/healthz", _healthz(hooks), methods=["GET"]), *api]
    if github_secret is not None:
        routes.append(Route("/webhook/github", _github(hooks, github_secret.encode()), methods=["POST"]))
    return Starlette(routes=routes)


def _healthz(hooks: Hooks) -> Callable[[Request], Response]:
    def healthz(_request: Request) -> Response:
        age = hooks.age()
        if age is None:
            return PlainTextResponse("starting: no pass has ended yet\n", status_code=503)
        if age > hooks.oldest:
            return PlainTextResponse(f"the last pass ended {age:.0f}s ago\n", status_code=503)
        return PlainTextResponse("ok\n")

    return healthz


def _github(hooks: Hooks, secret: bytes) -> Callable[[Request], object]:
    async def github(request: Request) -> Response:
        try:
            body = await read_body(request, MOST_BODY_BYTES)
        except ClientDisconnect:
            return PlainTextResponse("the body did not arrive\n", status_code=400)
        except TimeoutError:
            return PlainTextResponse("the body did not arrive in time\n", status_code=408)
        if body is None:
            return PlainTextResponse(f"the body is larger than {MOST_BODY_BYTES} bytes\n", status_code=413)
        if not signed(body, request.headers.get("x-hub-signature-256", ""), secret):
            return PlainTextResponse("the signature in X-Hub-Signature-256 does not match\n", status_code=401)
        hooks.wake()
        return PlainTextResponse("accepted\n", status_code=202)

    return github


def signed(body: bytes, signature: str, secret: bytes) -> bool:
    """Whether `signature` is `sha256=` and the HMAC of `body`; in constant time."""
    expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())
