"""A manifest that is sound by itself: what it says, and what it defines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rota.manifest.convert import Definition
from rota.manifest.problem import Pointer, Problem
from rota.manifest.yaml import ParsedDocument


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest as written. `namespace` is empty for a Fleet or a Host; `raw` has no defaults."""

    kind: str
    namespace: str
    name: str
    path: str
    line: int
    raw: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A document with what it defines, and a way to point into it."""

    document: Document
    definition: Definition
    parsed: ParsedDocument

    def problem(self, pointer: Pointer, message: str, mend: str = "", *, at_key: bool = False) -> Problem:
        """An error at a node of this document."""
        return self.parsed.problem(pointer, message, mend, at_key=at_key)

    @property
    def order(self) -> tuple[str, int]:
        """By what manifests are sorted."""
        return (self.document.path, self.document.line)

    @property
    def place(self) -> str:
        """Path and line of the document."""
        return f"{self.document.path}:{self.document.line}"
