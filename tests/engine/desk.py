"""A worker on a desk: events come by hand, time is a number, calls wait to be answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rota.core.container import ContainerSpec
from rota.core.ids import WorkloadId
from rota.core.model import FailureSettings
from rota.core.observed import ContainerState, EngineFacts, Outcome
from rota.core.planning.actions import Action, PrepareImage, RestartInstance, StartInstance, StopInstance
from rota.core.resources import Resources
from rota.engine.calls import Answer, AskFacts, Call, ListContainers, Ping
from rota.engine.labels import labels_for
from rota.engine.port import EngineError, ListedContainer, Trouble
from rota.engine.worker import (
    Answered,
    Asked,
    Failed,
    HostWorker,
    Step,
    StreamOpened,
    Submitted,
    Woke,
    WorkerEvent,
)

FACTS = EngineFacts("e1", "1.41", "20.10", 4000, 8 << 30)


@dataclass
class Desk:
    """Steps one worker. `asked` are the calls that wait for an answer, oldest first."""

    worker: HostWorker = field(
        default_factory=lambda: HostWorker(
            "h1", "shop", "u1", FailureSettings(heartbeat=1.0, suspect_after=3.0)
        )
    )
    now: float = 100.0
    asked: list[Asked] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    listens: int = 0
    wake_at: float = 0.0
    steps: int = 0

    def feed(self, event: WorkerEvent) -> Step:
        step = self.worker.advance(event, self.now)
        assert step.wake_at > self.now, "a worker that wakes at once never lets anybody else run"
        self.asked += step.calls
        self.outcomes += step.outcomes
        self.listens += step.listen
        self.wake_at = step.wake_at
        self.steps += 1
        return step

    def submit(self, *actions: Action) -> None:
        self.feed(Submitted(actions))

    def pass_time(self, seconds: float) -> None:
        """Let time pass; the worker is woken exactly when it asked for it."""
        end = self.now + seconds
        while self.wake_at <= end:
            self.now = max(self.wake_at, self.now)
            self.feed(Woke())
        self.now = end

    def calls(self, kind: type[Call] | None = None) -> list[Call]:
        """The calls that wait for an answer, all or of one kind."""
        return [one.call for one in self.asked if kind is None or isinstance(one.call, kind)]

    def take(self, kind: type[Call]) -> Asked:
        """Take the oldest call of this kind off the desk."""
        found = next((one for one in self.asked if isinstance(one.call, kind)), None)
        assert found is not None, f"no {kind.__name__} among {self.calls()}"
        self.asked.remove(found)
        return found

    def answer(self, kind: type[Call], answer: Answer = None) -> Step:
        return self.feed(Answered(self.take(kind).number, answer))

    def fail(self, kind: type[Call], trouble: Trouble, message: str = "so it is") -> Step:
        return self.feed(Failed(self.take(kind).number, EngineError(trouble, message)))

    def show(self, *containers: ListedContainer) -> Step:
        """Let time pass until a list is asked for, and answer it."""
        for _ in range(100):
            if self.calls(ListContainers):
                return self.answer(ListContainers, containers)
            self.heartbeats()
            self.now = max(self.wake_at, self.now)
            self.feed(Woke())
        raise AssertionError("no list was asked for")

    def heartbeats(self) -> None:
        """Answer the pings that are asked."""
        while self.calls(Ping):
            self.answer(Ping)

    def be_reachable(self, *containers: ListedContainer) -> None:
        """From nothing to a host that was looked at, with its stream open."""
        self.feed(Woke())
        self.answer(AskFacts, FACTS)
        self.show(*containers)
        if self.listens == 1:
            self.feed(StreamOpened())
            self.show(*containers)

    def live(self, seconds: float, listing: Callable[[], tuple[ListedContainer, ...]] = tuple) -> None:
        """Let time pass on a host that answers pings and lists at once."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(max(self.wake_at, self.now), end)
            self.feed(Woke())
            self.heartbeats()
            while self.calls(ListContainers):
                self.answer(ListContainers, listing())


def start(slot: int = 0, **fields: Any) -> StartInstance:
    """The start of one slot of shop/web; `spec` are fields of its container."""
    container = ContainerSpec(**{"image": "web:1", **fields.pop("spec", {})})
    values: dict[str, Any] = {
        "host": "h1",
        "workload": WorkloadId("shop", "web"),
        "kind": "Service",
        "slot": slot,
        "name": f"shop.shop.web.{slot}.aaaaaaaa",
        "spec": "v1:abc",
        "container": container,
        "requests": Resources(cpu=100, memory=64 << 20),
        "ports": (),
        "volumes": (),
        "fleet": "shop",
        "fleet_uid": "u1",
        "revision": "1" * 40,
        "cause": "commit 1111111",
    }
    return StartInstance(**{**values, **fields})


def stop(container: ListedContainer, grace: float = 10.0, slot: int = 0) -> StopInstance:
    return StopInstance(
        host="h1",
        workload=WorkloadId("shop", "web"),
        slot=slot,
        container_id=container.id,
        name=container.name,
        spec="v1:abc",
        signal="SIGQUIT",
        grace=grace,
        cause="base",
    )


def restart(container: ListedContainer) -> RestartInstance:
    return RestartInstance(
        host="h1",
        workload=WorkloadId("shop", "web"),
        slot=0,
        container_id=container.id,
        name=container.name,
        spec="v1:abc",
        cause="it does not run",
    )


def prepare(image: str = "web:2", pull_policy: str = "missing", slot: int = 0) -> PrepareImage:
    return PrepareImage(
        host="h1",
        workload=WorkloadId("shop", "web"),
        slot=slot,
        image=image,
        pull_policy=pull_policy,
        spec="v1:def",
        cause="commit 2222222",
    )


def listed(action: StartInstance, state: str = "running", **fields: Any) -> ListedContainer:
    """The container that `action` makes, as a list shows it."""
    values: dict[str, Any] = {"id": f"id-{action.name}", "name": action.name, "labels": labels_for(action)}
    return ListedContainer(**{**values, "state": ContainerState(state), **fields})
