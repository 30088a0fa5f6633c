"""The threads around the workers: real ones, on engines in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rota.clock import SystemClock
from rota.core.model import FailureSettings
from rota.core.observed import EngineFacts, HostState, HostView, Outcome, Result
from rota.engine.memory import ImageTraits, MemoryEngine
from rota.engine.port import EngineError, EventStream, ListedContainer, Trouble
from rota.engine.runner import STALE_TIMERS, FleetSetup, HostSetup, Runner, _Bounded, _Threads
from rota.engine.worker import HostWorker
from rota.engine.worker_events import Step, Stirred, WorkerEvent
from tests.engine.desk import start, stop
from tests.lab.waiting import wait_for

FLEET = FleetSetup(name="shop", uid="u1", failure=FailureSettings(heartbeat=0.1, suspect_after=0.5))
SECONDS = 10.0


class HungEngine(MemoryEngine):
    """Accepts calls, and holds their threads until it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name, SystemClock())
        self.go = threading.Event()
        self.go.set()

    def facts(self) -> EngineFacts:
        self._hold()
        return super().facts()

    def ping(self) -> None:
        self._hold()
        super().ping()

    def containers(self, fleet: str) -> tuple[ListedContainer, ...]:
        self._hold()
        return super().containers(fleet)

    def close(self) -> None:
        self.go.set()
        super().close()

    def _hold(self) -> None:
        if not self.go.wait(30):
            raise EngineError(Trouble.SILENT, "no answer within 30s")


class Bench:
    """A runner on engines in memory, one per host name."""

    def __init__(self) -> None:
        self.engines: dict[str, MemoryEngine] = {}
        self.opened: list[HostSetup] = []
        self.changes = 0
        self.outcomes: list[Outcome] = []
        self.runner = Runner(self._open, SystemClock(), self._changed)

    def configure(self, *names: str, fleet: FleetSetup = FLEET) -> None:
        self.runner.configure(fleet, [setup(name) for name in names])

    def engine(self, name: str) -> MemoryEngine:
        if name not in self.engines:
            self.engines[name] = MemoryEngine(name, SystemClock())
        self.engines[name].images = {"web:1"}
        return self.engines[name]

    def await_view(self, name: str, condition: Callable[[HostView], object], what: str) -> HostView:
        def met() -> HostView | None:
            view = self.runner.views().get(name)
            return view if view is not None and condition(view) else None

        found = wait_for(met, SECONDS, f"{name} to be seen {what}")
        assert found is not None
        return found

    def await_state(self, name: str, state: HostState) -> HostView:
        return self.await_view(name, lambda view: view.state is state, str(state))

    def await_outcomes(self, count: int) -> list[Outcome]:
        def arrived() -> bool:
            self.outcomes += self.runner.take_outcomes()
            return len(self.outcomes) >= count

        wait_for(arrived, SECONDS, f"{count} outcomes")
        return self.outcomes

    def _open(self, host: HostSetup) -> MemoryEngine:
        self.opened.append(host)
        return self.engine(host.name)

    def _changed(self) -> None:
        self.changes += 1


def setup(name: str) -> HostSetup:
    return HostSetup(name=name, endpoint=f"tcp://{name}:2375", tls=None)


def threads() -> list[str]:
    """The names of the threads that a runner made and that live."""
    return [one.name for one in threading.enumerate() if one.name.startswith("rota-")]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.runner.close()
    wait_for(lambda: not threads(), 5, f"threads to end: {threads()}")


def test_views_arrive_and_tell_of_it(bench: Bench) -> None:
    bench.engine("h1").add_foreign("somebodys")
    bench.configure("h1", "h2")
    assert set(bench.runner.views()) == {"h1", "h2"}
    for name in ("h1", "h2"):
        view = bench.await_state(name, HostState.REACHABLE)
        assert (view.listed, view.containers, view.engine) == (True, (), bench.engine(name).facts())
    assert bench.changes >= 2


def test_a_start_and_a_stop_are_carried_out(bench: Bench) -> None:
    bench.configure("h1")
    bench.await_state("h1", HostState.REACHABLE)
    bench.runner.submit([start(spec={"stop_signal": "SIGQUIT"})])
    view = bench.await_view("h1", lambda view: view.containers and not view.pending, "with a container")
    assert [str(one.state) for one in view.containers] == ["running"]
    (listed,) = bench.engine("h1").all_containers()
    bench.runner.submit([stop(listed)])
    bench.await_view("h1", lambda view: not view.containers, "empty")
    assert bench.engine("h1").all_containers() == ()
    assert [(one.verb, one.result) for one in bench.await_outcomes(2)] == [
        ("start", Result.DONE),
        ("stop", Result.DONE),
    ]


