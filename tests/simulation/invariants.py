"""What holds after every pass, whatever happens. Each is judged on the engines or on what was decided."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from rota.core.ids import WorkloadId
from rota.core.observed import HostState, ObservedContainer, ObservedState
from rota.core.planning.actions import StartInstance, StopInstance
from rota.core.planning.judge import MOST_DEATHS
from rota.core.windows import wanted
from rota.engine.port import ListedContainer
from tests.simulation.world import World

RUNS = ("running", "paused", "restarting")


def ours(world: World) -> Iterator[tuple[str, ListedContainer]]:
    """Every container of the fleet, as (host, container): the truth, past every fault."""
    for name, engine in sorted(world.engines.items()):
        for one in engine.all_containers():
            if one.labels.get("rota.fleet-uid") == world.fleet.uid:
                yield name, one


def a_pinned_slot_runs_once(world: World) -> None:
    """S1: two containers of one slot would write to two copies of its data."""
    running = Counter(
        (one.labels["rota.workload"], one.labels["rota.slot"])
        for _, one in ours(world)
        if one.state in RUNS and one.labels["rota.workload"].startswith("shop/db")
    )
    assert all(count == 1 for count in running.values()), f"S1: runs twice: {running}"


def foreign_is_untouched(world: World) -> None:
    """S2: what is not ours stays as it was made."""
    there = {
        (name, one.id): one.state for name, engine in world.engines.items() for one in engine.all_containers()
    }
    touched = {each for each in world.foreign if there.get(each) != "running"}
    assert not touched, f"S2: foreign containers were touched: {touched}"


def no_host_is_overbooked(world: World) -> None:
    """S5: the requests of all containers on a host, stopping and stopped ones included, fit its capacity."""
    cpu: Counter[str] = Counter()
    for name, one in ours(world):
        cpu[name] += int(one.labels["rota.requests"].removeprefix("cpu=").partition("m")[0])
    for name, host in world.fleet.hosts.items():
        assert cpu[name] <= (host.cpu or 0), f"S5: {name} has {cpu[name]}m of {host.cpu}m"


def budgets_hold(world: World) -> None:
    """S6: Rota's own stops leave enough that serve; Rota's own starts do not exceed the surge.

    What is not waited for is set apart, and so is what replaces it: instances that keep dying, and those of
    hosts that do not answer and are lost, or that a person has let go.
    """
    decision, observed = world.decision, world.observed
    assert decision is not None
    stops = {(one.host, one.container_id) for one in decision.actions if isinstance(one, StopInstance)}
    given_up = not_waited_for(world)
    by_workload: dict[WorkloadId, list[ObservedContainer]] = defaultdict(list)
    for one in observed.containers():
        by_workload[one.workload].append(one)
    for service in world.fleet.services.values():
        asked = decision.wants[service.id]
        want, due, fill = asked.count, asked.due, asked.fill
        every = by_workload[service.id]
        containers = [one for one in every if one.host not in given_up and not keeps_dying(one, observed)]
        live = [one for one in containers if not observed.is_stopping(one)]
        serving = {one.slot for one in live if one.ready}
        staying = [
            one
            for one in every
            if one.host not in given_up and not observed.is_stopping(one) and (one.host, one.id) not in stops
        ]
        still = {one.slot for one in staying if one.ready}
        least = due - service.max_unavailable.of(due)
        if fill is not None:  # it is stopped first, one at least at a time, and yields down to its least
            least = min(due - 1, fill.min - max(service.max_unavailable.of(want), 1))
            slots = {one.slot for one in staying}
            still |= slots if len(slots) >= least else set()
        overdue = any((one.host, one.id) in stops for one in live if drain_is_over(one.host, world))
        assert overdue or len(still) >= min(least, len(serving)), (
            f"S6: {service.id} is left with {len(still)} of {len(serving)} that serve, at least {least} must"
        )
        starts = [
            one for one in decision.actions if isinstance(one, StartInstance) and one.workload == service.id
        ]
        apart = {one.slot for one in every} - {one.slot for one in containers}
        slots = {one.slot for one in live if (one.host, one.id) not in stops}
        successors = [one for one in starts if one.slot in slots]
        missing = [one for one in starts if one.slot not in slots | apart]
        assert not missing or len(slots) + len(missing) <= want, f"S6: {service.id} starts more than {want}"
        most = want + max(service.update.max_surge.of(want), 1)
        heard = [one for one in containers if observed.hosts[one.host].state is HostState.REACHABLE]
        silent = {one.slot for one in live} - {one.slot for one in heard if not observed.is_stopping(one)}
        # Of silent hosts count the slots that are wanted: what they keep from being removed holds nobody up.
        count = len(heard) + min(len(silent), max(want - len({one.slot for one in live} - silent), 0))
        assert not successors or count + len(starts) <= most, (
            f"S6: {service.id} has {count}, starts {len(starts)}, at most {most}"
        )


def not_waited_for(world: World) -> set[str]:
    """The hosts that do not answer and are lost, were called lost, or have left the fleet."""
    dead = {one.target_name for one in world.fleet.overrides_in_force(world.clock.wall) if one.lost}
    return {
        name
        for name, view in world.observed.hosts.items()
        if view.state is HostState.LOST
        or (view.state is not HostState.REACHABLE and (name in dead or name not in world.fleet.hosts))
    }


def keeps_dying(container: ObservedContainer, observed: ObservedState) -> bool:
    """Whether its slot died so often on its host that it is moved."""
    slot = (container.workload, container.slot)
    known = observed.hosts[container.host].deaths.items()
    return any((key[0], key[1]) == slot and len(deaths.at) >= MOST_DEATHS for key, deaths in known)


def drain_is_over(host: str, world: World) -> bool:
    """Whether the deadline of its drain has come: what is left there is stopped, whoever it serves."""
    assert world.decision is not None
    deadlines = [one.deadline for one in world.decision.drains if one.host == host]
    return any(at is not None and world.clock.wall >= at for at in deadlines)


class VolumesStay:
    """S17: a volume that was seen once is there for ever."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def __call__(self, world: World) -> None:
        there = {(name, volume) for name, engine in world.engines.items() for volume in engine.volumes}
        assert self._seen <= there, f"S17: volumes are gone: {self._seen - there}"
        self._seen = there


