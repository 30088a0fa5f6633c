"""Random fleets and what happens to them: every choice comes from one seeded generator."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from rota.core.container import ContainerSpec, HealthCheck, Mount, Port
from rota.core.ids import WorkloadId
from rota.core.model import Amount, CapacityPolicy, Fleet, Host, Order, Service, UpdateRules
from rota.core.planning.actions import container_name
from rota.engine.memory import ImageTraits
from tests import builders
from tests.simulation.world import World

SOUND_IMAGES = ("app:1", "app:2", "app:3")
SICK_IMAGE = "app:sick"
"""Starts and never becomes healthy."""
MISSING_IMAGE = "app:missing"
"""Cannot be pulled."""
TRAITS = {
    "app:1": ImageTraits(healthy_after=0.5, stop_takes=0.5),
    "app:2": ImageTraits(healthy_after=1.0, stop_takes=1.0),
    "app:3": ImageTraits(healthy_after=0.0, stop_takes=0.0),
    SICK_IMAGE: ImageTraits(healthy_after=None, stop_takes=0.3),
}


def sound_service(name: str, image: str, replicas: int, choose: random.Random) -> Service:
    """A service of one of four kinds by its name: plain, with a volume, with a fixed port, or unchecked."""
    volumes = (Mount(kind="volume", target="/data", source="data"),) if name.startswith("db") else ()
    published = 8000 if name.startswith("edge") else None
    stop_first = name.startswith(("db", "edge"))
    check = None if name.startswith("bare") else HealthCheck(test=("CMD", "true"))
    return builders.service(
        name,
        replicas,
        cpu=choose.choice((100, 200, 400)),
        memory=128,
        container=ContainerSpec(
            image=image,
            healthcheck=check,
            volumes=volumes,
            ports=(Port(name="http", target=8080, published=published),),
        ),
        spec_hash=f"v1:{image}",
        priority=choose.choice((50, 100)),
        update=UpdateRules(
            order=Order.STOP_FIRST if stop_first else Order.START_FIRST,
            max_surge=Amount(value=choose.choice((1, 2))),
            min_healthy_time=1.0,
            healthy_deadline=15.0,
        ),
        max_unavailable=Amount(value=1 if stop_first else choose.choice((0, 1))),
    )


def with_image(service: Service, image: str) -> Service:
    return replace(service, container=replace(service.container, image=image), spec_hash=f"v1:{image}")


def some_host(name: str, choose: random.Random) -> Host:
    return builders.host(name, cpu=6000, labels={"zone": choose.choice("abc")})


def some_policy(services: list[Service], choose: random.Random) -> CapacityPolicy:
    """Windows whose edges fall into the first minute of the run, which begins at 14:00 in Berlin."""
    chosen = choose.sample(services, min(2, len(services)))
    windows = []
    for number, service in enumerate(chosen):
        start = choose.randrange(5, 40)
        end = choose.randrange(start + 5, 59)
        windows.append(
            builders.window(
                f"14:00:{start:02}",
                f"14:00:{end:02}",
                {service.id.name: choose.randrange(0, 6)},
                name=f"w{number}",
                priority=number,
            )
        )
    return builders.policy(windows=tuple(windows))


@dataclass
class Life:
    """One seed's fleet and what happens to it. `commits` counts revisions."""

    seed: int
    choose: random.Random = field(init=False)
    commits: int = 1
    pinned_hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.choose = random.Random(self.seed)

    def first_fleet(self) -> Fleet:
        choose = self.choose
        names = ["web", "api", "bare", "edge", "db"]
        chosen = ["web", *choose.sample(names[1:], choose.randrange(1, 4))]
        services = [
            sound_service(name, "app:1", choose.randrange(1, 3 if name in ("db", "edge") else 6), choose)
            for name in chosen
        ]
        hosts = [some_host(f"h{number}", choose) for number in range(choose.randrange(3, 6))]
        policies = (some_policy(services, choose),) if choose.random() < 0.7 else ()
        fleet = builders.fleet(hosts, services, policies)
        return replace(fleet, max_removals=Amount(value=100, percent=True))

    def happen(self, world: World) -> None:
        """At most one thing, somewhere in the fleet."""
        events = (
            (0.04, self.commit),
            (0.04, self.trouble),
            (0.08, self.heal),
            (0.04, self.touch),
            (0.015, self.kill),
            (0.01, self.foreign),
        )
        roll = self.choose.random()
        for chance, event in events:
            if roll < chance:
                event(world)
                return
            roll -= chance

    def commit(self, world: World) -> None:
        change = self.choose.choice(
            (
                self._image,
                self._image,
                self._count,
                self._service,
                self._lose_host,
                self._add_host,
                self._cordon,
            )
        )
        self.publish(world, change(world))

    def publish(self, world: World, fleet: Fleet) -> None:
        self.commits += 1
        world.fleet = replace(fleet, revision=f"{self.commits:040x}")

    def _image(self, world: World) -> Fleet:
        fleet = world.fleet
        service = self._any_service(fleet)
        image = self.choose.choice((*SOUND_IMAGES, *SOUND_IMAGES, SICK_IMAGE, MISSING_IMAGE))
        return _with_service(fleet, with_image(service, image))

    def _count(self, world: World) -> Fleet:
        fleet = world.fleet
        service = self._any_service(fleet)
        most = 3 if service.id.name in ("db", "edge") else 7
        return _with_service(fleet, replace(service, replicas=self.choose.randrange(0, most)))

    def _service(self, world: World) -> Fleet:
        """One service more, or one less."""
        fleet = world.fleet
        if len(fleet.services) > 2 and self.choose.random() < 0.5:
            gone = self._any_service(fleet).id
            return replace(
                fleet, services={name: one for name, one in fleet.services.items() if name != gone}
            )
        name = self.choose.choice(("web", "api", "bare", "late", "db"))
        if WorkloadId("shop", name) in fleet.services:
            return fleet
        return _with_service(fleet, sound_service(name, "app:2", 2, self.choose))

    def _lose_host(self, world: World) -> Fleet:
        """A Host leaves Git: never one that holds data, which would be lost to its slot."""
        fleet = world.fleet
        holding = set(world.ledger.pins.values())
        free = sorted(set(fleet.hosts) - holding)
        if len(fleet.hosts) <= 3 or not free:
            return fleet
        gone = self.choose.choice(free)
        return replace(fleet, hosts={name: one for name, one in fleet.hosts.items() if name != gone})

    def _add_host(self, world: World) -> Fleet:
        fleet = world.fleet
        if len(fleet.hosts) >= 6:
            return fleet
        new = some_host(f"h{self.choose.randrange(6, 12)}", self.choose)
        return replace(fleet, hosts={**fleet.hosts, new.name: new})

    def _cordon(self, world: World) -> Fleet:
        fleet = world.fleet
        name = self.choose.choice(sorted(fleet.hosts))
        host = replace(fleet.hosts[name], unschedulable=not fleet.hosts[name].unschedulable)
        return replace(fleet, hosts={**fleet.hosts, name: host})

    def _any_service(self, fleet: Fleet) -> Service:
        return fleet.services[self.choose.choice(sorted(fleet.services))]

    def trouble(self, world: World) -> None:
        engine = world.engines[self.choose.choice(sorted(world.engines))]
        match self.choose.randrange(5):
            case 0:
                engine.refuse()
            case 1:
                engine.hang()
            case 2 | 3:
                engine.lose_answers(self.choose.randrange(1, 5))
            case 4:
                engine.crash_and_restart()

    def heal(self, world: World) -> None:
        world.engines[self.choose.choice(sorted(world.engines))].heal()

    def touch(self, world: World) -> None:
        """Somebody stops or removes one of our containers by hand."""
        ours = [
            (engine, one)
            for _, engine in sorted(world.engines.items())
            for one in engine.all_containers()
            if one.labels.get("rota.fleet-uid") == world.fleet.uid
        ]
        if not ours:
            return
        engine, one = self.choose.choice(ours)
        if self.choose.random() < 0.5:
            engine.stop_by_hand(one.name)
        else:
            engine.remove_by_hand(one.name)

    def kill(self, world: World) -> None:
        """The daemon dies now, or after one of its next calls; some calls under way still arrive."""
        if self.choose.random() < 0.5:
            world.restart_daemon(arrives=0.5)
        else:
            world.arrives = self.choose.random()
            world.kill_after = world.tally.calls + self.choose.randrange(1, 8)

    def foreign(self, world: World) -> None:
        """Somebody makes a container with the name that one of ours would get next, or with our labels."""
        fleet = world.fleet
        service = self._any_service(fleet)
        name = container_name(
            fleet.name, service.id, self.choose.randrange(4), (fleet.uid, service.spec_hash, 0)
        )
        host = self.choose.choice(sorted(fleet.hosts))
        if any(one.name == name for one in world.engines[host].all_containers()):
            return
        labels = {"rota.fleet": fleet.name, "rota.fleet-uid": "another"} if self.choose.random() < 0.3 else {}
        world.add_foreign(host, name, labels)

    def calm(self, world: World) -> None:
        """The faults end, and the last commit asks for what is possible."""
        world.kill_after, world.slow = None, 0.0
        for engine in world.engines.values():
            engine.heal()
        fleet = world.fleet
        for service in fleet.services.values():
            if service.container.image not in SOUND_IMAGES:
                fleet = _with_service(fleet, with_image(service, "app:3"))
        hosts = {name: replace(one, unschedulable=False) for name, one in fleet.hosts.items()}
        self.publish(world, replace(fleet, hosts=hosts))


def _with_service(fleet: Fleet, service: Service) -> Fleet:
    return replace(fleet, services={**fleet.services, service.id: service})
