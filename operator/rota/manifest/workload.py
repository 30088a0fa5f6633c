"""A Service's document to `Service`: resources, what it depends on, and the hashes of what is stated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from rota.core.ids import WorkloadId
from rota.core.model import Service, Singleton
from rota.core.resources import Resources
from rota.manifest.container import container_spec
from rota.manifest.placement import placement_rules
from rota.manifest.problem import Pointer
from rota.manifest.reader import Reader, Stated
from rota.manifest.service_check import service_check
from rota.manifest.update import max_unavailable, update_rules
from rota.manifest.wording import FREE_MAPPINGS

_LEAST_MEMORY: Final = 6 * 2**20  # the Engine refuses a lower limit


def service(reader: Reader) -> Service:
    """The Service of a document; what is wrong with it is left in the reader."""
    spec = reader.spec
    requests, limits = _resources(reader, spec["resources"])
    container = container_spec(reader, limits)
    singleton = _singleton(reader)
    update = update_rules(reader, container, singleton)
    return Service(
        id=WorkloadId(reader.namespace, reader.name),
        replicas=spec.get("replicas", 1),
        container=container,
        requests=requests,
        spec_hash=spec_hash(spec["container"], spec["resources"], spec.get("check")),
        document_hash=document_hash(reader.document.root),
        priority=spec.get("priority", 100),
        labels=reader.labels(),
        placement=placement_rules(reader, spec.get("placement", {})),
        update=update,
        max_unavailable=max_unavailable(reader, update),
        check=service_check(reader, container),
        depends_on=_depends_on(reader),
        singleton=singleton,
        source=reader.source(),
    )


def spec_hash(
    container: Mapping[str, Any], resources: Mapping[str, Any], check: Mapping[str, Any] | None = None
) -> str:
    """Over the stated fields that a container is made with: no defaults, no counts, no `x-` keys.

    So neither a change of replicas nor an upgrade of Rota restarts anything. A check counts where there is
    one: what an instance is asked is never changed under it, and a change that fails is returned from.
    """
    stated = {"container": container, "resources": resources}
    if check is not None:
        stated["check"] = check
    return _hash({key: _without_extensions(value) for key, value in stated.items()})


def document_hash(root: Mapping[str, Any]) -> str:
    """Over a whole document as stated, `x-` keys and annotations included, but without `spec.replicas`.

    So whoever wants a failed spec tried again may change anything at all, while a count tries nothing again.
    """
    spec = {key: value for key, value in root["spec"].items() if key != "replicas"}
    return _hash({**root, "spec": spec})


def _hash(stated: Mapping[str, Any]) -> str:
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


def _singleton(reader: Reader) -> Singleton:
    singleton = Singleton(reader.spec.get("singleton", Singleton.NONE))
    if singleton is not Singleton.NONE and reader.spec.get("replicas", 1) > 1:
        message = f"a singleton has at most 1 instance, but {reader.spec['replicas']} are stated"
        reader.report(("spec", "replicas"), message, "Write 0 or 1, or singleton: none.")
    return singleton


def _depends_on(reader: Reader) -> tuple[WorkloadId, ...]:
    """What must be healthy before the Service, names of its own namespace, in the order of their names."""
    found: set[WorkloadId] = set()
    for index, item in enumerate(reader.spec.get("dependsOn", ())):
        here: Pointer = ("spec", "dependsOn", index)
        workload = WorkloadId(reader.namespace, item["service"])
        if workload in found:
            reader.report(here, f"two entries name {workload.name}", "Keep one of them.")
        if workload.name == reader.name:
            message = "a Service cannot depend on itself: it would never start"
            reader.report((*here, "service"), message, "Leave it out.")
        found.add(workload)
    return tuple(sorted(found))
