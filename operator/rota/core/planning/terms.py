"""What a rollout has to heed beside its budget: whom it depends on, canaries, and a spec that has failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rota.core.ids import WorkloadId
from rota.core.model import Service
from rota.core.observed import ObservedContainer
from rota.core.planning import specs
from rota.core.planning.images import hosts_with, out_of_reach
from rota.core.planning.roster import Roster
from rota.core.planning.scene import Scene
from rota.core.planning.steps import Terms
from rota.core.planning.waits import Wait, WaitReason

Groups = Mapping[WorkloadId, Sequence[ObservedContainer]]
Rosters = Mapping[WorkloadId, Roster]


def terms_of(rosters: Rosters, groups: Groups, scene: Scene) -> dict[WorkloadId, Terms]:
    """The terms of every workload."""
    leaving = last_to_leave(rosters, groups, scene)
    return {workload: _terms(one, rosters, leaving, scene) for workload, one in rosters.items()}


def last_to_leave(rosters: Rosters, groups: Groups, scene: Scene) -> dict[WorkloadId, Wait]:
    """Why what goes altogether has to stay for now: somebody that depends on it goes as well, and is still
    there.

    Where each waits for another, by specs of different commits, nobody waits.
    """
    going = {
        workload: [one for one in containers if scene.posts[one.host].reachable]
        for workload, containers in groups.items()
        if workload not in rosters or not rosters[workload].wanted
    }
    waits: dict[WorkloadId, Wait] = {}
    for workload, containers in sorted(going.items()):
        for needed in sorted(_needs(workload, containers, scene) & going.keys()):
            if containers and needed != workload:
                there = f"{workload}, which depends on it, is still there"
                waits.setdefault(needed, Wait(WaitReason.DEPENDENT, there))
    return {one: why for one, why in waits.items() if not _in_circle(one, going, scene)}


def _in_circle(first: WorkloadId, going: Groups, scene: Scene) -> bool:
    """Whether a workload depends on itself by way of others that go as well."""
    seen: set[WorkloadId] = set()
    reached = _needs(first, going[first], scene) & going.keys()
    while reached:
        if first in reached:
            return True
        seen |= reached
        reached = {
            needed for one in reached for needed in _needs(one, going[one], scene) & going.keys()
        } - seen
    return False


def _needs(workload: WorkloadId, containers: Iterable[ObservedContainer], scene: Scene) -> set[WorkloadId]:
    service = scene.fleet.services.get(workload)
    if service is not None:
        return set(service.depends_on)
    return {needed for one in containers for needed in one.depends_on}


def _terms(one: Roster, rosters: Rosters, leaving: Mapping[WorkloadId, Wait], scene: Scene) -> Terms:
    service, former = one.service, specs.former(one.service, scene.ledger)
    with_image = hosts_with(service, scene)
    outdated = {
        group[0].container.host
        for group in one.kept.values()
        if not group[0].current and group[0].reachable and not group[0].misplaced
    }
    return Terms(
        start=_start_waits(service, rosters),
        renew=_failed(service, scene) or _renewal_waits(service, rosters, scene),
        imageless=_image_waits(service, scene) if former is not None else None,
        move=_crash_waits(service, scene),
        leave=leaving.get(service.id),
        canaries=_canaries(one, scene),
        former=former.spec_hash if former is not None else "",
        images=with_image,
        lacking=tuple(sorted(outdated - with_image)) if scene.observed.resolves else (),
    )


def _start_waits(service: Service, rosters: Rosters) -> Wait | None:
    """Nothing starts while nothing at all answers of what it depends on."""
    for needed in service.depends_on:
        one = rosters.get(needed)
        if one is not None and one.owed > 0 and one.healthy == 0:
            return Wait(WaitReason.DEPENDENCY, f"{needed}, which it depends on, is not healthy")
    return None


def _renewal_waits(service: Service, rosters: Rosters, scene: Scene) -> Wait | None:
    """A new spec comes after those of what it depends on. What is lost of one that was good is replaced all
    the same."""
    good = scene.ledger.good.get(service.id)
    if good is not None and good.spec == service.spec_hash:
        return None
    for needed in service.depends_on:
        one = rosters.get(needed)
        if one is None or one.owed == 0:
            continue
        renewed = sum(group[0].fit and group[0].serves for group in one.kept.values())
        gone = sum(group[0].gone for group in one.kept.values())  # those nobody can renew now
        least = max(one.owed - one.service.max_unavailable.of(one.owed) - gone, 1)
        if renewed < least:
            text = f"{needed}, which it depends on, has {renewed} of {least} healthy as they are to be"
            return Wait(WaitReason.DEPENDENCY, text)
    return None


def _failed(service: Service, scene: Scene) -> Wait | None:
    """Why the wanted spec is no longer brought to anybody: it failed, and nothing is there to revert to
    it."""
    found = scene.ledger.failed.get(service.id)
    if found is None or found.spec != service.spec_hash or specs.former(service, scene.ledger) is None:
        return None
    return Wait(WaitReason.FAILED, f"the rollout has failed: {found.reason}")


def _image_waits(service: Service, scene: Scene) -> Wait | None:
    """A start of the wanted spec would wait for an image that is nowhere to be had."""
    why = out_of_reach(service, scene)
    return Wait(WaitReason.NO_IMAGE, f"its image cannot be had: {why}") if why else None


def _crash_waits(service: Service, scene: Scene) -> Wait | None:
    """What keeps dying is not moved at once again: meanwhile its Engine brings it back where it is."""
    found = scene.ledger.crashes.get((service.id, service.spec_hash))
    if found is None or found.until <= scene.now.mono:
        return None
    moves = f"{found.count} move{'s'[: found.count > 1]}"
    return Wait(WaitReason.BACK_OFF, f"it kept dying elsewhere, too: backing off after {moves}")


def _canaries(one: Roster, scene: Scene) -> int | None:
    """How many may have the wanted spec while it is tried; None where all may."""
    service, ledger = one.service, scene.ledger
    canary, record = service.update.canary, ledger.rollouts.get(service.id)
    good = ledger.good.get(service.id)
    if canary is None or good is None or good.spec == service.spec_hash:
        return None
    ours = record if record is not None and record.spec == service.spec_hash else None
    since = ours.canary_since if ours is not None else None
    if (ours is not None and ours.passed) or (since is not None and scene.now.mono - since >= canary.hold):
        return None
    return canary.count
