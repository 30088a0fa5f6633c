"""How long things take: seeded draws from ranges, by image."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rota.clock import Clock
from rota.core.model import Fleet
from rota.core.observed import EngineFacts
from rota.engine.memory import ImageTraits, MemoryEngine
from rota.engine.memory_container import Behaviour


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds between `low` and `high`, drawn log-uniformly: as often in 2 s to 4 s as in 4 s to 8 s.

    `low` is above 0, unless both are 0.
    """

    low: float
    high: float

    def draw(self, choose: random.Random) -> float:
        """One draw, to the millisecond."""
        share = choose.random()
        if self.low == self.high:
            return self.low
        return round(math.exp(math.log(self.low) + share * math.log(self.high / self.low)), 3)

    def __str__(self) -> str:
        return f"{self.low:g}s..{self.high:g}s" if self.low != self.high else f"{self.low:g}s"


Spans = Mapping[str, Span]
"""By image; "" is for every image that is not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The ranges. `start`: create and start; `pull`: of an image that the host does not have; `healthy`: from
    running to healthy; `stop`: from the signal to the exit."""

    start: Spans = field(default_factory=lambda: {"": Span(0.5, 2.0)})
    pull: Spans = field(default_factory=lambda: {"": Span(5.0, 60.0)})
    healthy: Spans = field(default_factory=lambda: {"": Span(2.0, 20.0)})
    stop: Spans = field(default_factory=lambda: {"": Span(1.0, 10.0)})

    def behaviour(self, seed: int, host: str) -> Behaviour:
        """Draws for one host. What is drawn for a container depends on nothing but it, its host and the seed,
        so that an event more or less changes no other draw."""

        @functools.cache
        def drawn(image: str, which: str) -> ImageTraits:
            choose = random.Random(f"{seed} {host} {image} {which}")  # noqa: S311 - replays, guards nothing
            start, pull, healthy, stop = (
                spans.get(image, spans[""]).draw(choose)
                for spans in (self.start, self.pull, self.healthy, self.stop)
            )
            return ImageTraits(healthy_after=healthy, stop_takes=stop, pull_takes=pull, create_takes=start)

        return drawn


def machines(
    fleet: Fleet, times: Times, seed: int, known: Mapping[str, EngineFacts]
) -> Callable[[str, Clock], MemoryEngine]:
    """Makes an Engine for each host that is met: as large as the manifest declares it, else as `known` from
    the real one, else of 4 cores and 8 GiB."""

    def engine(name: str, clock: Clock) -> MemoryEngine:
        host, facts = fleet.hosts.get(name), known.get(name)
        cpu = host.cpu if host is not None and host.cpu is not None else facts.cpu if facts else None
        memory = host.memory if host is not None and host.memory is not None else None
        if memory is None and facts is not None:
            memory = facts.memory
        sizes = {what: size for what, size in (("cpu", cpu), ("memory", memory)) if size is not None}
        made = MemoryEngine(name, clock, **sizes)
        made.behaviour = times.behaviour(seed, name)
        return made

    return engine
