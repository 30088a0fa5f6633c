"""One container of a workload, judged: may it stay, does it do its work, can it be touched?"""

from __future__ import annotations

from typing import NamedTuple

from rota.core.ledger import Move
from rota.core.model import Service, Singleton
from rota.core.observed import ContainerState, Health, Now, ObservedContainer
from rota.core.placement.keep import must_move
from rota.core.planning.back_off import delay
from rota.core.planning.scene import Post, Scene, being_started
from rota.core.planning.waits import Wait, WaitReason
from rota.core.rules import Strategy

MOST_DEATHS = 5
"""So many deaths on one host within `DEATHS_SECONDS` are no accident."""


SECOND = 2
"""The first time that an instance ends it is started again at once."""


class Instance(NamedTuple):
    """One container of a workload, judged: all that is text is a reason, or empty, and a wait one, or None.

    `misplaced`: it has to move. `failed`: it had its chance. `crashing`: it dies again and again where it is.
    `untouchable`: it cannot be stopped now. `stranded`: it must not be replaced, for its successor could have
    no place. `abandoned`: its host does not answer, and it need not be waited for: the host is lost, or a
    commit let it go, which is a person's word. `gone`: its host is lost, so that it serves nobody. `overdue`:
    it is to be off its host by now, come what may. `destination` is where it was asked to move.
    `restart_at` is when it may be started again where it ended (monotonic time). `counted`: that it failed
    was counted when its start did.
    """

    container: ObservedContainer
    current: bool
    misplaced: str
    failed: str
    reachable: bool
    untouchable: Wait | None
    stranded: Wait | None
    abandoned: bool
    packs: bool
    destination: str | None
    crashing: str = ""
    gone: bool = False
    overdue: str = ""
    restart_at: float = 0.0
    counted: bool = False

    @property
    def sick(self) -> bool:
        """It had its chance and failed, which is one more failed start."""
        return bool(self.failed) and not self.counted

    @property
    def fit(self) -> bool:
        """What the target asks for: the wanted spec, on a host it may stay on, not failed."""
        return self.current and not self.misplaced and not self.failed and not self.crashing

    @property
    def serves(self) -> bool:
        """Ready, as far as is known, on a host that is not lost."""
        return self.container.ready and not self.gone

    def soaked(self, now: Now, min_healthy_time: float) -> bool:
        """Ready for `min_healthy_time` seconds without a break."""
        since = self.container.ready_since
        return since is not None and not self.gone and now.mono - since >= min_healthy_time


