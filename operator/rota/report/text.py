"""What others wrote, made safe for one line of a terminal: no control sequence, nothing cut."""

from __future__ import annotations

import json
from collections.abc import Sequence


def one_line(text: str) -> str:
    """`text` with all that does not print spelt out, as `\\n` or `\\u202e`; spaces stay."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _spelt(char) for char in text)


def _spelt(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def survives(loss: str, shortfalls: Sequence[str], extent: str = "") -> list[str]:
    """Whether the loss of any one of `loss` (`hosts`, `zones`) is survived; what is short a line each, where
    it is more than one."""
    asked = f"Survives the loss of any one {loss.removesuffix('s')}{extent}"
    match shortfalls:
        case []:
            return [f"{asked}: yes"]
        case [only]:
            return [f"{asked}: no: {only}"]
        case _:
            return [f"{asked}: no", *(f"    {one}" for one in shortfalls)]


def what_is_wrong(error: Exception) -> str:
    """Why a document of the status branch cannot be read, from what reading it raised."""
    if isinstance(error, KeyError):
        return f"{one_line(str(error))} is missing"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, TypeError | AttributeError):
        return "a value is not of its type"
    return one_line(str(error))
