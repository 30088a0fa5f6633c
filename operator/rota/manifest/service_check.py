"""`spec.check` of a Service: a check from outside, for images that have none of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rota.core.container import Check, ContainerSpec
from rota.manifest.problem import Pointer, did_you_mean, shown
from rota.manifest.quantity import seconds, stated_seconds
from rota.manifest.reader import Reader

_HERE: Final[Pointer] = ("spec", "check")
_LIMITS: Final = {"interval": ("100ms", "1h"), "timeout": ("100ms", "1m")}
"""Each check is a connection of Rota's own: it must neither flood a host nor wait for ever."""


def service_check(reader: Reader, container: ContainerSpec) -> Check | None:
    """The check of a Service with this container, or None; what is wrong with it is left in the reader."""
    stated: Mapping[str, Any] | None = reader.spec.get("check")
    if stated is None:
        return None
    if container.healthcheck is not None and not container.healthcheck.disabled:
        message = "the container has a healthcheck, and only one of the two can say whether it is healthy"
        mend = "Remove one of them, or write healthcheck: {disable: true}."
        reader.report(_HERE, message, mend, at_key=True)
    for key, (least, most) in _LIMITS.items():
        if key in stated and not seconds(least) <= seconds(stated[key]) <= seconds(most):
            message = f"must be between {least} and {most}, but is {shown(stated[key])}"
            reader.report((*_HERE, key), message)
    given = [key for key in ("http", "tcp") if key in stated]
    if len(given) != 1:
        message = f"states {'both' if given else 'neither'} http {'and' if given else 'nor'} tcp"
        reader.report(_HERE, message, "Write http: {port: NAME, path: /up}, or tcp: {port: NAME}.")
        return None
    port = _target(reader, (*_HERE, given[0], "port"), stated[given[0]]["port"], container)
    if port is None:
        return None
    default = Check(port=port)
    return Check(
        port=port,
        path=stated[given[0]].get("path"),
        interval=stated_seconds(stated, "interval", default.interval),
        timeout=stated_seconds(stated, "timeout", default.timeout),
        fall=stated.get("fall", default.fall),
        rise=stated.get("rise", default.rise),
    )


def _target(reader: Reader, here: Pointer, name: str, container: ContainerSpec) -> int | None:
    """The port in the container that has this name."""
    port = next((each for each in container.ports if each.name == name), None)
    if port is None:
        known = [each.name for each in container.ports if each.protocol == "tcp"]
        listed = f"It has {', '.join(known)}." if known else f"Add {{name: {name}, target: PORT}} there."
        mend = did_you_mean(name, known) or listed
        reader.report(here, f"there is no port {shown(name)} in spec.container.ports", mend)
    elif port.protocol != "tcp":
        reader.report(here, f"the port {name} is {port.protocol}, and only tcp can be checked")
    return port.target if port is not None else None