class Judge:
    """Judges the instances of one workload: what is the same for all of them is looked up once."""

    def __init__(self, service: Service, scene: Scene) -> None:
        self.service = service
        self.scene = scene
        self.pinned = service.container.pinned
        self.selective = bool(service.placement.host_selector)
        self.packs = service.placement.strategy is Strategy.PACK

    def _is_plain(self, container: ObservedContainer, post: Post) -> bool:
        """Whether nothing is to be said of it, as of nearly all: it serves as it should, where it may."""
        host = post.host
        return (
            container.ready_since is not None
            and container.state is ContainerState.RUNNING
            and container.health is not Health.UNHEALTHY
            and container.spec == self.service.spec_hash
            and post.reachable
            and host is not None
            and post.draining is None
            and not (host.taints or self.selective or self.pinned or self.scene.ledger.moves)
            and not self.scene.observed.hosts[container.host].deaths
        )

    def instance(self, container: ObservedContainer, post: Post) -> Instance:
        """What is to be said of `container`, which is on `post`."""
        ledger = self.scene.ledger
        if self._is_plain(container, post):
            return Instance(container, True, "", "", True, None, None, False, self.packs, None)
        pinned_to = ledger.pins.get((self.service.id, container.slot)) if self.pinned else None
        move = _asked_to_move(container, self.scene) if ledger.moves else None
        abandoned = self._abandoned(post, pinned_to)
        overdue = post.draining.cause if post.draining is not None and post.draining.overdue else ""
        misplaced = self._misplaced(container, post, pinned_to, abandoned=abandoned)
        unstarted = _unstarted(container, self.service, self.scene) if post.reachable else ""
        return Instance(
            container,
            current=container.spec == self.service.spec_hash,
            misplaced=misplaced or (move.cause if move is not None else ""),
            failed=unstarted or (_failure(container, self.service, self.scene) if post.reachable else ""),
            reachable=post.reachable,
            untouchable=post.untouchable or being_started(container),
            stranded=_stranded(container, pinned_to) if post.host is None else None,
            packs=self.packs,
            destination=move.target if move is not None else None,
            abandoned=abandoned,
            crashing=self._crashing(container) if post.reachable else "",
            gone=post.gone,
            overdue=overdue if post.reachable else "",
            restart_at=self._restart_at(container),
            counted=bool(unstarted),
        )

    def _restart_at(self, container: ObservedContainer) -> float:
        """When it is started again where it ended: at once the first time, after a back-off if it happens
        again and again. What its Engine brings back by itself is none of this."""
        view = self.scene.observed.hosts[container.host]
        deaths = view.deaths.get((container.workload, container.slot, container.spec))
        if deaths is None or len(deaths.at) < SECOND:
            return 0.0
        return deaths.at[-1] + delay(len(deaths.at) - 1, f"{container.workload}/{container.slot}")

    def _abandoned(self, post: Post, pinned_to: str | None) -> bool:
        """Whether it is replaced without being waited for. Data stays where it is, and what must never run
        twice is only replaced once somebody knows that its host is dead."""
        if post.reachable or pinned_to is not None:
            return False
        if self.service.singleton is Singleton.STRICT:
            return post.confirmed
        return post.host is None or post.given_up

    def _misplaced(
        self, container: ObservedContainer, post: Post, pinned_to: str | None, *, abandoned: bool
    ) -> str:
        host = post.host
        if abandoned and host is not None:
            return f"{container.host} is lost"
        if post.draining is not None and (pinned_to is None or post.draining.overdue):
            return post.draining.cause
        if self.selective or self.pinned or host is None or host.taints:
            return must_move(self.service, host, pinned_to) or ""
        return ""

    def _crashing(self, container: ObservedContainer) -> str:
        """Why it is to go on elsewhere; never where a second one must not run beside it."""
        view = self.scene.observed.hosts[container.host]
        deaths = view.deaths.get((container.workload, container.slot, container.spec))
        if deaths is None or len(deaths.at) < MOST_DEATHS or container.spec != self.service.spec_hash:
            return ""
        if self.pinned or self.service.singleton is not Singleton.NONE:
            return ""
        return f"died {MOST_DEATHS} times within 5 minutes on {container.host}: {deaths.cause}"


def _asked_to_move(container: ObservedContainer, scene: Scene) -> Move | None:
    move = scene.ledger.moves.get((container.workload, container.slot))
    goes = move is not None and move.source == container.host and move.target in scene.fleet.hosts
    return move if goes else None


def _stranded(container: ObservedContainer, pinned_to: str | None) -> Wait | None:
    left = container.host
    if pinned_to != left:
        return None
    return Wait(WaitReason.VOLUMES, f"{left} left the fleet and holds its volumes")


def _failure(container: ObservedContainer, service: Service, scene: Scene) -> str:
    if container.health is Health.UNHEALTHY:
        return "unhealthy"
    if container.ready and container.state is ContainerState.RUNNING:
        return ""
    if container.state is ContainerState.DEAD:
        return "its Engine could not remove it"
    if container.state is ContainerState.PAUSED:
        return "paused by hand"
    deadline = service.update.healthy_deadline
    if container.running and not container.ready and scene.now.mono - container.seen_since > deadline:
        return f"not healthy within {deadline:g}s"
    return ""


def _unstarted(container: ObservedContainer, service: Service, scene: Scene) -> str:
    """Why it was made and does not run: a start that failed."""
    if container.state not in (ContainerState.CREATED, ContainerState.EXITED) or container.ready:
        return ""
    if container.health is Health.UNHEALTHY:
        return ""
    failed = scene.ledger.failures.get((service.id, container.host, container.spec))
    return f"could not be started: {failed.message}" if failed is not None else ""


def best_first(instance: Instance) -> tuple[bool, bool, bool, bool, bool, int, float, str]:
    """Of the instances of one slot, the one to keep first: on a host that is there or waited for, as it is
    wanted, where it may stay, healthy, the older."""
    container = instance.container
    return (
        instance.gone or instance.abandoned,
        not instance.fit,
        bool(instance.misplaced or instance.failed or instance.crashing),
        not container.ready,
        not container.running,
        container.created,
        container.seen_since,
        container.id,
    )
