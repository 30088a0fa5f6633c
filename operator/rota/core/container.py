"""What one container is made from: the vocabulary of a Compose service, typed. Durations in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A container port to publish. `published` None: Rota assigns one for the container's life."""

    name: str
    target: int
    protocol: str = "tcp"
    published: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A named volume (pinned to the host of its slot) or a tmpfs."""

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Docker's own health check. Durations in seconds; `test` begins with CMD, CMD-SHELL or NONE."""

    test: tuple[str, ...]
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None

    @property
    def disabled(self) -> bool:
        return self.test[:1] == ("NONE",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check from outside, for images without one of their own: is `port` of the container answered?

    By HTTP where `path` is given (any answer below 400), else by a TCP connection. Seconds; `fall` failures
    in a row make it unhealthy, `rise` successes healthy.
    """

    port: int
    path: str | None = None
    interval: float = 5.0
    timeout: float = 2.0
    fall: int = 3
    rise: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What one container is made from: the vocabulary of a Compose service, typed."""

    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    working_dir: str | None = None
    hostname: str | None = None
    init: bool | None = None
    read_only: bool = False
    tmpfs: tuple[str, ...] = ()
    shm_size: int | None = None
    cap_drop: tuple[str, ...] = ()
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    logging_driver: str | None = None
    logging_options: Mapping[str, str] = field(default_factory=dict)
    healthcheck: HealthCheck | None = None
    ports: tuple[Port, ...] = ()
    volumes: tuple[Mount, ...] = ()
    stop_grace_period: float = 10.0
    stop_signal: str = "SIGTERM"
    pull_policy: str = "missing"
    cpu_limit: int | None = None
    memory_limit: int | None = None

    @property
    def pinned(self) -> bool:
        """Its data lives on one host: each slot stays where its named volumes are."""
        return bool(self.volumes) and any(mount.kind == "volume" for mount in self.volumes)

    @property
    def fixed_ports(self) -> tuple[tuple[int, str], ...]:
        """The host ports that the manifest fixes, as (port, protocol)."""
        return tuple((port.published, port.protocol) for port in self.ports if port.published is not None)
