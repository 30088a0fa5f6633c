"""Bodies of requests: counted while they are read, and given up in time."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

BODY_SECONDS = 10.0


async def read_body(request: Request, most: int) -> bytes | None:
    """The raw body, None where it is larger than `most` bytes. What it claims to be long is not believed.

    Raises TimeoutError, and ClientDisconnect.
    """
    chunks = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        async for chunk in request.stream():
            chunks += chunk
            if len(chunks) > most:
                return None
    return bytes(chunks)
