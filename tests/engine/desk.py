"""A worker on a desk: events come by hand, time is a number, calls wait to be answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rota.core.container import ContainerSpec
from rota.core.ids import WorkloadId
from rota.core.model import FailureSettings
from rota.core.observed import ContainerState, EngineFacts, HostState, Outcome
from rota.core.planning.actions import (
    Action,
    PrepareImage,
    ResolveImage,
    RestartInstance,
    StartInstance,
    StopInstance,
)
from rota.core.resources import Resources
from rota.engine.calls import (
    Answer,
    AskFacts,
    Call,
    Create,
    CreateVolume,
    ListContainers,
    Ping,
    Remove,
    SetRestarts,
    Signal,
    Start,
)
from rota.engine.labels import labels_for
from rota.engine.port import ContainerEvent, EngineError, ListedContainer, Trouble
from rota.engine.worker import HostWorker
from rota.engine.worker_events import (
    Answered,
    Asked,
    Failed,
    Step,
    Stirred,
    StreamOpened,
    Submitted,
    Woke,
    WorkerEvent,
)

FACTS = EngineFacts("e1", "1.41", "20.10", 4000, 8 << 30)
CHANGES = (CreateVolume, Create, Start, SetRestarts, Signal, Remove)
WORDS = {
    Trouble.SILENT: "no connection to the Engine",
    Trouble.REFUSED: "connection refused: is the Engine running?",
    Trouble.HUNG: "no answer within 1s",
}


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
    begun: dict[int, float] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    listens: int = 0
    wake_at: float = 0.0
    steps: int = 0

    def feed(self, event: WorkerEvent) -> Step:
        step = self.worker.advance(event, self.now)
        assert step.wake_at > self.now, "a worker that wakes at once never lets anybody else run"
        self.asked += step.calls
        self.begun |= {one.number: self.now for one in step.calls}
        self.outcomes += step.outcomes
        self.listens += step.listen
        self.wake_at = step.wake_at
        self.steps += 1
        return step

    def stir(self, action: str = "create", container_id: str = "", exit_code: int | None = None) -> Step:
        return self.feed(Stirred(ContainerEvent(action, container_id, exit_code)))

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

    def silence(self, seconds: float, trouble: Trouble = Trouble.SILENT, takes: float = 1.0) -> None:
        """Let time pass on a host of which every call ends without an answer, `takes` seconds after it was
        asked; changes end as lost."""
        end = self.now + seconds
        while True:
            ends = {one.number: self.begun[one.number] + takes for one in self.asked}
            due = min([self.wake_at, *ends.values()])
            if due > end:
                break
            self.now = max(due, self.now)
            ended = next((one for one in self.asked if ends[one.number] <= self.now), None)
            if ended is None:
                self.feed(Woke())
                continue
            self.asked.remove(ended)
            what = Trouble.LOST if isinstance(ended.call, CHANGES) else trouble
            self.feed(Failed(ended.number, EngineError(what, WORDS[trouble])))
        self.now = end

    def back(self, *containers: ListedContainer) -> None:
        """A host that was silent answers again, and is looked at."""
        for _ in range(100):
            if self.worker.view.state is HostState.REACHABLE:
                return
            for kind, answer in ((Ping, None), (AskFacts, FACTS), (ListContainers, containers)):
                while self.calls(kind):
                    self.answer(kind, answer)
            self.now = max(self.wake_at, self.now)
            self.feed(Woke())
        raise AssertionError("it does not come back")

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
            while self.calls(AskFacts):
                self.answer(AskFacts, FACTS)
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


def restart(container: ListedContainer, *, restarts: bool = True) -> RestartInstance:
    return RestartInstance(
        host="h1",
        workload=WorkloadId("shop", "web"),
        slot=0,
        container_id=container.id,
        name=container.name,
        spec="v1:abc",
        cause="it does not run",
        restarts=restarts,
    )


def resolve(image: str = "web:2", pull_policy: str = "missing", slot: int = 0) -> ResolveImage:
    return ResolveImage(
        host="h1",
        workload=WorkloadId("shop", "web"),
        slot=slot,
        image=image,
        pull_policy=pull_policy,
        spec=f"v1:{image}",
        cause="commit 2222222",
    )


def prepare(
    image: str = "web:2", pull_policy: str = "missing", slot: int = 0, stated: str = ""
) -> PrepareImage:
    return PrepareImage(
        host="h1",
        workload=WorkloadId("shop", "web"),
        slot=slot,
        image=image,
        stated=stated or image,
        pull_policy=pull_policy,
        spec="v1:def",
        cause="commit 2222222",
    )


def listed(action: StartInstance, state: str = "running", **fields: Any) -> ListedContainer:
    """The container that `action` makes, as a list shows it."""
    values: dict[str, Any] = {"id": f"id-{action.name}", "name": action.name, "labels": labels_for(action)}
    return ListedContainer(**{**values, "state": ContainerState(state), **fields})