def test_what_happens_on_the_host_is_seen_at_once(bench: Bench) -> None:
    bench.engine("h1").traits = {"web:1": ImageTraits(stop_takes=0.2)}
    bench.configure("h1")
    bench.await_state("h1", HostState.REACHABLE)
    bench.runner.submit([start()])
    bench.await_view("h1", lambda view: view.containers and not view.pending, "with a container")
    bench.engine("h1").stop_by_hand(start().name)
    view = bench.await_view("h1", lambda view: view.containers[0].state == "exited", "with its exit")
    assert view.containers[0].name == start().name


def test_a_host_that_hangs_delays_no_other(bench: Bench) -> None:
    hung = bench.engines["h1"] = HungEngine("h1")
    bench.configure("h1", "h2")
    bench.await_state("h1", HostState.REACHABLE)
    bench.await_state("h2", HostState.REACHABLE)
    hung.go.clear()
    bench.runner.submit([start(slot, host="h2", name=f"shop.shop.web.{slot}.aaaaaaaa") for slot in range(20)])
    bench.await_view("h2", lambda view: len(view.containers) == 20 and not view.pending, "with 20")
    bench.await_state("h1", HostState.SUSPECT)
    assert bench.runner.views()["h2"].state is HostState.REACHABLE
    hung.go.set()
    bench.await_state("h1", HostState.REACHABLE)


def test_a_crash_of_the_engine_is_lived_through(bench: Bench) -> None:
    bench.configure("h1")
    bench.await_state("h1", HostState.REACHABLE)
    bench.runner.submit([start()])
    bench.await_view("h1", lambda view: view.containers and not view.pending, "with a container")
    bench.engine("h1").refuse()
    bench.await_state("h1", HostState.SUSPECT)
    bench.engine("h1").remove_by_hand(start().name)
    bench.engine("h1").heal()
    view = bench.await_state("h1", HostState.REACHABLE)
    assert view.containers == ()
    bench.runner.submit([start()])
    bench.await_view("h1", lambda view: view.containers and not view.pending, "with a container again")


def test_configure_removes_adds_and_replaces(bench: Bench) -> None:
    bench.configure("h1", "h2")
    bench.await_state("h2", HostState.REACHABLE)
    bench.await_state("h1", HostState.REACHABLE)
    kept = bench.runner.views()["h1"]
    bench.configure("h1", "h3")
    assert set(bench.runner.views()) == {"h1", "h3"}
    assert bench.runner.views()["h1"] == kept
    bench.await_state("h3", HostState.REACHABLE)
    assert [one.name for one in bench.opened] == ["h1", "h2", "h3"]
    wait_for(lambda: not bench.engine("h2")._streams, 5, "the stream of h2 to be closed")
    assert set(bench.runner.views()) == {"h1", "h3"}

    moved = replace(setup("h1"), endpoint="tcp://elsewhere:2375")
    bench.runner.configure(FLEET, [moved, setup("h3")])
    assert bench.runner.views()["h1"].state is HostState.UNKNOWN
    bench.await_state("h1", HostState.REACHABLE)
    assert bench.opened[-1] == moved


def test_another_fleet_is_looked_at_afresh(bench: Bench) -> None:
    bench.configure("h1")
    bench.await_state("h1", HostState.REACHABLE)
    bench.runner.submit([start()])
    bench.await_view("h1", lambda view: view.containers and not view.pending, "with a container")
    bench.configure("h1", fleet=replace(FLEET, name="other"))
    view = bench.await_state("h1", HostState.REACHABLE)
    assert view.containers == ()


def test_close_ends_every_thread_also_of_a_host_that_hangs() -> None:
    bench = Bench()
    hung = bench.engines["h1"] = HungEngine("h1")
    hung.go.clear()
    bench.configure("h1", "h2", "h3")
    bench.await_state("h2", HostState.REACHABLE)
    bench.runner.submit([start(host="h3")])
    bench.runner.close()
    wait_for(lambda: not threads(), 5, "all threads to end")
    bench.runner.close()


