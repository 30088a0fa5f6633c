"""Random fleets that run, and what is known of them: for the documents of the status branch."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from rota.core.container import ContainerSpec, HealthCheck, Port
from rota.core.model import Amount, Fleet, Order, Service, UpdateRules
from rota.core.rules import Operator, PlacementRules, Requirement
from rota.core.status import FleetStatus, SourceStatus, summarise
from rota.engine.memory import MemoryEngine
from tests import builders
from tests.simulation.world import VirtualClock, World

STEP = 0.5
SECRET = "pa55word-of-nobody"
NOT_ON_THE_LOST_HOST = PlacementRules(
    host_selector=(Requirement(key="zone", operator=Operator.IN, values=("1", "2")),)
)


@st.composite
def services(draw: st.DrawFn, name: str) -> Service:
    pinned, fixed = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    container = ContainerSpec(
        image=draw(st.sampled_from(["app:1", "app:2"])),
        environment={"TOKEN": SECRET},
        healthcheck=HealthCheck(test=("CMD", "true")) if draw(st.booleans()) else None,
        ports=(Port(name="http", target=8080, published=8000 if fixed else None),),
        volumes=builders.pinned().volumes if pinned else (),
    )
    stop_first = pinned or fixed
    return builders.service(
        name,
        draw(st.integers(0, 2 if stop_first else 5)),
        cpu=draw(st.sampled_from([100, 250, 400])),
        container=container,
        spec_hash=f"v1:{container.image}{pinned}{fixed}",
        priority=draw(st.sampled_from([50, 100])),
        update=UpdateRules(order=Order.STOP_FIRST if stop_first else Order.START_FIRST, min_healthy_time=1.0),
        max_unavailable=Amount(value=1 if stop_first else 0),
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    names = draw(st.lists(st.sampled_from(["web", "api", "db", "edge"]), unique=True, max_size=3))
    hosts = [
        builders.host(f"h{number}", unschedulable=draw(st.integers(0, 5)) == 0)
        for number in range(draw(st.integers(1, 4)))
    ]
    chosen = [draw(services(name)) for name in names]
    edges = (builders.window("07:00", "20:00", {names[0]: 3}),) if names and draw(st.booleans()) else ()
    policies = (builders.policy(windows=edges),) if edges else ()
    return builders.fleet(hosts, chosen, policies)


def running(fleet: Fleet, seconds: float = 30.0) -> World:
    """The fleet after some time, its images at hand on every host."""
    clock = VirtualClock()
    world = World(fleet, clock)
    for name in fleet.hosts:
        world.engines[name] = MemoryEngine(name, clock)
        world.engines[name].images |= {one.container.image for one in fleet.services.values()}
    world.run(seconds, STEP)
    return world


def status_of(world: World) -> FleetStatus:
    assert world.decision is not None
    source = SourceStatus(attempted=world.fleet.revision, applied=world.fleet.revision)
    return summarise(world.fleet, world.observed, world.decision, source, world.decision.ledger)


def varied() -> World:
    """A fleet in the middle of everything: a rollout, a lost host, a cordoned one, no room, a name taken."""
    hosts = [builders.host(name) for name in ("h1", "h2", "h3")]
    hosts.append(builders.host("h4", unschedulable=True))
    chosen = [
        builders.service("web", 4, image="app:1"),
        builders.service(
            "db", 2, container=builders.pinned("app:1"), update=UpdateRules(order=Order.STOP_FIRST)
        ),
        builders.service("old", 1, image="app:1"),
    ]
    world = running(
        builders.fleet(
            hosts, chosen, (builders.policy(windows=(builders.window("07:00", "20:00", {"web": 5}),)),)
        )
    )
    for engine in world.engines.values():
        engine.images |= {"app:2", "big:1"}
    changed = [
        builders.service("web", 4, image="app:2"),
        chosen[1],
        builders.service("huge", 4, cpu=3500, image="big:1", placement=NOT_ON_THE_LOST_HOST),
    ]
    world.fleet = replace(builders.fleet(hosts, changed, world.fleet.policies), revision="2" * 40)
    world.engines["h3"].hang()
    world.run(8, STEP)
    return world
