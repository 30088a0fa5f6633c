"""YAML 1.2 text to plain values, without what can harm the reader.

libyaml only supplies the event stream; depth, number of nodes, anchors, aliases, merge keys, tags and
duplicate keys are judged event by event, so nothing dangerous is ever built. Scalars are read by the
YAML 1.2 core schema: `on`, `22:00` and `1_000` are text, `012` is twelve. Keys are always text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from yaml._yaml import CParser
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

from rota.manifest.places import Text, at
from rota.manifest.problem import FILE_START, Pointer, Position, Problem, dotted
from rota.manifest.scalars import NumberRefused, Scalar, resolve

MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE: Final = re.compile("(?:^|[\n\r\x85\u2028\u2029])%")

# libyaml's own words, and what mostly stands behind them.
_MENDS: Final = {
    "found character that cannot start any token": "Indent with spaces, not tabs; quote text that begins so.",
    "mapping values are not allowed in this context": "Quote text that holds a colon and a space.",
    "could not find expected ':'": "Give the key a value, or indent the line as a part of the one above.",
}

_Collection = dict[str, Any] | list[Any]


class Unusual(NamedTuple):
    """A fraction, or an integer whose text would not come back from its value: `3.10`, `012`, `0x1f`."""

    pointer: Pointer
    value: int | float


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """One document: `root` of dict, list, str, int, float, bool and None; itself never None."""

    path: str
    root: Any
    start: Position
    unusual: tuple[Unusual, ...]
    number: int
    text: Text

    def position(self, pointer: Pointer, *, key: bool = False) -> Position:
        """Where the node at `pointer` stands, or its key; where there is none, the nearest parent."""
        for length in range(len(pointer), 0, -1):
            places = self.text.places.get((self.number, pointer[:length]))
            if places is not None:
                return places.key if key else places.value
        return self.start

    def problem(self, pointer: Pointer, message: str, mend: str = "", *, at_key: bool = False) -> Problem:
        """An error at a node of this document."""
        return Problem(self.path, *self.position(pointer, key=at_key), dotted(pointer), message, mend)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The sound documents of one file, and what is wrong with the others.

    A file that cannot be read to its end has one problem and no documents.
    """

    documents: tuple[ParsedDocument, ...] = ()
    problems: tuple[Problem, ...] = ()


