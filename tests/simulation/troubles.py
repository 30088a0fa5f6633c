"""What goes wrong with hosts, Engines and registries in a random fleet, and how it ends."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from rota.core.ledger import Ledger
from rota.core.model import Fleet, Override
from rota.engine.memory import MemoryEngine
from rota.engine.memory_registry import MemoryRegistry
from rota.simulation.clock import VirtualClock

MOVING_TAGS = ("app:1", "app:2", "app:3")


class Place(Protocol):
    """A world, as far as trouble needs it."""

    foreign: set[tuple[str, str]]

    @property
    def engines(self) -> Mapping[str, MemoryEngine]: ...

    @property
    def registry(self) -> MemoryRegistry: ...

    @property
    def clock(self) -> VirtualClock: ...

    @property
    def fleet(self) -> Fleet: ...

    @property
    def ledger(self) -> Ledger: ...


class Troubles:
    """What `choose` has happen. `strange` are the hosts under whose name another machine came, `vouched`
    those of them of which a person says just now that the old machine is gone."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.strange: set[str] = set()
        self.vouched: set[str] = set()
        self._machines = 1

    def begin(self, place: Place) -> None:
        """Something fails somewhere. Nobody cuts a host that is just being called lost: a person who says so
        knows."""
        names = sorted(place.engines.keys() - self.vouched)
        if not names:
            return
        name = self.choose.choice(names)
        engine = place.engines[name]
        match self.choose.randrange(11):
            case 0:
                engine.refuse()
            case 1:
                engine.hang()
            case 2 | 3:
                engine.cut()
            case 4 | 5:
                engine.lose_answers(self.choose.randrange(1, 5))
            case 6:
                engine.crash_and_restart()
            case 7:
                engine.disk_full = True
            case 8:
                place.registry.trouble = "503 Service Unavailable"
            case 9:
                place.registry.move(self.choose.choice(MOVING_TAGS))
            case 10:
                self.replace(name, place)

    def replace(self, name: str, place: Place) -> None:
        """Another machine takes the place of a host; never of one that has data, which would be lost."""
        if place.engines[name].volumes or name not in place.fleet.hosts:
            return
        self._machines += 1
        place.foreign -= {one for one in place.foreign if one[0] == name}  # it went with the machine
        place.engines[name].cut()
        place.engines[name].replace_machine(self._machines)
        self.strange.add(name)

    def end(self, place: Place) -> bool:
        """A host and the registry are well again; whether somebody vouches for a machine by a commit."""
        _heal(place.engines[self.choose.choice(sorted(place.engines))])
        place.registry.trouble = ""
        refused = {
            name for name in self.strange if place.engines[name].answers and not _is_known(name, place)
        }
        fresh = refused - self.vouched
        self.vouched |= fresh
        return bool(fresh)

    def end_all(self, place: Place) -> None:
        """Everything is well, and every new machine is vouched for: an operator that was killed may have
        forgotten it."""
        for engine in place.engines.values():
            _heal(engine)
        place.registry.trouble = ""
        self.vouched |= self.strange

    def forget_what_is_known(self, place: Place) -> bool:
        """Nobody need vouch any longer for a machine that the ledger knows; whether there was one."""
        known = {name for name in self.vouched if place.engines[name].answers and _is_known(name, place)}
        self.vouched -= known
        return bool(known)

    def overrides(self, place: Place, others: tuple[Override, ...]) -> tuple[Override, ...]:
        """`others`, and the word of whoever vouches."""
        said = tuple(
            Override(
                namespace="shop",
                name=f"lost-{name}",
                target_kind="Host",
                target_name=name,
                start=None,
                until=place.clock.wall + timedelta(days=30),
                reason="the old machine is gone",
                lost=True,
            )
            for name in sorted(self.vouched & place.fleet.hosts.keys())
        )
        return (*(one for one in others if not one.lost), *said)


def _is_known(name: str, place: Place) -> bool:
    """Whether the ledger has a host as the machine that it is, or not at all."""
    record = place.ledger.hosts.get(name)
    return record is None or record.engine_id in ("", place.engines[name].facts().id)


def _heal(engine: MemoryEngine) -> None:
    engine.heal()
    engine.disk_full = False
