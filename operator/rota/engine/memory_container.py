"""What stands on an Engine in memory: a container, and how those of its image behave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rota.core.observed import ContainerState, PublishedPort


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTraits:
    """How containers of an image behave: seconds until healthy (None: never), seconds that a stop takes,
    the code they end with when asked to.

    The seconds that a pull and a creation take pass with whoever makes the call, where time is stepped; the
    engine itself answers at once.
    """

    healthy_after: float | None = 0.0
    stop_takes: float = 0.0
    exit_code: int = 0
    pull_takes: float = 0.0
    create_takes: float = 0.0


Behaviour = Callable[[str, str], ImageTraits]
"""The traits of one container or call, by its image and by what tells it from others of that image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryContainer:
    """One container. Instants are monotonic seconds; `ends_at` is when an exit that was asked for comes."""

    id: str
    name: str
    labels: Mapping[str, str]
    image: str
    state: ContainerState = ContainerState.CREATED
    ports: tuple[PublishedPort, ...] = ()
    checked: bool = False
    stop_signal: str = "SIGTERM"
    restart: str = "always"
    started_at: float = 0.0
    told_healthy: bool = False
    exit_code: int | None = None
    ends_at: float | None = None
