"""What a revision looks like to the loader: a list of files, read on demand by blob id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a tree. `blob_id` names the content: equal ids, equal bytes. `size` in bytes."""

    path: str
    blob_id: str
    size: int
    kind: Literal["file", "symlink", "submodule"] = "file"


class Tree(Protocol):
    """A revision's files. `revision` is a commit id, or empty for a plain folder."""

    @property
    def revision(self) -> str: ...

    @property
    def entries(self) -> tuple[Entry, ...]: ...

    def read(self, entries: Iterable[Entry]) -> Mapping[str, bytes]:
        """The contents of `entries`, keyed by blob id."""
        ...
