"""Snapshots of a fleet by hand, what a perfect world makes of a decision, and decisions as text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rota.core.decide import Decision, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import GoodSpec, Ledger
from rota.core.model import Fleet, Service
from rota.core.observed import (
    ContainerState,
    EngineFacts,
    Health,
    HostState,
    HostView,
    Now,
    ObservedContainer,
    ObservedState,
    Outcome,
    Result,
)
from rota.core.planning.actions import (
    Action,
    PrepareImage,
    ResolveImage,
    RestartInstance,
    StartInstance,
    StopInstance,
    container_of,
)

NOW = Now(wall=datetime(2026, 6, 1, 12, 0, tzinfo=UTC), mono=1000.0)
"""14:00 in Berlin."""


def later(seconds: float, now: Now = NOW) -> Now:
    return Now(wall=now.wall + timedelta(seconds=seconds), mono=now.mono + seconds)


def running(
    service: Service, slot: int, host: str, *, ready_for: float | None = 100.0, **fields: object
) -> ObservedContainer:
    """An instance of `service` as it would be after `ready_for` seconds; None: it runs and is not ready."""
    made = ObservedContainer(
        id=f"{host}-{service.id.name}-{slot}-{service.spec_hash}",
        name=f"{service.id.name}.{slot}.{service.spec_hash}",
        host=host,
        workload=service.id,
        kind=service.kind,
        slot=slot,
        spec=service.spec_hash,
        revision="1" * 40,
        state=ContainerState.RUNNING,
        health=Health.STARTING if ready_for is None else Health.HEALTHY,
        requests=service.requests,
        seen_since=NOW.mono - 100,
        ready_since=None if ready_for is None else NOW.mono - ready_for,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def seen(fleet: Fleet, *containers: ObservedContainer, silent: str = "", **fields: object) -> ObservedState:
    """All hosts of `fleet` answer, except those named in `silent`; `containers` are where they say."""
    per_host: dict[str, list[ObservedContainer]] = defaultdict(list)
    for one in containers:
        per_host[one.host].append(one)
    views = {}
    for name in sorted({*fleet.hosts, *per_host}):
        quiet = name in silent.split()
        views[name] = HostView(
            name=name,
            state=HostState.SUSPECT if quiet else HostState.REACHABLE,
            detail="no answer" if quiet else "",
            listed=True,
            containers=tuple(per_host[name]),
            engine=EngineFacts(id=f"id-{name}", api_version="1.41", version="1", cpu=64000, memory=1 << 40),
        )
    return replace(ObservedState(hosts=views), **fields)  # type: ignore[arg-type]


def change_view(observed: ObservedState, host: str, **fields: object) -> ObservedState:
    view = replace(observed.hosts[host], **fields)  # type: ignore[arg-type]
    return replace(observed, hosts={**observed.hosts, host: view})


def lose(observed: ObservedState, hosts: str, since: float = NOW.mono) -> ObservedState:
    """The hosts named in `hosts` are lost, since an instant of monotonic time."""
    for name in hosts.split():
        observed = change_view(observed, name, state=HostState.LOST, since=since, detail="no answer")
    return observed


def doubt(observed: ObservedState, hosts: str) -> ObservedState:
    """The hosts named in `hosts` have not answered for a moment."""
    for name in hosts.split():
        observed = change_view(observed, name, state=HostState.SUSPECT, detail="no answer")
    return observed


def bring_back(observed: ObservedState, hosts: str) -> ObservedState:
    """The hosts named in `hosts` answer again, with what they had."""
    for name in hosts.split():
        observed = change_view(observed, name, state=HostState.REACHABLE, detail="")
    return observed


def good_of(*services: Service, revision: str = "1" * 40, ledger: Ledger | None = None) -> Ledger:
    """`ledger`, with the specs of `services` as those that were good last."""
    ledger = ledger or Ledger()
    good = {
        one.id: GoodSpec(
            spec=one.spec_hash, revision=revision, container=one.container, requests=one.requests
        )
        for one in services
    }
    return replace(ledger, good={**ledger.good, **good})


def act(
    observed: ObservedState, actions: tuple[Action, ...], now: Now, never: Container[str] = ()
) -> ObservedState:
    """What a perfect world makes of `actions` at once: whatever starts is ready, but for the specs in
    `never`, whatever stops is gone, and the outcomes that decisions look at are there."""
    observed = replace(observed, outcomes=())
    for action in actions:
        view = observed.hosts[action.host]
        assert view.state is HostState.REACHABLE, f"{action.id}: {action.host} is {view.state}"
        match action:
            case StartInstance():
                sick = action.spec in never
                made = replace(
                    container_of(action, f"id-{action.name}", ContainerState.RUNNING),
                    health=Health.STARTING if sick else Health.HEALTHY,
                    created=int(now.wall.timestamp()),
                    seen_since=now.mono,
                    ready_since=None if sick else now.mono,
                )
                observed = change_view(observed, action.host, containers=(*view.containers, made))
            case StopInstance():
                left = tuple(one for one in view.containers if one.id != action.container_id)
                assert len(left) == len(view.containers) - 1, f"{action.id}: there is none"
                observed = change_view(observed, action.host, containers=left)
                observed = _ended(observed, action, "stop", sick=action.sick)
            case RestartInstance():
                restarted = tuple(
                    replace(one, state=ContainerState.RUNNING, ready_since=now.mono)
                    if one.id == action.container_id
                    else one
                    for one in view.containers
                )
                observed = change_view(observed, action.host, containers=restarted)
            case PrepareImage():
                observed = change_view(observed, action.host, images=view.images | {action.image})
            case ResolveImage():
                observed = _ended(observed, action, "resolve", image=f"{action.image}@sha256:1")
    return observed


def _ended(observed: ObservedState, action: Action, verb: str, **fields: object) -> ObservedState:
    """`observed` with the outcome of an action that was done."""
    done = Outcome(
        action=action.id,
        verb=verb,
        host=action.host,
        workload=action.workload,
        slot=action.slot,
        spec=action.spec,
        result=Result.DONE,
        cause=action.cause,
        **fields,  # type: ignore[arg-type]
    )
    return replace(observed, outcomes=(*observed.outcomes, done))


class Course:
    """A fleet in a world that does what it is asked: `fleet`, `observed`, `never` and `now` may be changed
    between passes. `decision` is that of the last pass, `past` all of them, `log` what was done, by pass."""

    def __init__(self, fleet: Fleet, observed: ObservedState | None = None, ledger: Ledger | None = None):
        self.fleet = fleet
        self.observed = observed or seen(fleet)
        self.ledger = ledger or Ledger()
        self.now = NOW
        self.never: Container[str] = ()
        self.past: list[Decision] = []
        self.log: list[list[str]] = []

    def step(self, seconds: float = 5.0) -> Decision:
        """One pass, and what becomes of it by the next one, `seconds` later."""
        self.decision = decide(self.fleet, self.observed, self.ledger, self.now)
        self.ledger = self.decision.ledger
        self.observed = act(self.observed, self.decision.actions, self.now, self.never)
        self.past.append(self.decision)
        self.log.append(actions(self.decision))
        self.now = later(seconds, self.now)
        return self.decision

    def run(self, seconds: float, step: float = 5.0) -> Decision:
        """Passes for so long; the last decision."""
        until = self.now.mono + seconds
        while self.now.mono < until:
            self.step(step)
        return self.decision

    def settle(self) -> Decision:
        """Passes until one has nothing left to do and to wait for."""
        for _ in range(80):
            if not self.step().changes:
                return self.decision
        raise AssertionError("does not settle:\n" + "\n".join(changes(self.decision)))

    def specs(self, workload: str) -> list[str]:
        """`HOST SPEC`, or `HOST SPEC (sick)`, of every container of a workload."""
        wanted = WorkloadId("shop", workload)
        return sorted(
            f"{one.host} {one.spec}{'' if one.ready else ' (sick)'}"
            for one in self.observed.containers()
            if one.workload == wanted
        )


def settle(
    fleet: Fleet, observed: ObservedState | None = None, ledger: Ledger | None = None, now: Now = NOW
) -> tuple[ObservedState, Ledger, Now]:
    """Passes in a perfect world until nothing is left to do, and one more that must change nothing."""
    observed = observed or seen(fleet)
    ledger = ledger or Ledger()
    for _ in range(60):
        decision = decide(fleet, observed, ledger, now)
        ledger = decision.ledger
        if not decision.changes:
            assert decision.actions == ()
            return observed, decide(fleet, observed, ledger, now).ledger, now
        observed = act(observed, decision.actions, now)
        now = later(5, now)
    raise AssertionError("does not settle:\n" + "\n".join(changes(decision)))


def changes(decision: Decision) -> list[str]:
    """`KIND WORKLOAD/SLOT SOURCE > HOST: CAUSE [WAITS]`, in the order of the decision."""
    return [
        f"{one.kind} {one.workload.name}/{one.slot} {one.source or '-'} > {one.host or '-'}: {one.cause}"
        + (f" [{one.waits}]" if one.waits else "")
        for one in decision.changes
    ]


def actions(decision: Decision) -> list[str]:
    """`VERB WORKLOAD/SLOT on HOST SPEC`, in the order of the decision."""
    words = {
        StartInstance: "start",
        StopInstance: "stop",
        RestartInstance: "restart",
        PrepareImage: "image",
        ResolveImage: "resolve",
    }
    return [
        f"{words[type(one)]} {one.workload.name}/{one.slot} on {one.host} {one.spec}"
        for one in decision.actions
    ]


def refusals(decision: Decision) -> list[str]:
    """`WORKLOAD xCOUNT HOST: FILTER: DETAIL`."""
    return [
        f"{one.workload.name} x{one.count} {host}: {each.filter}: {each.detail}"
        for one in decision.unplaced
        for each in one.refusals
        for host in each.hosts or ("fleet",)
    ]


def homes(observed: ObservedState, workload: str) -> dict[str, int]:
    """How many instances of a workload each host has."""
    wanted = WorkloadId("shop", workload)
    return dict(sorted(Counter(one.host for one in observed.containers() if one.workload == wanted).items()))
