"""Containers for the lab's own tests, made through the Engine API and looked at from outside."""

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.lab.hosts import Lab
from tests.lab.layout import LabHost
from tests.lab.shell import LabError

CHECK_EVERY_NANOSECONDS = 200_000_000
CHECK_SECONDS_NANOSECONDS = 3_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a test asks of one container; `publish` is its TCP port, the same one on the host."""

    name: str
    image: str
    publish: int | None = None
    restart: str = "no"
    environment: Mapping[str, str] = field(default_factory=dict)
    health: Sequence[str] = ()
    volume: str | None = None
    network: str = "bridge"


def start(lab: Lab, host: LabHost | str, container: Container) -> str:
    """Create and start it; gives its id."""
    body = _create_body(container)
    status, answer = lab.api(host, "POST", f"/containers/create?name={container.name}", body)
    if status != 201:
        raise LabError(f"{container.name} could not be created, code {status}: {answer}")
    status, refusal = lab.api(host, "POST", f"/containers/{answer['Id']}/start")
    if status != 204:
        raise LabError(f"{container.name} could not be started, code {status}: {refusal}")
    return str(answer["Id"])


def execute(lab: Lab, host: LabHost | str, container_id: str, *command: str) -> None:
    """Run a command in a container; comes back once it has begun."""
    status, answer = lab.api(host, "POST", f"/containers/{container_id}/exec", {"Cmd": list(command)})
    if status != 201:
        raise LabError(f"{command[0]} could not be run in {container_id}, code {status}: {answer}")
    lab.api(host, "POST", f"/exec/{answer['Id']}/start", {"Detach": True})


def state(lab: Lab, host: LabHost | str, name: str) -> dict[str, Any]:
    """The Engine's own word on a container: Status, ExitCode, Health, …"""
    status, answer = lab.api(host, "GET", f"/containers/{name}/json")
    if status != 200:
        raise LabError(f"{name} could not be looked at, code {status}: {answer}")
    return dict(answer["State"])


def health(lab: Lab, host: LabHost | str, name: str) -> str:
    """The Engine's verdict of the health command: starting, healthy or unhealthy."""
    return str(state(lab, host, name)["Health"]["Status"])


def fetch(host: LabHost, port: int, path: str = "/up") -> str | None:
    """What a client gets from this port of the host, None where it gets nothing within a second."""
    try:
        with urllib.request.urlopen(f"http://{host.address}:{port}{path}", timeout=1.0) as answer:
            return str(answer.read().decode().strip())
    except (urllib.error.URLError, OSError):
        return None


def _create_body(container: Container) -> dict[str, Any]:
    """The container in the Engine's own words."""
    host_config: dict[str, Any] = {
        "RestartPolicy": {"Name": container.restart},
        "NetworkMode": container.network,
    }
    body: dict[str, Any] = {
        "Image": container.image,
        "Env": [f"{name}={value}" for name, value in container.environment.items()],
        "HostConfig": host_config,
    }
    if container.publish is not None:
        port = f"{container.publish}/tcp"
        body["ExposedPorts"] = {port: {}}
        host_config["PortBindings"] = {port: [{"HostPort": str(container.publish)}]}
    if container.volume is not None:
        host_config["Binds"] = [container.volume]
    if container.health:
        body["Healthcheck"] = {
            "Test": ["CMD", *container.health],
            "Interval": CHECK_EVERY_NANOSECONDS,
            "Timeout": CHECK_SECONDS_NANOSECONDS,
            "Retries": 1,
        }
    return body
