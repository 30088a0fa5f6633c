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


def settle_identities(
    views: Mapping[str, HostView], ledger: Ledger, confirmed: Container[str] = ()
) -> dict[str, HostView]:
    """`views` in which every Engine is one host, and the one that the ledger knows.

    A second Host of the same Engine id is refused: the name that the ledger knows the Engine by keeps it,
    else the first by name. So is a host that is another Engine than before, unless it is among those that are
    `confirmed` to be replaced.
    """
    owners: dict[str, str] = {}
    for name, record in sorted(ledger.hosts.items()):
        if record.engine_id and name in views:
            owners.setdefault(record.engine_id, name)
    strange = strangers(views, ledger, confirmed)
    result = {}
    for name in sorted(views):
        view = views[name]
        owner = owners.setdefault(view.engine.id, name) if view.engine is not None else name
        if owner != name:
            detail = f"is the same Engine as host {owner}; give each Host an endpoint of its own"
            view = replace(view, state=HostState.REFUSED, detail=detail, containers=(), pending=())
        elif name in strange:
            view = replace(view, state=HostState.REFUSED, detail=_ANOTHER_ENGINE)
        result[name] = view
    return result


_ANOTHER_ENGINE = (
    "is another Engine than before. If the old machine is gone for good, commit an Override with "
    "`lost: true` on this Host; else bring the old one back, or give this one a name of its own"
)


def strangers(
    views: Mapping[str, HostView], ledger: Ledger, confirmed: Container[str] = ()
) -> frozenset[str]:
    """The hosts whose Engine is another than the ledger's, and of which nobody has confirmed it."""
    known = {name: record.engine_id for name, record in ledger.hosts.items() if record.engine_id}
    return frozenset(
        name
        for name, view in views.items()
        if view.engine is not None and known.get(name, view.engine.id) != view.engine.id
        if name not in confirmed
    )


def presume(
    views: Mapping[str, HostView], known: Mapping[str, HostView], strange: Container[str] = ()
) -> dict[str, HostView]:
    """`views` in which a host that this daemon could not list yet has what was known of it last.

    A host that does not answer is never a host without containers; nor is one among the `strange`, in whose
    place another Engine answers.
    """
    result = {}
    for name, view in views.items():
        before = known.get(name)
        if before is not None and (not view.listed or name in strange):
            view = replace(view, containers=before.containers, engine=view.engine or before.engine)
        result[name] = view
    return result
