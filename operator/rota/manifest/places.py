"""Where the nodes of a YAML text stand. Only asked for when something is wrong with a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from yaml._yaml import CParser, Mark
from yaml.error import Mark as ErrorMark
from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

from rota.manifest.problem import FILE_START, MAX_PROBLEMS, Pointer, Position, Problem, dotted, shown


class Places(NamedTuple):
    """Where a node stands, and the key that names it; both are equal where there is no key."""

    key: Position
    value: Position


class Node(NamedTuple):
    """One value of one document of a file. `document` counts from 0, empty documents included."""

    document: int
    pointer: Pointer
    places: Places


@dataclass(frozen=True)
class Text:
    """The text of one file whose events were all found harmless."""

    content: str

    @cached_property
    def places(self) -> dict[tuple[int, Pointer], Places]:
        """The places of every node by document and pointer; of equal keys, the first one's."""
        found: dict[tuple[int, Pointer], Places] = {}
        for node in _walk(self.content):
            found.setdefault((node.document, node.pointer), node.places)
        return found

    def duplicates(self, path: str) -> tuple[Problem, ...]:
        """A problem for each of the first 50 keys that their mapping has already."""
        return tuple(islice(self._duplicates(path), MAX_PROBLEMS))

    def _duplicates(self, path: str) -> Iterator[Problem]:
        within: tuple[int, Pointer] | None = None
        for document, pointer, places in _walk(self.content):
            # What lies inside a repeated key repeats too; only the key itself is told.
            if within and len(pointer) > len(within[1]) and (document, pointer[: len(within[1])]) == within:
                continue
            first = self.places[document, pointer]
            if places != first:
                within = (document, pointer)
                message = f"the key {shown(pointer[-1])} is already given on line {first.key.line}"
                yield Problem(path, *places.key, dotted(pointer), message, "Keep one of them.")


def at(mark: Mark | ErrorMark | None) -> Position:
    """The place of a mark; libyaml counts lines and columns from 0, people from 1."""
    if mark is None:
        return FILE_START
    return Position(mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come. `key` waits for its value; `count` is of items so far."""

    pointer: Pointer
    mapping: bool
    count: int = 0
    key: str | None = None
    key_at: Position = FILE_START


def _walk(content: str) -> Iterator[Node]:
    parser = CParser(content)
    opened: list[_Open] = []
    document = -1
    while type(event := parser.get_event()) is not StreamEndEvent:
        if isinstance(event, DocumentStartEvent):
            document += 1
        elif isinstance(event, CollectionEndEvent):
            opened.pop()
        elif isinstance(event, ScalarEvent | CollectionStartEvent):
            here = at(event.start_mark)
            parent = opened[-1] if opened else None
            if parent is not None and parent.mapping and parent.key is None:
                parent.key, parent.key_at = _key_of(event), here
                continue
            pointer, key_at = _next_place(parent, here)
            yield Node(document, pointer, Places(key_at, here))
            if isinstance(event, CollectionStartEvent):
                opened.append(_Open(pointer, isinstance(event, MappingStartEvent)))


def _key_of(event: Event) -> str:
    assert isinstance(event, ScalarEvent), "a collection as a key was refused when the file was parsed"
    return event.value


def _next_place(parent: _Open | None, here: Position) -> tuple[Pointer, Position]:
    """The pointer of the node that begins `here`, and where its key stands."""
    if parent is None:
        return (), here
    if parent.key is not None:
        pointer, key_at = (*parent.pointer, parent.key), parent.key_at
        parent.key = None
        return pointer, key_at
    parent.count += 1
    return (*parent.pointer, parent.count - 1), here
