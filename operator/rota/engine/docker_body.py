"""One typed builder for the body of `POST /containers/create`: what it does not name cannot be asked for."""

from __future__ import annotations

from typing import Any

from rota.core.container import ContainerSpec, HealthCheck
from rota.core.planning.actions import StartInstance
from rota.engine.labels import labels_for

_NANOSECONDS = 1_000_000_000
ALWAYS = {"Name": "always"}
"""`unless-stopped` stays down after an Engine crash."""
NEVER = {"Name": "no"}


def container_body(action: StartInstance) -> dict[str, Any]:
    """The create request of `action`, in the Engine API's own names and units."""
    spec = action.container
    body: dict[str, Any] = {
        "Image": action.image or spec.image,
        "Labels": labels_for(action),
        "Env": [f"{key}={value}" for key, value in sorted(spec.environment.items())],
        "ExposedPorts": {f"{port.target}/{port.protocol}": {} for port in action.ports},
        "StopSignal": spec.stop_signal,
        "StopTimeout": round(spec.stop_grace_period),
        "HostConfig": _host_config(action),
    }
    optional = {
        "Cmd": list(spec.command) if spec.command is not None else None,
        "Entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "Hostname": spec.hostname,
        "Healthcheck": _healthcheck(spec.healthcheck) if spec.healthcheck is not None else None,
    }
    body.update({key: value for key, value in optional.items() if value is not None})
    return body


def _host_config(action: StartInstance) -> dict[str, Any]:
    spec = action.container
    config: dict[str, Any] = {
        "RestartPolicy": ALWAYS if action.restarts else NEVER,
        "PortBindings": {
            f"{port.target}/{port.protocol}": [{"HostPort": str(port.published)}] for port in action.ports
        },
        "Mounts": _mounts(action),
        "ReadonlyRootfs": spec.read_only,
        "CapDrop": list(spec.cap_drop),
        "Tmpfs": {path: options for path, _, options in (one.partition(":") for one in spec.tmpfs)},
        "Sysctls": dict(spec.sysctls),
        "ExtraHosts": list(spec.extra_hosts),
        "Dns": list(spec.dns),
        "Ulimits": [
            {"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in sorted(spec.ulimits.items())
        ],
    }
    optional = {
        "Init": spec.init,
        "ShmSize": spec.shm_size,
        "Memory": spec.memory_limit,
        "NanoCpus": spec.cpu_limit * 1_000_000 if spec.cpu_limit is not None else None,
        "LogConfig": _logging(spec),
    }
    config.update({key: value for key, value in optional.items() if value is not None})
    return config


def _mounts(action: StartInstance) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = [
        {"Type": "volume", "Source": one.name, "Target": one.target, "ReadOnly": one.read_only}
        for one in action.volumes
    ]
    for mount in action.container.volumes:
        if mount.kind == "tmpfs":
            options = {"SizeBytes": mount.size} if mount.size is not None else {}
            mounts.append({"Type": "tmpfs", "Target": mount.target, "TmpfsOptions": options})
    return mounts


def _logging(spec: ContainerSpec) -> dict[str, Any] | None:
    if spec.logging_driver is None:
        return None
    return {"Type": spec.logging_driver, "Config": dict(spec.logging_options)}


def _healthcheck(check: HealthCheck) -> dict[str, Any]:
    durations = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
    }
    body: dict[str, Any] = {"Test": list(check.test)}
    body.update({key: round(value * _NANOSECONDS) for key, value in durations.items() if value is not None})
    if check.retries is not None:
        body["Retries"] = check.retries
    return body