def unknown_loses_nothing(world: World) -> None:
    """S3: no step is decided for a host that does not answer."""
    assert world.decision is not None
    for action in world.decision.actions:
        state = world.observed.hosts[action.host].state
        assert state is HostState.REACHABLE, f"S3: {action.id} although {action.host} is {state}"


def differences(world: World) -> list[str]:
    """What on the engines is not as the commit asks at this time; empty when the fleet is there."""
    found = []
    wants = wanted(world.fleet, world.clock.wall)
    slots: dict[str, list[str]] = {str(workload): [] for workload in wants}
    for name, one in ours(world):
        workload = one.labels["rota.workload"]
        service = next((each for each in world.fleet.services.values() if str(each.id) == workload), None)
        if service is None or name not in world.fleet.hosts:
            found.append(f"{one.name} is still on {name}")
            continue
        slots[workload].append(one.labels["rota.slot"])
        if one.labels["rota.spec"] != service.spec_hash or not one.ready:
            found.append(f"{one.name} on {name} is {one.state} {one.health} {one.labels['rota.spec']}")
    for workload, want in wants.items():
        has = slots[str(workload)]
        if len(has) != want.count or len(set(has)) != len(has):
            found.append(f"{workload} has slots {sorted(has)}, wanted {want.count}")
    return found


def only_what_is_seen_is_stopped(world: World) -> None:
    """A container that is still being started has no id yet that a stop could address."""
    assert world.decision is not None
    for action in world.decision.actions:
        if isinstance(action, StopInstance):
            assert not action.container_id.startswith("pending:"), f"stops {action.container_id}"
