"""What the API asks for: callables, and what they give. It knows nothing of fleets, engines or git."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from rota.errors import RotaError


class Absent(RotaError):
    """What was asked for is not there; the message says what is."""


class Unready(RotaError):
    """What was asked for is not known yet."""


class Output(Protocol):
    """Pieces as they come. Iterating blocks; `close`, from any thread, ends it."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class CommandOutput(Output, Protocol):
    """The output of a command; `exit_code` once it has ended."""

    def exit_code(self) -> int: ...


class LogSource(NamedTuple):
    """The log of one instance: its label (`web/3`) and what opens it, which may block and raise RotaError."""

    label: str
    open: Callable[[], Output]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuestion:
    """Whose log: of one slot, or of all (None). The last `lines` lines, and with `follow` what comes."""

    namespace: str
    name: str
    slot: int | None
    lines: int
    follow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandQuestion:
    """Which command, in the running instance of which slot."""

    namespace: str
    name: str
    slot: int
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What may be asked. All but the output is there at once; all may raise `Absent` and `Unready`."""

    status: Callable[[], Mapping[str, Any]]
    events: Callable[[str], Mapping[str, Any]]
    workload: Callable[[str, str], Mapping[str, Any]]
    logs: Callable[[LogQuestion], tuple[LogSource, ...]]
    run: Callable[[CommandQuestion], Callable[[], CommandOutput]]
