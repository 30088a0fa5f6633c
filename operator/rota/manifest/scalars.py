"""Plain scalars by the YAML 1.2 core schema, without the numbers that readers disagree about."""

from __future__ import annotations

import math
import re
from typing import Final

MAX_INTEGER: Final = 2**53  # beyond it, readers that keep numbers as doubles lose digits

_NOT_TEXT_STARTS: Final = frozenset("-+.0123456789~nNtTfF")
_WORDS: Final = {
    **dict.fromkeys(("~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL: Final = re.compile("[-+]?[0-9]+")
_OTHER_BASE: Final = re.compile("0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

Scalar = str | int | float | bool | None


class NumberRefused(ValueError):
    """A scalar of a number's form that is not finite, or too large to be kept exactly."""


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar. Raises NumberRefused."""
    if not text:
        return None
    if text[0] not in _NOT_TEXT_STARTS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _DECIMAL.fullmatch(text):
        return _integer(text, 10)
    if _OTHER_BASE.fullmatch(text):
        return _integer(text, 8 if text[1] == "o" else 16)
    if _NOT_FINITE.fullmatch(text):
        raise NumberRefused("the number is not finite")
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise NumberRefused("the number is too large")
        return value
    return text


def _integer(text: str, base: int) -> int:
    # Python refuses to read thousands of digits; no sound number has more than these.
    value = int(text, base) if len(text) <= 32 else MAX_INTEGER + 1
    if abs(value) > MAX_INTEGER:
        raise NumberRefused("the number is beyond 2^53")
    return value
