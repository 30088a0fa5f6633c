"""What Docker says of containers and images, read into the port's own values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rota.core.observed import ContainerState, Health, PublishedPort
from rota.engine.port import ListedContainer

_EXITED = re.compile(r"Exited \((\d+)\)")
_STATES = {str(state): state for state in ContainerState}
_HEALTH = {
    "(healthy)": Health.HEALTHY,
    "(unhealthy)": Health.UNHEALTHY,
    "(health: starting)": Health.STARTING,
}


def listed(row: Mapping[str, Any]) -> ListedContainer:
    """A row of `GET /containers/json`."""
    status = str(row.get("Status", ""))
    exited = _EXITED.match(status)
    ports = {
        PublishedPort(int(port["PrivatePort"]), int(port["PublicPort"]), str(port.get("Type", "tcp")))
        for port in row.get("Ports") or ()
        if "PublicPort" in port
    }
    return ListedContainer(
        id=str(row["Id"]),
        name=str(row["Names"][0]).removeprefix("/") if row.get("Names") else "",
        labels=row.get("Labels") or {},
        state=_STATES.get(str(row.get("State", "")), ContainerState.DEAD),
        health=next((word for mark, word in _HEALTH.items() if status.endswith(mark)), Health.NONE),
        ports=tuple(sorted(ports)),
        exit_code=int(exited[1]) if exited else None,
        created=int(row.get("Created") or 0),
    )


def by_name(name: str) -> str:
    """The filter that finds exactly this name."""
    return f"^/{re.escape(name)}$"


def repository_of(image: str) -> str:
    """An image name without its tag and digest."""
    name = image.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name


def image_reference(image: str, inspected: Mapping[str, Any]) -> str:
    """`repository@digest` as its own registry gave it, the digest that `image` states first; else the id."""
    own = _familiar(repository_of(image))
    digests = sorted(
        one for one in inspected.get("RepoDigests") or () if _familiar(repository_of(str(one))) == own
    )
    stated = f"@{image.partition('@')[2]}"
    digests.sort(key=lambda one: not one.endswith(stated))
    return str(digests[0]) if digests else str(inspected["Id"])


def _familiar(repository: str) -> str:
    """Docker Hub's own names have a long and a short form."""
    return repository.removeprefix("docker.io/").removeprefix("library/")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
