"""What stands on an Engine in memory: a container, and how those of its image behave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rota.core.observed import ContainerState, PublishedPort


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTraits:
    """How containers of an image behave: seconds until healthy (None: never), seconds that a stop takes,
    the code they end with when asked to.

    `lives`: seconds after which the program ends by itself (None: it does not), with `dies_with`, or for lack
    of memory. `answers_after`: seconds until its ports answer (None: they never do). `writes` are the lines
    of its log, written when it starts; `commands` what can be run in it, with what that writes and its code.

    The seconds that a pull and a creation take pass with whoever makes the call, where time is stepped; the
    engine itself answers at once.
    """

    healthy_after: float | None = 0.0
    stop_takes: float = 0.0
    exit_code: int = 0
    lives: float | None = None
    dies_with: int = 1
    out_of_memory: bool = False
    answers_after: float | None = 0.0
    writes: tuple[str, ...] = ()
    commands: Mapping[tuple[str, ...], tuple[str, int]] = field(default_factory=dict)
    pull_takes: float = 0.0
    create_takes: float = 0.0


Behaviour = Callable[[str, str], ImageTraits]
"""The traits of one container or call, by its image and by what tells it from others of that image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryContainer:
    """One container. Instants are monotonic seconds, `created` is in seconds since 1970.

    `ends_at` is when its program ends, by itself unless it was asked to, with code `ends_with`; `restarts_at`
    when its Engine brings it back, `restarts` how often it has in a row. `told` is the health that events
    have told.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    image: str
    state: ContainerState = ContainerState.CREATED
    ports: tuple[PublishedPort, ...] = ()
    checked: bool = False
    stop_signal: str = "SIGTERM"
    restart: str = "always"
    created: int = 0
    started_at: float = 0.0
    told: str = ""
    sick: bool = False
    log: tuple[str, ...] = ()
    exit_code: int | None = None
    ends_at: float | None = None
    ends_with: int = 0
    ends_oom: bool = False
    ends_asked: bool = False
    restarts: int = 0
    restarts_at: float | None = None
