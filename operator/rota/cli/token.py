"""The token of the daemon's API, for the daemon and for the verbs that ask it: `ROTA_API_TOKEN[_FILE]`."""

from __future__ import annotations

import os
from pathlib import Path

from rota.errors import Fatal

VARIABLE = "ROTA_API_TOKEN"
SHORTEST = 16


def api_token() -> str | None:
    """The token, None where none is set. Never a flag, which anybody on the machine could read."""
    file = os.environ.get(f"{VARIABLE}_FILE")
    token = os.environ.get(VARIABLE) if file is None else _read(file)
    if token is None:
        return None
    if len(token) < SHORTEST or not (token.isascii() and token.isprintable()) or " " in token:
        raise Fatal(f"{VARIABLE}: give one word of at least {SHORTEST} letters and digits.")
    return token


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Fatal(f"{VARIABLE}_FILE names {file}, which cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Fatal(f"{VARIABLE}_FILE names {file}, which is not text in UTF-8.") from error
