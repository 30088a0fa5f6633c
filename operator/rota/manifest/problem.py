"""What is wrong with a manifest, and how a value is shown in a message."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal, NamedTuple

SHOWN_BYTES: Final = 200
MAX_PROBLEMS: Final = 50  # of one file; whoever has more mends the first ones and looks again

_MAX_CANDIDATES: Final = 500
Pointer = tuple[str | int, ...]
Severity = Literal["error", "warning"]


class Position(NamedTuple):
    """A place in a file; line and column count from 1, columns in characters."""

    line: int
    column: int


FILE_START: Final = Position(1, 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `pointer` is the path in the document, such as `spec.ports[0].name`.

    `message` is a sentence without its full stop, `mend` a whole one or empty.
    """

    path: str
    line: int
    column: int
    pointer: str
    message: str
    mend: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f" (at {self.pointer})" if self.pointer else ""
        mend = f" {self.mend}" if self.mend else ""
        return f"{escaped(self.path)}:{self.line}:{self.column}: {self.message}{place}.{mend}"


def sort_key(problem: Problem) -> tuple[str, int, int, str]:
    """The order in which problems are reported."""
    return (problem.path, problem.line, problem.column, problem.message)


def dotted(pointer: Pointer) -> str:
    """A pointer as text; a key that is not a plain word stands in brackets and quotes."""
    parts: list[str] = []
    for step in pointer:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif step.isascii() and step.replace("-", "_").isidentifier() and len(step) <= SHOWN_BYTES:
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{shown(step)}]")
    return "".join(parts)


def shown(value: object) -> str:
    """A value for a message: ASCII, so that a look-alike letter shows, and of at most 200 bytes."""
    # Cut before escaping too: a value may be a megabyte long.
    text = json.dumps(value[:SHOWN_BYTES] if isinstance(value, str) else value)
    cut = len(text) > SHOWN_BYTES or (isinstance(value, str) and len(value) > SHOWN_BYTES)
    return text[: SHOWN_BYTES - 4] + '..."' if cut else text


def escaped(path: str) -> str:
    """A path on one line, whatever bytes a commit put into it."""
    return path if path.isprintable() else path.encode("unicode_escape").decode("ascii")


def joined(words: Sequence[str], conjunction: str) -> str:
    """`a, b or c`; of one word, that word."""
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest of `known`, or nothing."""
    # Comparing is slow: a long word is nobody's typing error, and a hint is not worth a second.
    candidates = sorted(each for each in known if abs(len(each) - len(word)) <= 4)
    if len(word) > 64 or len(candidates) > _MAX_CANDIDATES:
        return ""
    close = get_close_matches(word, candidates, n=1, cutoff=0.6)
    return f"Did you mean {shown(close[0])}?" if close else ""
