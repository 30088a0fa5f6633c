"""What the image of a spec is beyond its name, and where it is: resolved once, the same on every host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rota.core.ledger import Ledger, SpecKey
from rota.core.model import Fleet, Service
from rota.core.observed import Outcome, Result
from rota.core.planning.scene import Scene


def reference_of(service: Service, scene: Scene) -> str | None:
    """What containers of `service` are made from; None where that is to be found out first. A plan goes by
    names."""
    found = scene.ledger.images.get((service.id, service.spec_hash))
    if found is not None or scene.observed.resolves:
        return found
    return service.container.image


def hosts_with(service: Service, scene: Scene) -> frozenset[str]:
    """The hosts that are known to have the image of `service`."""
    reference = reference_of(service, scene)
    if reference is None:
        return frozenset()
    return frozenset(name for name, view in scene.observed.hosts.items() if reference in view.images)


def is_there(service: Service, scene: Scene) -> bool:
    """Whether a host is known to have the image of `service`, so that making room for it is no idle venture.
    A plan takes that for granted."""
    return not scene.observed.resolves or bool(hosts_with(service, scene))


PATIENCE_SECONDS = 60.0
"""An image that no host has for so long is not waited for by what is lost meanwhile."""


def out_of_reach(service: Service, scene: Scene) -> str:
    """Why the image of `service` cannot be had for the time being: it was asked for in vain, or for long, and
    no host that answers has it. Empty while nothing speaks against it."""
    having = hosts_with(service, scene)
    if not scene.observed.resolves or any(scene.posts[name].reachable for name in having):
        return ""
    failures = scene.ledger.failures
    found = [
        (name, failures.get((service.id, name, service.spec_hash))) for name in sorted(scene.fleet.hosts)
    ]
    failed = next((f"{name}: {one.message}" for name, one in found if one is not None), "")
    rollout = scene.ledger.rollouts.get(service.id)
    if failed or rollout is None or rollout.spec != service.spec_hash:
        return failed
    late = scene.now.mono - rollout.since >= PATIENCE_SECONDS
    return f"no host has it after {PATIENCE_SECONDS:g}s" if late else ""


def resolved(ledger: Ledger, outcomes: Iterable[Outcome]) -> Mapping[SpecKey, str]:
    """The images that are known by now. The first answer holds: a name that moves on changes nothing that
    runs."""
    found = {
        (one.workload, one.spec): one.image
        for one in outcomes
        if one.verb == "resolve" and one.result is Result.DONE and one.image
    }
    return {**found, **ledger.images} if found else ledger.images


def in_use(images: Mapping[SpecKey, str], stated: Fleet, ledger: Ledger) -> Mapping[SpecKey, str]:
    """Those of `images` whose spec is wanted, or was good last."""
    wanted = {(one.id, one.spec_hash) for one in stated.services.values()}
    wanted |= {(workload, good.spec) for workload, good in ledger.good.items()}
    if images.keys() <= wanted:
        return images
    return {key: image for key, image in images.items() if key in wanted}