def test_no_event_is_lost_in_a_burst(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stirred = 0
    advance = HostWorker.advance

    def counting(worker: HostWorker, event: WorkerEvent, now: float) -> Step:
        nonlocal stirred
        stirred += isinstance(event, Stirred)
        return advance(worker, event, now)

    monkeypatch.setattr(HostWorker, "advance", counting)
    bench.configure("h1", "h2")
    for name in ("h1", "h2"):
        bench.await_state(name, HostState.REACHABLE)
        wait_for(lambda name=name: bench.engine(name)._streams, SECONDS, "the stream to be open")
    engine = bench.engine("h1")
    for number in range(5_000):
        labels = {"rota.fleet": "shop"}
        engine.add_foreign(f"burst-{number}", labels)
        engine.remove_by_hand(f"burst-{number}")
    wait_for(lambda: stirred >= 10_000, SECONDS, "all events to be taken")
    engine.add_foreign("last", {"rota.fleet": "shop"})
    bench.await_view("h1", lambda view: [one.name for one in view.foreign] == ["last"], "with the last one")
    assert bench.runner.views()["h2"].state is HostState.REACHABLE
    assert len(bench.runner._timers) <= STALE_TIMERS + 4, "no more of them than of hosts, and some"


def test_calls_of_one_host_are_bounded_and_those_of_others_never_wait() -> None:
    pool, go, begun = _Threads(), threading.Event(), threading.Semaphore(0)

    def job() -> None:
        begun.release()
        go.wait(SECONDS)

    lanes = [_Bounded(pool, 2) for _ in range(20)]
    for lane in lanes:
        for _ in range(5):
            lane.submit(job)
    for _ in range(2 * len(lanes)):
        assert begun.acquire(timeout=SECONDS), "a job waits for one of another lane"
    assert not begun.acquire(timeout=0.05), "a third one of a lane has begun"
    go.set()
    for _ in range(3 * len(lanes)):
        assert begun.acquire(timeout=SECONDS)
    pool.close()
    wait_for(lambda: not threads(), 5, "all threads to end")


def test_threads_are_used_again_and_end_when_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rota.engine.runner.IDLE_SECONDS", 0.05)
    pool, done = _Threads(), threading.Semaphore(0)
    for _ in range(200):
        pool.submit(done.release)
        assert done.acquire(timeout=SECONDS)
    assert threads().count("rota-call") <= 10
    wait_for(lambda: "rota-call" not in threads(), 5, "idle threads to end")
    pool.submit(done.release)
    assert done.acquire(timeout=SECONDS), "a new one is started where all have ended"
    pool.close()
    wait_for(lambda: not threads(), 5, "all threads to end")


def test_a_bug_in_a_call_or_a_stream_ends_nothing(bench: Bench) -> None:
    class Broken(MemoryEngine):
        broken = True

        def ping(self) -> None:
            if self.broken:
                raise ZeroDivisionError

        def events(self, fleet: str) -> EventStream:  # type: ignore[override]
            if self.broken:
                raise ZeroDivisionError
            return super().events(fleet)

    engine = bench.engines["h1"] = Broken("h1", SystemClock())
    bench.configure("h1")
    bench.await_state("h1", HostState.REACHABLE)
    engine.broken = False
    wait_for(lambda: engine._streams, SECONDS, "the stream to be opened after all")


def test_a_bug_in_one_worker_does_not_end_the_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = HostWorker.advance

    def failing(worker: HostWorker, event: WorkerEvent, now: float) -> Step:
        if worker.view.name == "h1":
            raise ZeroDivisionError
        return advance(worker, event, now)

    monkeypatch.setattr(HostWorker, "advance", failing)
    bench.configure("h1", "h2")
    bench.await_state("h2", HostState.REACHABLE)
    assert bench.runner.views()["h1"].state is HostState.UNKNOWN


def test_a_removed_host_does_not_come_back_by_a_late_answer(bench: Bench) -> None:
    for _ in range(50):
        bench.configure("h1", "h2")
        bench.configure("h2")
        assert set(bench.runner.views()) == {"h2"}
    bench.await_state("h2", HostState.REACHABLE)
    assert set(bench.runner.views()) == {"h2"}
    wait_for(lambda: not bench.engine("h1")._streams, 5, "the streams of h1 to be closed")
