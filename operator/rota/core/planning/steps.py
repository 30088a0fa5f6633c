"""What a rollout is told and what it asks for: causes and terms in, steps out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rota.core.ids import WorkloadId
from rota.core.observed import ObservedContainer
from rota.core.planning.actions import Change, ChangeKind
from rota.core.planning.waits import Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """Why a workload changes: its count, its spec, or an instance that went missing.

    `ahead` says why it grows before an edge: from as many as are `due` until then to as many as are due
    `soon`, at `edge`. `patient`: that edge lets others go, whose room it can wait for.
    """

    count: str
    spec: str
    ahead: str = ""
    due: int = 0
    soon: int = 0
    edge: datetime | None = None
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a rollout has to heed beside its budget; the waits are reasons, or None.

    `start`: nothing is started now. `renew`: nothing gets the wanted spec now; `imageless`: nor could it, for
    its image cannot be had; `move`: what keeps dying is not moved again yet; `leave`: the last ones stay for
    the time being. `canaries` are how many instances may have a spec that is being tried, None where all may;
    `former` is the spec that was good before, for what has to be replaced meanwhile. `images` are the hosts
    that have the image of the wanted spec, `lacking` those that are to have it before anything is stopped for
    it.
    """

    start: Wait | None = None
    renew: Wait | None = None
    imageless: Wait | None = None
    move: Wait | None = None
    leave: Wait | None = None
    canaries: int | None = None
    former: str = ""
    images: frozenset[str] = frozenset()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """An instance to place: `change` is how the plan calls it, `prefer` where it should stay.

    With `wait` it is only announced: a seat is found for the plan, but nothing is started now. `instead` may
    be stopped first where there is no room for both; None where the budget forbids it. `abandoned`: its
    predecessor is on a host that is gone, and serves nobody. `crashed`: it keeps dying where it is. `former`:
    it gets the spec that was good before, for the new one is held back. `ahead`: it is only due at an edge to
    come; `patient`, that edge lets others go, so that nobody else need be stopped for it.
    """

    slot: int
    change: ChangeKind
    cause: str
    prefer: str | None = None
    source: str | None = None
    wait: Wait | None = None
    instead: ObservedContainer | None = None
    abandoned: bool = False
    crashed: bool = False
    former: bool = False
    ahead: bool = False
    patient: bool = False


class Stop(NamedTuple):
    """A container to be stopped. `sick`: it had its chance and failed, which counts as a failed start;
    `crashed`: because it kept dying, and nothing else was begun for that."""

    container: ObservedContainer
    cause: str
    sick: bool = False
    crashed: bool = False


@dataclass(slots=True, kw_only=True)
class Steps:
    """What a workload's rollout asks for. `image_first` are the hosts that need the image before a stop;
    `holds` the slots whose successor takes the room that a stop frees, and on which host."""

    workload: WorkloadId
    changes: list[Change] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    restarts: list[tuple[ObservedContainer, str]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    image_first: list[tuple[str, int, str]] = field(default_factory=list)
    holds: list[tuple[int, str]] = field(default_factory=list)
    requeue: list[float] = field(default_factory=list)
