"""A world without faults: what is asked for happens at once, and whatever runs is healthy and has soaked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from rota.core.observed import (
    ContainerState,
    Health,
    HostState,
    HostView,
    ObservedContainer,
    ObservedState,
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

LONG_AGO = float("-inf")
"""Since when everything is ready: nobody has to wait for it to soak."""


def finished(observed: ObservedState) -> ObservedState:
    """The snapshot once what is under way has ended: what stops is gone, what starts is ready.

    What is sick or does not run stays so, for a decision to mend; of a host that does not answer nothing
    is known to end.
    """
    return replace(
        observed,
        outcomes=(),
        hosts={name: _at_rest(view) for name, view in observed.hosts.items()},
    )


def acted(observed: ObservedState, actions: Iterable[Action]) -> ObservedState:
    """The snapshot after `actions`, all of them successful."""
    by_host: dict[str, list[Action]] = defaultdict(list)
    for action in actions:
        by_host[action.host].append(action)
    hosts = dict(observed.hosts)
    for name, ones in by_host.items():
        hosts[name] = _acted_on(hosts[name], ones)
    return replace(observed, hosts=hosts)


def _at_rest(view: HostView) -> HostView:
    if view.state is not HostState.REACHABLE:
        return view
    containers = tuple(_ready(one) for one in view.all_containers if one.id not in view.stopping)
    return replace(
        view,
        containers=containers,
        pending=(),
        queued=frozenset(),
        stopping=frozenset(),
        pulling=frozenset(),
        images=view.images | view.pulling,
    )


def _ready(container: ObservedContainer) -> ObservedContainer:
    if container.running and container.ready_since == LONG_AGO:
        return container
    starting = container.running and container.health is not Health.UNHEALTHY
    if starting or container.state is ContainerState.PENDING:
        return replace(
            container,
            state=ContainerState.RUNNING,
            health=Health.HEALTHY,
            seen_since=0.0,
            ready_since=LONG_AGO,
        )
    return container


def _acted_on(view: HostView, actions: Iterable[Action]) -> HostView:
    containers = {one.id: one for one in view.containers}
    images = set(view.images)
    for action in actions:
        match action:
            case StartInstance():
                made = _started(action)
                containers[made.id] = made
            case RestartInstance():
                before = containers[action.container_id]
                again = replace(before, state=ContainerState.RUNNING, health=Health.STARTING)
                containers[before.id] = _ready(again)
            case StopInstance():
                containers.pop(action.container_id, None)
            case PrepareImage():
                images.add(action.image)
            case ResolveImage():
                pass  # a forecast goes by names
            case _:
                assert_never(action)
    return replace(view, containers=tuple(containers.values()), images=frozenset(images))


def _started(action: StartInstance) -> ObservedContainer:
    """What a start comes to. Its id says all that tells one container from another."""
    ports = ",".join(f"{port.target}:{port.published}/{port.protocol}" for port in action.ports)
    made = container_of(action, f"forecast {action.host}/{action.name} {ports}", ContainerState.RUNNING)
    return replace(made, health=Health.HEALTHY, ready_since=LONG_AGO)
