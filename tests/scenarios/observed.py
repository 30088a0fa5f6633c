"""A status branch by the real code: the fleet of a commit on memory engines and a virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rota.core.model import Fleet
from rota.core.status import FleetStatus, SourceStatus, summarise
from rota.engine.memory import MemoryEngine
from rota.gitrepo.local import LocalRepository
from rota.manifest.load import Loader
from rota.report.documents import documents
from tests.simulation.world import VirtualClock, World

STEP = 0.25


def fleet_of(folder: Path, revision: str = "HEAD") -> Fleet:
    repository = LocalRepository(folder)
    loaded = Loader().load(repository.checkout(repository.resolve(revision)))
    assert loaded.fleet is not None, [str(problem) for problem in loaded.problems]
    return loaded.fleet


def world_of(fleet: Fleet, at: str) -> World:
    """The fleet on engines in memory, with every image at hand."""
    clock = VirtualClock(datetime.fromisoformat(at))
    world = World(fleet, clock)
    for name in fleet.hosts:
        world.engines[name] = MemoryEngine(name, clock)
        world.engines[name].images |= {one.container.image for one in fleet.services.values()}
    return world


def status_of(world: World) -> FleetStatus:
    """The status of the last pass."""
    decision = world.decision
    assert decision is not None
    source = SourceStatus(attempted=world.fleet.revision, applied=world.fleet.revision)
    return summarise(world.fleet, world.observed, decision, source, decision.ledger)


def settled(world: World) -> bool:
    """Whether nothing more comes of waiting."""
    return world.decision is not None and not world.decision.changes and status_of(world).ready


def ready_fleet(fleet: Fleet, at: str) -> World:
    """The world in which `fleet` runs as it is wanted."""
    world = world_of(fleet, at)
    world.run_until(settled, 300, STEP)
    return world


def published(world: World, trouble: Callable[[World], None] | None = None) -> dict[str, bytes]:
    """The files of the status branch, 20 s after `trouble` where there is any."""
    if trouble is not None:
        trouble(world)
        world.run(20, STEP)
    return documents(status_of(world), ())
