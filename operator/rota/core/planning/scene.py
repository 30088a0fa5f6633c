"""What a decision looks at: the fleet, what is observed of it, what is remembered, and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fleet, Host
from rota.core.observed import ContainerState, HostState, HostView, Now, ObservedContainer, ObservedState
from rota.core.planning import closing, outage
from rota.core.planning.closing import Draining
from rota.core.planning.outage import Outage
from rota.core.planning.waits import Wait, WaitReason


class Post(NamedTuple):
    """What is the same for all containers of a host: its manifest, None where it left the fleet; whether it
    answers, and if not, why nothing on it can be stopped; and the ids of what is being stopped.

    `gone`: it is lost, so that what it ran serves nobody; `given_up`: and is replaced; `confirmed`: even what
    must never run twice. `draining` is set where everything is to leave it.
    """

    host: Host | None
    reachable: bool
    untouchable: Wait | None
    stopping: frozenset[str]
    gone: bool = False
    given_up: bool = False
    confirmed: bool = False
    draining: Draining | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What judging an instance needs beside the instance itself.

    `posts` are the observed hosts by name; `queued` says on which host a start was asked for that has not
    begun, by (workload, slot, spec).
    """

    fleet: Fleet
    observed: ObservedState
    ledger: Ledger
    now: Now
    outage: Outage = field(init=False, repr=False, compare=False)
    drains: Mapping[str, Draining] = field(init=False, repr=False, compare=False)
    posts: Mapping[str, Post] = field(init=False, repr=False, compare=False)
    queued: Mapping[tuple[WorkloadId, int, str], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outage", outage.judge(self.fleet, self.observed, self.ledger, self.now))
        object.__setattr__(self, "drains", closing.drains(self.fleet, self.ledger, self.now))
        posts = {name: self._post(view) for name, view in self.observed.hosts.items()}
        object.__setattr__(self, "posts", posts)
        views = sorted(self.observed.hosts.items())
        queued = {key: name for name, view in views for key in view.queued}
        object.__setattr__(self, "queued", queued)

    def _post(self, view: HostView) -> Post:
        return Post(
            host=self.fleet.hosts.get(view.name),
            reachable=view.state is HostState.REACHABLE,
            untouchable=silent(view),
            stopping=view.stopping,
            gone=view.state is HostState.LOST or view.name in self.outage.confirmed,
            given_up=view.name in self.outage.gone,
            confirmed=view.name in self.outage.confirmed,
            draining=self.drains.get(view.name),
        )


def silent(view: HostView) -> Wait | None:
    """Why nothing on a host can be stopped; None where it answers."""
    if view.state is HostState.REACHABLE:
        return None
    return Wait(WaitReason.HOST, f"{view.name} does not answer")


def untouchable(container: ObservedContainer, observed: ObservedState) -> Wait | None:
    """Why it cannot be stopped now, or None: unknown removes nothing, and what starts has no id yet."""
    return silent(observed.hosts[container.host]) or being_started(container)


def being_started(container: ObservedContainer) -> Wait | None:
    """Why a container cannot be touched yet that was only just asked for."""
    pending = container.state is ContainerState.PENDING
    return Wait(WaitReason.STARTING, "it is being started") if pending else None
