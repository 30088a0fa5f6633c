"""Answers that go on: the log of instances, the output of a command. Each ends when its reader leaves."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from rota.errors import RotaError
from rota.web.pump import Pump
from rota.web.views import CommandOutput, LogSource

WRITE_SECONDS = 30.0
"""A reader that takes nothing for so long is let go."""
LONGEST_SECONDS = 12 * 3600.0
"""A reader that vanished without a word is let go after this."""
HEAD_SECONDS = 1.0
"""What fails within this time is told by the status of the answer; what has begun is not."""
LONGEST_LINE = 64 << 10
"""A longer line of a log that is shown beside others is cut in pieces of this many bytes."""

Pieces = AsyncGenerator[bytes, None]


class Places:
    """How many answers of one kind may go on at a time. For one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0

    def take(self) -> bool:
        """Whether there was a free place, which is taken now."""
        free = self._taken < self.most
        self._taken += free
        return free

    def give_back(self) -> None:
        self._taken -= 1


class Stream:
    """An ASGI answer made of `pieces`. What fails before there is any is an answer 502 with the reason."""

    def __init__(self, pieces: Callable[[], Pieces], media_type: str, places: Places) -> None:
        self._pieces = pieces
        self._head = {"type": "http.response.start", "status": 200, "headers": _headers(media_type)}
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._places.take():
            said = f"{self._places.most} of these are open, which is the most at a time: close one"
            await refused(503, said)(scope, receive, send)
            return
        writing = asyncio.create_task(self._write(scope, receive, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            done, _ = await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if writing in done:
                writing.result()
        finally:  # also when the server stops
            writing.cancel()
            leaving.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)
            self._places.give_back()

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(LONGEST_SECONDS), aclosing(self._pieces()) as pieces:
            first = asyncio.create_task(_next(pieces))
            try:
                await asyncio.wait({first}, timeout=HEAD_SECONDS)
                if first.done() and isinstance(failed := first.exception(), RotaError):
                    await refused(502, str(failed))(scope, receive, send)
                    return
                await _in_time(send, self._head)
                piece = await first
            finally:
                first.cancel()
                await asyncio.wait({first})
            while piece is not None:
                await _in_time(send, {"type": "http.response.body", "body": piece, "more_body": True})
                piece = await _next(pieces)
            await _in_time(send, {"type": "http.response.body", "body": b"", "more_body": False})


async def _next(pieces: Pieces) -> bytes | None:
    return await anext(pieces, None)


async def _in_time(send: Send, message: Mapping[str, Any]) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await send(dict(message))


async def _left(receive: Receive) -> None:
    """Returns when the reader has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(media_type: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", media_type.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


def refused(status: int, message: str) -> JSONResponse:
    """A refusal, or a failure, as a sentence."""
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return JSONResponse({"error": message}, status_code=status, headers=headers)


async def logs_of(sources: Sequence[LogSource]) -> Pieces:
    """The log of one instance as it is; of several line by line, each with its label."""
    pump = Pump([one.open for one in sources])
    single = len(sources) == 1
    parts = [b""] * len(sources)
    running, begun = len(sources), False
    pump.start()
    try:
        while running:
            number, content, error, _ = await pump.next()
            label = b"" if single else f"{sources[number].label} | ".encode()
            if content is not None and single:
                yield content
            elif content is not None:
                lines, parts[number] = _lines(parts[number] + content)
                if lines:
                    yield b"".join(label + line + b"\n" for line in lines)
            else:
                running -= 1
                if single and error and not begun:
                    raise RotaError(error)
                left = [parts[number]] if parts[number] else []
                left += [f"rota: {error}".encode()] if error else []
                if left:
                    yield b"".join(label + line + b"\n" for line in left)
            begun = True
    finally:
        pump.close()


def _lines(text: bytes) -> tuple[list[bytes], bytes]:
    """The whole lines of `text`, and what is left of it."""
    *lines, left = text.split(b"\n")
    while len(left) > LONGEST_LINE:
        lines.append(left[:LONGEST_LINE])
        left = left[LONGEST_LINE:]
    return lines, left


async def output_of(opened: Callable[[], CommandOutput]) -> Pieces:
    """The output of a command as lines of JSON: `{"output": BASE64}`, and at last `{"exitCode": N}`, or
    `{"error": SENTENCE}` where how it ended is not known."""
    pump = Pump([opened])
    begun = False
    pump.start()
    try:
        while True:
            _, content, error, output = await pump.next()
            if content is not None:
                yield _line({"output": base64.b64encode(content).decode()})
                begun = True
                continue
            if error and not begun:
                raise RotaError(error)
            yield _line({"error": error} if error else await _ending(cast(CommandOutput, output)))
            return
    finally:
        pump.close()


async def _ending(output: CommandOutput) -> dict[str, object]:
    try:
        return {"exitCode": await asyncio.to_thread(output.exit_code)}
    except RotaError as error:
        return {"error": str(error)}


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"
