"""Random fleets and what happens to them: every choice comes from one seeded generator."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from rota.core.container import Check, ContainerSpec, HealthCheck, Mount, Port
from rota.core.ids import WorkloadId
from rota.core.model import (
    Amount,
    Canary,
    CapacityPolicy,
    Drain,
    Fleet,
    Host,
    Order,
    Service,
    Singleton,
    UpdateRules,
)
from rota.core.planning.actions import container_name
from rota.engine.memory import ImageTraits
from tests import builders
from tests.simulation.troubles import Troubles
from tests.simulation.world import World

SOUND_IMAGES = ("app:1", "app:2", "app:3")
SICK_IMAGE = "app:sick"
"""Starts and never becomes healthy."""
MISSING_IMAGE = "app:missing"
"""Cannot be pulled."""
BAD_IMAGES = (SICK_IMAGE, MISSING_IMAGE, "app:crash", "app:greedy", "app:done")
TRAITS = {
    "app:1": ImageTraits(healthy_after=0.5, stop_takes=0.5),
    "app:2": ImageTraits(healthy_after=1.0, stop_takes=1.0),
    "app:3": ImageTraits(healthy_after=0.0, stop_takes=0.0),
    SICK_IMAGE: ImageTraits(healthy_after=None, stop_takes=0.3),
    "app:crash": ImageTraits(healthy_after=0.1, lives=0.4, dies_with=3),
    "app:greedy": ImageTraits(healthy_after=0.1, lives=3.0, out_of_memory=True),
    "app:done": ImageTraits(lives=0.2, dies_with=0),
}
ONE_AT_MOST = {"sole": Singleton.STRICT, "solo": Singleton.BEST_EFFORT}
DEPENDS_ON = {"api": "web"}
FEW = ("db", "edge")


def sound_service(name: str, image: str, replicas: int, choose: random.Random) -> Service:
    """A service of a kind by its name: plain, with a volume, with a fixed port, unchecked, checked from
    outside, or one that must not run twice."""
    volumes = (Mount(kind="volume", target="/data", source="data"),) if name.startswith("db") else ()
    published = 8000 if name.startswith("edge") else None
    stop_first = name.startswith(FEW) or name in ONE_AT_MOST
    check = None if name.startswith(("bare", "ping")) else HealthCheck(test=("CMD", "true"))
    asked = Check(port=8080, interval=1.0, timeout=0.5, fall=2, rise=1) if name == "ping" else None
    return builders.service(
        name,
        min(replicas, 1) if name in ONE_AT_MOST else replicas,
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
            progress_deadline=20.0,
            canary=Canary(count=1, hold=3.0) if choose.random() < 0.2 else None,
        ),
        max_unavailable=Amount(value=1 if stop_first else choose.choice((0, 1))),
        check=asked,
        depends_on=tuple(WorkloadId("shop", DEPENDS_ON[one]) for one in (name,) if one in DEPENDS_ON),
        singleton=ONE_AT_MOST.get(name, Singleton.NONE),
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
    troubles: Troubles = field(init=False)
    commits: int = 1
    bad_images: tuple[str, ...] = BAD_IMAGES

    def __post_init__(self) -> None:
        self.choose = random.Random(self.seed)
        self.troubles = Troubles(self.choose)

    def first_fleet(self) -> Fleet:
        choose = self.choose
        names = ["api", "bare", "ping", "edge", "db", *ONE_AT_MOST]
        chosen = ["web", *choose.sample(names, choose.randrange(1, 5))]
        services = [
            sound_service(name, "app:1", choose.randrange(1, 3 if name in FEW else 6), choose)
            for name in chosen
        ]
        hosts = [some_host(f"h{number}", choose) for number in range(choose.randrange(3, 6))]
        many = [one for one in services if one.id.name not in ONE_AT_MOST]
        policies = (some_policy(many, choose),) if choose.random() < 0.7 else ()
        fleet = builders.fleet(hosts, services, policies)
        return replace(fleet, max_removals=Amount(value=100, percent=True))

    def happen(self, world: World) -> None:
        """At most one thing, somewhere in the fleet."""
        self._trust(world)
        events = (
            (0.04, self.commit),
            (0.04, self.trouble),
            (0.08, self.heal),
            (0.04, self.touch),
            (0.015, self.kill),
            (0.01, self.foreign),
            (0.005, self.jump),
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
                self._drain,
            )
        )
        self.publish(world, change(world))

    def publish(self, world: World, fleet: Fleet) -> None:
        """The next commit: it names nothing that it does not have."""
        self.commits += 1
        services = {
            key: replace(one, depends_on=tuple(each for each in one.depends_on if each in fleet.services))
            for key, one in fleet.services.items()
        }
        overrides = self.troubles.overrides(world, fleet.overrides)
        world.fleet = replace(fleet, revision=f"{self.commits:040x}", services=services, overrides=overrides)

    def _trust(self, world: World) -> None:
        """Somebody takes back the word that an old machine is gone, once the new one is known."""
        if self.troubles.forget_what_is_known(world):
            self.publish(world, world.fleet)

    def _image(self, world: World) -> Fleet:
        fleet = world.fleet
        service = self._any_service(fleet)
        image = self.choose.choice((*SOUND_IMAGES, *SOUND_IMAGES, *self.bad_images))
        return _with_service(fleet, with_image(service, image))

    def _count(self, world: World) -> Fleet:
        fleet = world.fleet
        service = self._any_service(fleet)
        most = 2 if service.id.name in ONE_AT_MOST else 3 if service.id.name in FEW else 7
        return _with_service(fleet, replace(service, replicas=self.choose.randrange(0, most)))

    def _service(self, world: World) -> Fleet:
        """One service more, or one less."""
        fleet = world.fleet
        if len(fleet.services) > 2 and self.choose.random() < 0.5:
            gone = self._any_service(fleet).id
            return replace(
                fleet, services={name: one for name, one in fleet.services.items() if name != gone}
            )
        name = self.choose.choice(("web", "api", "bare", "late", "db", "ping", *ONE_AT_MOST))
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

    def _drain(self, world: World) -> Fleet:
        """A host is drained, with a deadline or without one; or its drain is taken back."""
        fleet = world.fleet
        name = self.choose.choice(sorted(fleet.hosts))
        deadline = self.choose.choice((None, None, 5.0, 30.0))
        drain = Drain(deadline=deadline) if fleet.hosts[name].drain is None else None
        return replace(fleet, hosts={**fleet.hosts, name: replace(fleet.hosts[name], drain=drain)})

    def _any_service(self, fleet: Fleet) -> Service:
        return fleet.services[self.choose.choice(sorted(fleet.services))]

    def trouble(self, world: World) -> None:
        self.troubles.begin(world)

    def heal(self, world: World) -> None:
        """One host is well again, and somebody vouches for machines that are new."""
        if self.troubles.end(world):
            self.publish(world, world.fleet)

    def jump(self, world: World) -> None:
        """Somebody sets the operator's clock."""
        world.clock.jump(self.choose.choice((3600.0, -3600.0)))

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
        """The faults end, and the last commit asks for what is possible; one host may stay drained."""
        world.kill_after, world.slow = None, 0.0
        self.troubles.end_all(world)
        fleet = world.fleet
        for service in fleet.services.values():
            image = service.container.image
            sound = with_image(service, image if image in SOUND_IMAGES else "app:3")
            fleet = _with_service(fleet, tried_anew(sound))
        holding = set(world.ledger.pins.values())
        drained = sorted(
            name for name, one in fleet.hosts.items() if one.drain is not None and name not in holding
        )
        kept = drained[:1] if len(fleet.hosts) > 4 else []
        hosts = {
            name: replace(one, unschedulable=False, drain=one.drain if name in kept else None)
            for name, one in fleet.hosts.items()
        }
        self.publish(world, replace(fleet, hosts=hosts))


def tried_anew(service: Service) -> Service:
    """Its document has changed: a spec that failed under fire has another chance, and time."""
    update = replace(service.update, progress_deadline=600.0)
    return replace(service, document_hash="calm", update=update)


def _with_service(fleet: Fleet, service: Service) -> Fleet:
    return replace(fleet, services={**fleet.services, service.id: service})
