"""From what the workers see to one snapshot of the fleet."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from rota.core.ledger import Ledger
from rota.core.observed import HostState, HostView


def follow_renames(views: Mapping[str, HostView], declared: Container[str], ledger: Ledger) -> Ledger:
    """The ledger after hosts were renamed: a declared Host whose Engine is that of one that left it.

    It is the same machine: its record and its pins go to the new name, and nothing is drained.
    """
    renamed = {
        old: name
        for old, record in ledger.hosts.items()
        for name, view in sorted(views.items())
        if old not in declared and name in declared and name not in ledger.hosts
        if record.engine_id and view.engine is not None and view.engine.id == record.engine_id
    }
    if not renamed:
        return ledger
    hosts = {name: record for name, record in ledger.hosts.items() if name not in renamed}
    pins = {key: renamed.get(host, host) for key, host in ledger.pins.items()}
    return replace(ledger, hosts=hosts, pins=pins)


def settle_identities(views: Mapping[str, HostView], ledger: Ledger) -> dict[str, HostView]:
    """`views` in which every Engine is one host, and the one that the ledger knows.

    A second Host of the same Engine id is refused: the name that the ledger knows the Engine by keeps it,
    else the first by name. A host that holds volumes and is another Engine than before is refused, too.
    """
    owners: dict[str, str] = {}
    for name, record in sorted(ledger.hosts.items()):
        if record.engine_id and name in views:
            owners.setdefault(record.engine_id, name)
    result = {}
    for name in sorted(views):
        view = views[name]
        owner = owners.setdefault(view.engine.id, name) if view.engine is not None else name
        if owner != name:
            detail = f"is the same Engine as host {owner}; give each Host an endpoint of its own"
            view = replace(view, state=HostState.REFUSED, detail=detail, containers=(), pending=())
        elif _is_another(view, ledger):
            view = replace(view, state=HostState.REFUSED, detail=_ANOTHER_ENGINE)
        result[name] = view
    return result


_ANOTHER_ENGINE = (
    "is another Engine than the one that holds the volumes recorded for it; bring that one back, or give "
    "this one a name of its own"
)


def _is_another(view: HostView, ledger: Ledger) -> bool:
    record = ledger.hosts.get(view.name)
    known = record.engine_id if record is not None else ""
    changed = view.engine is not None and known not in ("", view.engine.id)
    return changed and view.name in ledger.pins.values()


def presume(views: Mapping[str, HostView], known: Mapping[str, HostView]) -> dict[str, HostView]:
    """`views` in which a host that this daemon could not list yet has what was known of it last.

    A host that does not answer is never a host without containers.
    """
    result = {}
    for name, view in views.items():
        before = known.get(name)
        if not view.listed and before is not None:
            view = replace(view, containers=before.containers, engine=view.engine or before.engine)
        result[name] = view
    return result
