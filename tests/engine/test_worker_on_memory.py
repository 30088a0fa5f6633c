"""Workers and engines in memory together, stepped in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from rota.core.container import Check
from rota.core.ids import WorkloadId
from rota.core.model import FailureSettings
from rota.core.observed import Health, HostState, HostView, PublishedPort, Result
from rota.core.planning.actions import Action
from rota.engine.memory import ImageTraits, MemoryEngine
from rota.engine.port import EngineError
from rota.engine.runner import FleetSetup, HostSetup
from rota.simulation.clock import VirtualClock
from rota.simulation.hosts import SteppedHosts
from tests.engine.desk import prepare, resolve, start, stop

WEB = WorkloadId("shop", "web")
SLOT = (WEB, 0)
KEY = (WEB, 0, start().spec)
FAILURE = FailureSettings(lost_after=3.0)


class Stage:
    """Two hosts and a clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock(datetime(2026, 3, 2, tzinfo=UTC))
        self.hosts = SteppedHosts(
            self.clock, random.Random(1), lambda: None, lambda name: MemoryEngine(name, self.clock)
        )
        fleet = FleetSetup(name="shop", uid="u1", failure=FAILURE)
        setups = [HostSetup(name=name, endpoint="", tls=None, address=name) for name in ("h1", "h2")]
        self.hosts.configure(fleet, setups)
        self.run(0.5)

    def run(self, seconds: float) -> None:
        end = self.clock.mono + seconds
        while True:
            self.hosts.settle()
            if self.clock.mono >= end:
                return
            at = max(min(self.hosts.next_wake, self.hosts.next_change), self.clock.mono)
            self.clock.advance_to(min(at, end))

    def until(self, condition: Callable[[HostView], object], limit: float = 60.0) -> float:
        """Seconds until the view of h1 is like that."""
        began = self.clock.mono
        while not condition(self.view):
            assert self.clock.mono < began + limit
            self.run(0.05)
        return self.clock.mono - began

    def submit(self, *actions: Action) -> None:
        self.hosts.submit(actions)
        self.run(0.5)

    @property
    def engine(self) -> MemoryEngine:
        return self.hosts.engines["h1"]

    @property
    def view(self) -> HostView:
        return self.hosts.views()["h1"]


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.engine.images = {"web:1"}
    return made


def test_every_death_of_a_crash_loop_counts_once(stage: Stage) -> None:
    stage.engine.traits = {"web:1": ImageTraits(lives=0.3, dies_with=3, writes=("cannot open /data",))}
    stream = stage.engine.events("shop")
    stage.submit(start())
    stage.run(20)
    stage.engine.traits = {}
    stage.run(10)  # longer than the next restart may take
    stage.run(10)  # longer than a death is held back
    died = 0
    while not stream.items.empty():
        event = stream.items.get()
        assert not isinstance(event, EngineError)
        died += event.action == "die"
    assert died > 5
    found = stage.view.deaths[KEY]
    assert (len(found.at), found.cause) == (died, "exit 3")
    assert stage.view.last_words[SLOT][-1] == "cannot open /data"


@pytest.mark.parametrize("pause", [0.0, 5.0, 70.0])
def test_an_engine_or_host_that_comes_back_has_lost_nobody(pause: float, stage: Stage) -> None:
    stage.submit(start())
    stage.engine.refuse()
    stage.run(pause)
    stage.engine.crash_and_restart()
    stage.engine.heal()
    stage.until(lambda view: view.state is HostState.REACHABLE)
    stage.run(10)
    assert stage.view.deaths == {}
    assert [one.ready for one in stage.view.containers] == [True]


def test_our_own_stops_are_no_deaths(stage: Stage) -> None:
    stage.engine.traits = {"web:1": ImageTraits(stop_takes=30.0)}
    stage.submit(start())
    stage.submit(stop(stage.engine.all_containers()[0], grace=2.0))
    stage.run(10)
    assert stage.engine.all_containers() == ()
    assert stage.view.deaths == {}
    assert [one.result for one in stage.hosts.take_outcomes()] == [Result.DONE, Result.DONE]


def test_a_host_that_is_cut_off_is_lost_and_found(stage: Stage) -> None:
    stage.submit(start())
    stage.engine.cut()
    assert 3.0 <= stage.until(lambda view: view.state is HostState.LOST) <= 4.2
    stage.engine.heal()
    assert stage.until(lambda view: view.state is HostState.REACHABLE) <= 6.0
    assert [one.ready for one in stage.view.containers] == [True]


def test_an_engine_that_hangs_for_45_seconds_loses_nothing(stage: Stage) -> None:
    stage.submit(start())
    stage.engine.hang()
    stage.run(45)
    assert stage.view.state is HostState.SUSPECT
    stage.engine.heal()
    stage.until(lambda view: view.state is HostState.REACHABLE)
    stage.engine.hang()
    assert stage.until(lambda view: view.state is HostState.LOST, 90) == pytest.approx(60, abs=1.5)


def test_a_check_from_outside_says_who_is_healthy(stage: Stage) -> None:
    stage.engine.traits = {"web:1": ImageTraits(answers_after=3.0)}
    check = Check(port=8080, interval=1.0)
    stage.submit(start(ports=(PublishedPort(8080, 30001),), check=check))
    assert [one.check for one in stage.view.containers] == [check]
    assert [one.health for one in stage.view.containers] == [Health.STARTING]
    assert not stage.hosts.calm
    assert stage.until(lambda view: view.containers[0].ready) <= 6.0
    stage.run(5)
    assert stage.hosts.calm
    stage.engine.deaf = {start().name}
    assert stage.until(lambda view: view.containers[0].health is Health.UNHEALTHY) <= 5.0
    stage.engine.deaf = set()
    assert stage.until(lambda view: view.containers[0].ready) <= 3.0


def test_a_name_is_resolved_once_and_used_everywhere(stage: Stage) -> None:
    stage.submit(resolve("web:2"))
    (outcome,) = stage.hosts.take_outcomes()
    stage.hosts.registry.move("web:2")
    reference = outcome.image
    stage.submit(prepare(reference, stated="web:2"), start(1, image=reference, spec={"image": "web:2"}))
    assert reference in stage.view.images
    assert stage.engine.image_reference(reference) == reference
    assert [one.ready for one in stage.view.containers] == [True]