class _Refusal(Exception):
    """The file is not read any further."""

    def __init__(self, position: Position, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.position, self.message, self.mend = position, message, mend


def parse(path: str, content: bytes) -> Parsed:
    """Read every document of a file; empty ones are left out. Never raises, whatever the bytes."""
    try:
        text = _decode(content)
        builder = _Builder(path, Text(text))
        parser = CParser(text)
        while type(event := parser.get_event()) is not StreamEndEvent:
            builder.take(event)
    except _Refusal as refusal:
        return Parsed(problems=(Problem(path, *refusal.position, "", refusal.message, refusal.mend),))
    except MarkedYAMLError as error:
        return Parsed(problems=(_syntax_problem(path, error),))
    except YAMLError:
        return Parsed(problems=(Problem(path, 1, 1, "", "the file is not YAML"),))
    return builder.parsed()


def _decode(content: bytes) -> str:
    """The text without a byte order mark; refuses everything but UTF-8 of printable characters."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Refusal(FILE_START, "the file is UTF-16", "Save it as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The error counts from behind a byte order mark, if there is one.
        sound = error.object[: error.start].decode("utf-8")
        message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise _Refusal(_end_of(sound), message, "Save the file as UTF-8.") from None
    if found := _FORBIDDEN.search(text):
        message = f"the character U+{ord(found[0]):04X} is not allowed"
        raise _Refusal(_end_of(text[: found.start()]), message, "Remove it.")
    # Before libyaml sees them: it takes seconds over thousands of directives.
    if found := _DIRECTIVE.search(text):
        message = "a line must not begin with %: YAML directives are not allowed"
        raise _Refusal(_end_of(text[: found.end() - 1]), message, "Remove the line.")
    return text


def _end_of(text: str) -> Position:
    """The place right behind `text`."""
    return Position(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _syntax_problem(path: str, error: MarkedYAMLError) -> Problem:
    position = at(error.problem_mark or error.context_mark)
    context = f" {error.context}" if error.context else ""
    mend = _MENDS.get(error.problem or "", "")
    return Problem(path, *position, "", f"not valid YAML: {error.problem}{context}", mend)


@dataclass(slots=True)
class _Builder:
    """Builds the documents of one file from events.

    `holder` is the collection that is open, `key` its key that waits for a value; `stack` holds the
    collections around it, each with the step by which the next one was reached.
    """

    path: str
    text: Text
    holder: _Collection | None = None
    key: str | None = None
    stack: list[tuple[_Collection | None, str | int]] = field(default_factory=list)
    nodes: int = 0
    number: int = -1
    start: Position = FILE_START
    root: Any = None
    sound: bool = True
    repeats: bool = False
    unusual: list[Unusual] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    documents: list[ParsedDocument] = field(default_factory=list)

    def take(self, event: Event | None) -> None:
        """Accept the next event of the file. Raises _Refusal."""
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, CollectionStartEvent):
            self._open(event)
        elif isinstance(event, CollectionEndEvent):
            self.holder, _ = self.stack.pop()
            if self.holder is None:
                self._finish()
        elif isinstance(event, AliasEvent):
            raise _refusal(event, "aliases are not allowed", "Write the value out.")
        elif isinstance(event, DocumentStartEvent):
            self.number += 1
            self.sound, self.unusual = True, []

    def parsed(self) -> Parsed:
        """What the file holds, after its last event."""
        repeats = self.text.duplicates(self.path) if self.repeats else ()
        return Parsed(tuple(self.documents), (*self.problems, *repeats))

    def _finish(self) -> None:
        if self.root is not None and self.sound:
            document = ParsedDocument(
                self.path, self.root, self.start, tuple(self.unusual), self.number, self.text
            )
            self.documents.append(document)

    def _open(self, event: CollectionStartEvent) -> None:
        self._check(event)
        if len(self.stack) >= MAX_DEPTH:
            raise _refusal(event, f"values are nested more than {MAX_DEPTH} deep")
        holder = self.holder
        if isinstance(holder, dict) and self.key is None:
            raise _refusal(event, "a key must be text, not a mapping or a list")
        opened: _Collection = {} if isinstance(event, MappingStartEvent) else []
        step = self.key if self.key is not None else len(holder or ())
        self._add(event, opened)
        self.stack.append((holder, step))
        self.holder = opened

    def _scalar(self, event: ScalarEvent) -> None:
        self._check(event)
        text = event.value
        if "\0" in text:
            raise _refusal(event, "the character U+0000 is not allowed")
        if isinstance(self.holder, dict) and self.key is None:
            if text == "<<" and not event.style:
                raise _refusal(event, "merge keys are not allowed", "Write the values out.")
            if text in self.holder:
                self.repeats, self.sound = True, False
            self.key = text
            return
        self._add(event, text if event.style else self._resolved(event, text))
        if self.holder is None:
            self._finish()

    def _add(self, event: Event, value: Any) -> None:
        holder = self.holder
        if holder is None:
            self.root, self.start = value, at(event.start_mark)
        elif isinstance(holder, list):
            holder.append(value)
        elif self.key is not None:
            holder[self.key] = value
            self.key = None

    def _check(self, event: ScalarEvent | CollectionStartEvent) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _refusal(event, f"the file has more than {MAX_NODES:,} values", "Split it.")
        if event.anchor is not None:
            raise _refusal(event, "anchors are not allowed", "Write the value out where it is used.")
        if event.tag is not None:
            raise _refusal(event, "tags are not allowed", "Remove the word that begins with !.")

    def _resolved(self, event: ScalarEvent, text: str) -> Scalar:
        try:
            value = resolve(text)
        except NumberRefused as error:
            place = at(event.start_mark)
            mend = "Quote it if text is meant."
            self.problems.append(Problem(self.path, *place, dotted(self._pointer()), str(error), mend))
            self.sound = False
            return None
        if type(value) is float or (type(value) is int and str(value) != text):
            self.unusual.append(Unusual(self._pointer(), value))
        return value

    def _pointer(self) -> Pointer:
        """The path of the value that comes next."""
        if self.holder is None:
            return ()
        around = [step for holder, step in self.stack if holder is not None]
        return (*around, self.key if self.key is not None else len(self.holder))


def _refusal(event: Event, message: str, mend: str = "") -> _Refusal:
    return _Refusal(at(event.start_mark), message, mend)
