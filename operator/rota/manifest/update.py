"""`spec.update` and `spec.disruption` of a Service: how instances are replaced, how many may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rota.core.container import ContainerSpec
from rota.core.model import Amount, Canary, OnFailure, Order, Singleton, UpdateRules
from rota.manifest.problem import Pointer
from rota.manifest.quantity import amount, seconds, stated_seconds
from rota.manifest.reader import Reader

_HERE: Final[Pointer] = ("spec", "update")
_TRIES: Final = 2
"""So many instances one after the other may miss their deadline before a rollout does, unless stated."""


def update_rules(reader: Reader, container: ContainerSpec, singleton: Singleton) -> UpdateRules:
    """The rules of a Service with this container; what contradicts itself is left in the reader."""
    stated: Mapping[str, Any] = reader.spec.get("update", {})
    default = UpdateRules()
    healthy_deadline = stated_seconds(stated, "healthyDeadline", default.healthy_deadline)
    progress_unless = max(default.progress_deadline, _TRIES * healthy_deadline)
    rules = UpdateRules(
        order=_order(reader, stated, _why_stop_first(container, singleton)),
        max_surge=amount(stated["maxSurge"]) if "maxSurge" in stated else default.max_surge,
        min_healthy_time=stated_seconds(stated, "minHealthyTime", default.min_healthy_time),
        healthy_deadline=healthy_deadline,
        progress_deadline=stated_seconds(stated, "progressDeadline", progress_unless),
        on_failure=OnFailure(stated.get("onFailure", default.on_failure)),
        canary=_canary(stated["canary"]) if "canary" in stated else None,
    )
    if rules.healthy_deadline <= rules.min_healthy_time:
        # Either of them may be a default; the place is the one that the manifest states.
        key = "healthyDeadline" if "healthyDeadline" in stated else "minHealthyTime"
        message = "healthyDeadline must be longer than minHealthyTime, or no instance is ever in time"
        reader.report((*_HERE, key), message)
    if "progressDeadline" in stated and rules.progress_deadline <= rules.min_healthy_time:
        message = "progressDeadline must be longer than minHealthyTime, or every rollout fails"
        mend = f"minHealthyTime is {default.min_healthy_time:g}s unless given."
        reader.report((*_HERE, "progressDeadline"), message, "" if "minHealthyTime" in stated else mend)
    both = stated.keys() >= {"progressDeadline", "healthyDeadline"}
    if both and rules.progress_deadline < rules.healthy_deadline:
        message = "progressDeadline is shorter than healthyDeadline: a rollout would fail before its time"
        mend = "Make it as long at least, or leave it out."
        reader.report((*_HERE, "progressDeadline"), message, mend)
    if rules.canary is not None:
        _judge_canary(reader, rules.canary, singleton)
    return rules


def _judge_canary(reader: Reader, canary: Canary, singleton: Singleton) -> None:
    """Canaries must leave something to compare them with. No replicas stated or 0: windows give counts."""
    replicas = reader.spec.get("replicas", 0)
    if singleton is not Singleton.NONE:
        message = "a singleton has no canaries: there is only one instance at a time"
        reader.report((*_HERE, "canary"), message, "Leave it out.")
    elif 0 < replicas <= canary.count:
        message = f"count must be less than replicas, which is {replicas}, or nothing is left to be spared"
        reader.report((*_HERE, "canary", "count"), message)


def max_unavailable(reader: Reader, update: UpdateRules) -> Amount:
    """The disruption budget of a Service with these rules, which must let something be replaced."""
    stated: Mapping[str, Any] = reader.spec.get("disruption", {})
    default = Amount(value=0 if update.order is Order.START_FIRST else 1)
    allowed = amount(stated["maxUnavailable"]) if "maxUnavailable" in stated else default
    if allowed.value == 0 and update.order is Order.STOP_FIRST:
        message = "stop-first needs at least 1: with 0, nothing could ever be replaced"
        reader.report(("spec", "disruption", "maxUnavailable"), message)
    if allowed.value == 0 and update.order is Order.START_FIRST and update.max_surge.value == 0:
        message = "maxSurge 0 needs disruption.maxUnavailable: without either, nothing could ever be replaced"
        reader.report((*_HERE, "maxSurge"), message)
    return allowed


def _order(reader: Reader, stated: Mapping[str, Any], reason: str) -> Order:
    """The order that is stated, or that follows from `reason`, why two instances cannot run at once."""
    order = Order(stated.get("order", Order.STOP_FIRST if reason else Order.START_FIRST))
    if reason and order is Order.START_FIRST:
        message = f"start-first cannot be: {reason}, so the old instance must stop before the new one starts"
        reader.report((*_HERE, "order"), message, "Write stop-first, or leave it out.")
    return order


def _why_stop_first(container: ContainerSpec, singleton: Singleton) -> str:
    """Why two instances of one slot cannot run at once, or nothing."""
    if singleton is not Singleton.NONE:
        return "it is a singleton"
    if container.fixed_ports:
        port, protocol = container.fixed_ports[0]
        return f"the host port {port}/{protocol} is fixed"
    volumes = [mount.source for mount in container.volumes if mount.kind == "volume"]
    return f"the volume {volumes[0]} belongs to one instance at a time" if volumes else ""


def _canary(stated: Mapping[str, Any]) -> Canary:
    return Canary(count=stated["count"], hold=seconds(stated["hold"]))
