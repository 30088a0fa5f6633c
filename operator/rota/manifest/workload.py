"""A Service's document to `Service`: update rules, resources and the hash of its spec."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from rota.core.container import ContainerSpec
from rota.core.ids import WorkloadId
from rota.core.model import Amount, Order, Service, UpdateRules
from rota.core.resources import Resources
from rota.manifest.container import container_spec
from rota.manifest.placement import placement_rules
from rota.manifest.problem import Pointer
from rota.manifest.quantity import amount, seconds
from rota.manifest.reader import Reader, Stated
from rota.manifest.wording import FREE_MAPPINGS

_LEAST_MEMORY: Final = 6 * 2**20  # the Engine refuses a lower limit


def service(reader: Reader) -> Service:
    """The Service of a document; what is wrong with it is left in the reader."""
    spec = reader.spec
    requests, limits = _resources(reader, spec["resources"])
    container = container_spec(reader, limits)
    update = _update(reader, spec.get("update", {}), container)
    return Service(
        id=WorkloadId(reader.namespace, reader.name),
        replicas=spec.get("replicas", 1),
        container=container,
        requests=requests,
        spec_hash=spec_hash(spec["container"], spec["resources"]),
        priority=spec.get("priority", 100),
        labels=reader.labels(),
        placement=placement_rules(reader, spec.get("placement", {})),
        update=update,
        max_unavailable=_max_unavailable(reader, spec.get("disruption", {}), update),
        source=reader.source(),
    )


def spec_hash(container: Mapping[str, Any], resources: Mapping[str, Any]) -> str:
    """Over the stated fields that need a new container: no defaults, no counts, no `x-` keys.

    So neither a change of replicas nor an upgrade of Rota restarts anything.
    """
    stated = {"container": _without_extensions(container), "resources": _without_extensions(resources)}
    canonical = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    return "v1:" + hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _without_extensions(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: inner if key in FREE_MAPPINGS else _without_extensions(inner)
            for key, inner in value.items()
            if not key.startswith("x-")
        }
    return [_without_extensions(item) for item in value] if isinstance(value, list) else value


def _resources(reader: Reader, stated: Mapping[str, Any]) -> tuple[Resources, Stated]:
    here: Pointer = ("spec", "resources")
    requests = reader.amounts((*here, "requests"), stated["requests"], positive=True)
    limits = reader.amounts((*here, "limits"), stated.get("limits", {}), positive=True)
    for key, limit, request in (
        ("cpu", limits.cpu, requests.cpu),
        ("memory", limits.memory, requests.memory),
    ):
        if limit is not None and request is not None and 0 < limit < request:
            reader.report((*here, "limits", key), "a limit must not be below its request")
    if limits.memory is not None and 0 < limits.memory < _LEAST_MEMORY:
        reader.report((*here, "limits", "memory"), "the Engine takes no limit below 6Mi")
    return requests.resources(), limits


def _update(reader: Reader, stated: Mapping[str, Any], container: ContainerSpec) -> UpdateRules:
    here: Pointer = ("spec", "update")
    reason = _why_stop_first(container)
    order = Order(stated.get("order", "stop-first" if reason else "start-first"))
    if reason and order is Order.START_FIRST:
        message = f"start-first cannot be: {reason}, so the old instance must stop before the new one starts"
        reader.report((*here, "order"), message, "Write stop-first, or leave it out.")
    default = UpdateRules()
    rules = UpdateRules(
        order=order,
        max_surge=amount(stated["maxSurge"]) if "maxSurge" in stated else default.max_surge,
        min_healthy_time=_duration(stated, "minHealthyTime", default.min_healthy_time),
        healthy_deadline=_duration(stated, "healthyDeadline", default.healthy_deadline),
    )
    if rules.healthy_deadline <= rules.min_healthy_time:
        # Either of them may be a default; the place is the one that the manifest states.
        key = "healthyDeadline" if "healthyDeadline" in stated else "minHealthyTime"
        message = "healthyDeadline must be longer than minHealthyTime, or no instance is ever in time"
        reader.report((*here, key), message)
    return rules


def _why_stop_first(container: ContainerSpec) -> str:
    """Why two instances of one slot cannot run at once, or nothing."""
    if container.fixed_ports:
        port, protocol = container.fixed_ports[0]
        return f"the host port {port}/{protocol} is fixed"
    volumes = [mount.source for mount in container.volumes if mount.kind == "volume"]
    return f"the volume {volumes[0]} belongs to one instance at a time" if volumes else ""


def _duration(stated: Mapping[str, Any], key: str, default: float) -> float:
    return seconds(stated[key]) if key in stated else default


def _max_unavailable(reader: Reader, stated: Mapping[str, Any], update: UpdateRules) -> Amount:
    default = Amount(value=0 if update.order is Order.START_FIRST else 1)
    allowed = amount(stated["maxUnavailable"]) if "maxUnavailable" in stated else default
    if allowed.value == 0 and update.order is Order.STOP_FIRST:
        message = "stop-first needs at least 1: with 0, nothing could ever be replaced"
        reader.report(("spec", "disruption", "maxUnavailable"), message)
    if allowed.value == 0 and update.order is Order.START_FIRST and update.max_surge.value == 0:
        message = "maxSurge 0 needs disruption.maxUnavailable: without either, nothing could ever be replaced"
        reader.report(("spec", "update", "maxSurge"), message)
    return allowed
