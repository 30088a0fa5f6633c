"""Short ways to build model values in tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from zoneinfo import ZoneInfo

from rota.core.container import ContainerSpec, HealthCheck, Mount, Port
from rota.core.ids import WorkloadId
from rota.core.model import (
    Amount,
    CapacityPolicy,
    FailureSettings,
    Fleet,
    Host,
    Override,
    Service,
    UpdateRules,
    Weekly,
    Window,
)
from rota.core.resources import Resources

MEBIBYTE = 1 << 20


def host(name: str, *, cpu: int = 4000, memory: int = 4096, **fields: object) -> Host:
    """A host of `cpu` millicores and `memory` MiB in a zone of its own letter."""
    made = Host(
        name=name,
        endpoint=f"tcp://{name}:2375",
        address=name,
        labels={"zone": name[-1]},
        cpu=cpu,
        memory=memory * MEBIBYTE,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def service(name: str, replicas: int = 1, *, cpu: int = 100, memory: int = 128, **fields: object) -> Service:
    """A service with a health check and one assigned port; `image` is a short way to another spec."""
    image = str(fields.pop("image", "web:1"))
    container = ContainerSpec(
        image=image,
        healthcheck=HealthCheck(test=("CMD", "true")),
        ports=(Port(name="http", target=8080),),
    )
    made = Service(
        id=WorkloadId("shop", name),
        replicas=replicas,
        container=fields.pop("container", container),  # type: ignore[arg-type]
        requests=Resources(cpu=cpu, memory=memory * MEBIBYTE),
        spec_hash=f"v1:{image}",
        update=UpdateRules(min_healthy_time=1.0),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def pinned(image: str = "mysql:8") -> ContainerSpec:
    """A container with a named volume."""
    return ContainerSpec(image=image, volumes=(Mount(kind="volume", target="/data", source="data"),))


def policy(**fields: object) -> CapacityPolicy:
    """A policy of Europe/Berlin without windows."""
    made = CapacityPolicy(
        namespace="shop", name="day-night", zone=ZoneInfo("Europe/Berlin"), base={}, windows=()
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def window(start: str, end: str, replicas: dict[str, int] | None = None, **fields: object) -> Window:
    """A window on all days, or on `days`; times as HH:MM, end 24:00 allowed."""
    hours = Weekly(
        days=fields.pop("days", frozenset(range(7))),  # type: ignore[arg-type]
        start=time.fromisoformat(start),
        end=None if end == "24:00" else time.fromisoformat(end),
    )
    made = Window(name="day", hours=hours, replicas=amounts(replicas or {}))
    return replace(made, **fields)  # type: ignore[arg-type]


def amounts(replicas: dict[str, int]) -> dict[WorkloadId, Amount]:
    return {WorkloadId("shop", name): Amount(value=count) for name, count in replicas.items()}


def fleet(
    hosts: list[Host],
    services: list[Service],
    policies: tuple[CapacityPolicy, ...] = (),
    overrides: tuple[Override, ...] = (),
    revision: str = "1" * 40,
) -> Fleet:
    return Fleet(
        name="test",
        uid="u1",
        revision=revision,
        failure=FailureSettings(),
        hosts={one.name: one for one in hosts},
        services={one.id: one for one in services},
        policies=policies,
        overrides=overrides,
    )
