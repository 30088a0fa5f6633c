"""Which spec holds for a workload: the one that the commit states, or the one that was good before it
failed."""

from __future__ import annotations

from dataclasses import replace

from rota.core.ledger import FailedSpec, GoodSpec, Ledger
from rota.core.model import Fleet, Service


def failed(service: Service, ledger: Ledger) -> FailedSpec | None:
    """The record of the failure of what `service`, as its commit has it, states; any change of its document
    but the count is a new try."""
    found = ledger.failed.get(service.id)
    same = found is not None and (found.spec, found.document) == (service.spec_hash, service.document_hash)
    return found if same else None


def tried_anew(fleet: Fleet, ledger: Ledger) -> Ledger:
    """`ledger` without the failures of what `fleet` does not state any more, without the time that their
    rollouts took and what died meanwhile: what it states instead begins anew."""
    over = {
        workload
        for workload in ledger.failed.keys() & fleet.services.keys()
        if failed(fleet.services[workload], ledger) is None
    }
    if not over:
        return ledger
    return replace(
        ledger,
        failed={workload: one for workload, one in ledger.failed.items() if workload not in over},
        rollouts={workload: one for workload, one in ledger.rollouts.items() if workload not in over},
        crashes={key: one for key, one in ledger.crashes.items() if key[0] not in over},
    )


def in_force(fleet: Fleet, ledger: Ledger) -> Fleet:
    """`fleet` with the spec that was good before wherever the stated one has failed and is to be reverted."""
    reverted = {}
    for workload in ledger.failed:
        service = fleet.services.get(workload)
        found = failed(service, ledger) if service is not None else None
        good = ledger.good.get(workload)
        if service is not None and found is not None and found.reverts and good is not None:
            reverted[workload] = with_spec(service, good) or service
    return replace(fleet, services={**fleet.services, **reverted}) if reverted else fleet


def with_spec(service: Service, good: GoodSpec) -> Service | None:
    """`service` made from another spec; how many of it, where and how it is replaced stay as stated. None
    where a secret that it needs is not known any more."""
    container, stated = good.container, service.container.environment
    if good.withheld:
        if not stated.keys() >= set(good.withheld):
            return None
        values = {name: stated[name] for name in good.withheld}
        container = replace(container, environment={**container.environment, **values})
    return replace(
        service,
        container=container,
        requests=good.requests,
        check=good.check,
        spec_hash=good.spec,
    )


def former(service: Service, ledger: Ledger) -> Service | None:
    """`service` as it was good last, where that is another spec than the one in force."""
    good = ledger.good.get(service.id)
    return with_spec(service, good) if good is not None and good.spec != service.spec_hash else None


def short(revision: str) -> str:
    """A revision as people read it."""
    return f"commit {revision[:7]}" if revision else "the working tree"
