"""One document that has passed its schema, and the list of what is still wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rota.core.model import INSTANCES, Source
from rota.core.resources import Resources, extended_of
from rota.manifest.calendars import Calendars, no_calendars
from rota.manifest.problem import Pointer, Problem
from rota.manifest.quantity import memory_bytes, millicores
from rota.manifest.yaml import ParsedDocument

DEFAULT_NAMESPACE: Final = "default"

_RESERVED: Final = ("rota.", "com.docker.")
_OWN_DIMENSIONS: Final = frozenset(("cpu", "memory", INSTANCES))


@dataclass(frozen=True, slots=True)
class Reader:
    """What a conversion reads from, and where it leaves what it finds."""

    document: ParsedDocument
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    calendars: Calendars = field(default_factory=no_calendars)

    @property
    def kind(self) -> str:
        kind: str = self.document.root["kind"]
        return kind

    @property
    def metadata(self) -> Mapping[str, Any]:
        metadata: Mapping[str, Any] = self.document.root["metadata"]
        return metadata

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.document.root["spec"]
        return spec

    @property
    def name(self) -> str:
        name: str = self.metadata["name"]
        return name

    @property
    def namespace(self) -> str:
        namespace: str = self.metadata.get("namespace", DEFAULT_NAMESPACE)
        return namespace

    def source(self, pointer: Pointer = ()) -> Source:
        """Where a part of the document stands; cheap for the document itself only."""
        position = self.document.position(pointer) if pointer else self.document.start
        return Source(self.document.path, position.line, position.column)

    def report(self, pointer: Pointer, message: str, mend: str = "", *, at_key: bool = False) -> None:
        """Note an error at `pointer`; the document is refused once its conversion has ended."""
        self.problems.append(self.document.problem(pointer, message, mend, at_key=at_key))

    def warn(self, pointer: Pointer, message: str, mend: str = "") -> None:
        """Note at `pointer` what is sound and yet hardly meant; the document is accepted."""
        self.warnings.append(replace(self.document.problem(pointer, message, mend), severity="warning"))

    def labels(self) -> dict[str, str]:
        """The labels of the metadata; reports those whose prefix is reserved."""
        labels: dict[str, str] = dict(self.metadata.get("labels", {}))
        for key in labels:
            self.check_label_key(("metadata", "labels", key), key)
        return labels

    def check_label_key(self, pointer: Pointer, key: str) -> None:
        """Report a key that belongs to Rota or to Docker."""
        for prefix in _RESERVED:
            if key.startswith(prefix):
                message = f"labels under {prefix} are reserved"
                self.report(pointer, message, "Choose another prefix.", at_key=True)

    def amounts(self, pointer: Pointer, stated: Mapping[str, Any], *, positive: bool) -> Stated:
        """The resources of one mapping, None where not stated; reports zeros where `positive`."""
        cpu = millicores(stated["cpu"]) if "cpu" in stated else None
        memory = memory_bytes(stated["memory"]) if "memory" in stated else None
        extended = {key: stated[key] for key in extended_names(stated)}
        for key, number in {"cpu": cpu, "memory": memory, **extended}.items():
            if positive and number == 0:
                mend = "Leave it out." if key in extended else ""
                self.report((*pointer, key), "must be more than 0", mend)
        return Stated(cpu, memory, extended)


def extended_names(stated: Mapping[str, Any]) -> list[str]:
    """The extended resources that a mapping of amounts names."""
    return [key for key in stated if key not in _OWN_DIMENSIONS and not key.startswith("x-")]


@dataclass(frozen=True, slots=True)
class Stated:
    """Cpu in millicores and memory in bytes, each None where a manifest does not state it; extended
    resources by name, zeros included."""

    cpu: int | None
    memory: int | None
    extended: Mapping[str, int]

    def resources(self) -> Resources:
        """With 0 for what is not stated."""
        return Resources(cpu=self.cpu or 0, memory=self.memory or 0, extended=extended_of(self.extended))
