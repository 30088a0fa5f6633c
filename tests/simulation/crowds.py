"""Crowded fleets: every rule of placement at once, on hosts that do not hold all that is asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rota.core.ids import WorkloadId
from rota.core.model import Amount, CapacityPolicy, Fill, Fleet, Host, Loss, Override, Quota, Service
from rota.core.resources import Resources
from rota.core.rules import (
    Affinity,
    Operator,
    PlacementRules,
    Requirement,
    Spread,
    Strategy,
    Taint,
    Toleration,
)
from tests import builders
from tests.simulation.fleets import Life, sound_service, with_image
from tests.simulation.world import World

GPU = (("gpu", 1),)
ALL = Amount(value=100, percent=True)


def _rules(**fields: object) -> PlacementRules:
    return replace(PlacementRules(), **fields)  # type: ignore[arg-type]


def _other(name: str, scope: str = "host") -> tuple[Affinity, ...]:
    return (Affinity(workload=WorkloadId("shop", name), scope=scope, required=True),)


KINDS: dict[str, tuple[int, int, PlacementRules]] = {
    "web": (100, 6, _rules()),
    "vip": (200, 3, _rules()),
    "low": (50, 6, _rules()),
    "tidy": (50, 4, _rules(strategy=Strategy.PACK)),
    "even": (100, 5, _rules(spread=(Spread(key="zone", max_skew=1, hard=True),))),
    "lone": (100, 3, _rules(anti_affinity=_other("lone"))),
    "shy": (70, 3, _rules(anti_affinity=_other("web", "zone"))),
    "mate": (100, 3, _rules(affinity=_other("web"))),
    "calc": (150, 2, _rules(tolerations=(Toleration(key="gpu"),))),
    "disk": (
        100,
        3,
        _rules(host_selector=(Requirement(key="disk", operator=Operator.EXISTS),), max_per_host=2),
    ),
    "pool": (20, 4, _rules()),
    "swim": (500, 2, _rules(strategy=Strategy.PACK)),
    "edge": (100, 2, _rules()),
    "db": (100, 2, _rules()),
}
"""By name: priority, the most replicas, and where it may be."""
FILLS = ("pool", "swim")
AT_ONCE = "app:3"


def crowded_service(name: str, image: str, choose: random.Random) -> Service:
    priority, most, rules = KINDS[name]
    made = sound_service(name, image, choose.randint(1, most), choose)
    extended = GPU if name == "calc" else ()
    requests = Resources(
        cpu=choose.choice((250, 500, 750, 1000)),
        memory=choose.choice((256, 512, 1024)) * builders.MEBIBYTE,
        extended=extended,
    )
    update = replace(made.update, progress_deadline=240.0)
    return replace(made, requests=requests, priority=priority, placement=rules, update=update)


def crowded_host(name: str) -> Host:
    """The same whenever it joins: what is deployed there fits for ever."""
    choose = random.Random(name)
    labels = {"zone": choose.choice("abc"), **({"disk": "ssd"} if choose.random() < 0.6 else {})}
    return builders.host(
        name,
        cpu=choose.choice((2000, 3000, 4000)),
        memory=choose.choice((2048, 4096)),
        labels=labels,
        resources=(("gpu", 2),) if choose.random() < 0.4 else (),
        reserved=Resources(cpu=250) if choose.random() < 0.3 else Resources(),
        taints=(Taint(key="gpu"),) if choose.random() < 0.15 else (),
    )


@dataclass
class CrowdedLife(Life):
    """`begun` is the revision since which nothing but time has changed anything."""

    kinds: tuple[str, ...] = tuple(KINDS)
    turns: list[Callable[[World], Fleet]] = field(default_factory=list)

    def first_fleet(self) -> Fleet:
        choose = self.choose
        names = ["web", *choose.sample(self.kinds[1:], choose.randint(3, 6))]
        services = [crowded_service(name, "app:1", choose) for name in names]
        hosts = [crowded_host(f"h{number}") for number in choose.sample(range(12), choose.randint(3, 5))]
        fleet = builders.fleet(hosts, services, (self._policy(names),))
        return replace(
            fleet,
            max_removals=ALL,
            max_moves_per_hour=choose.choice((0, 1, 3, 60)),
            survive=choose.choice((None, None, Loss.HOST, Loss.ZONE)),
            quotas=self._quotas(),
        )

    def _policy(self, names: list[str]) -> CapacityPolicy:
        """What fills, always or in a window in the first minute."""
        choose = self.choose
        base = {WorkloadId("shop", name): self._fill() for name in FILLS if name in names}
        some = WorkloadId("shop", choose.choice(names))
        start = choose.randrange(5, 30)
        window = builders.window(f"14:00:{start:02}", f"14:00:{start + choose.randrange(10, 29):02}", {})
        amount = self._fill() if choose.random() < 0.5 else Amount(value=choose.randrange(6))
        unfit = some.name in ("db", "edge")
        windows = () if unfit else (replace(window, replicas={some: amount}),)
        return builders.policy(base=base, windows=windows)

    def _fill(self) -> Fill:
        least = self.choose.randrange(3)
        most = self.choose.choice((None, least, least + 2, least + 6))
        return Fill(min=least, max=most, weight=self.choose.randint(1, 3))

    def _quotas(self) -> tuple[Quota, ...]:
        match self.choose.randrange(4):
            case 0:
                return (Quota(namespace="shop", name="q", hard={"instances": self.choose.randint(6, 16)}),)
            case 1:
                return (Quota(namespace="shop", name="q", hard={"gpu": 1, "instances": 20}),)
        return ()

    def commit(self, world: World) -> None:
        changes = (
            self._image,
            self._image,
            self._count,
            self._count,
            self._service,
            self._lose_host,
            self._add_host,
            self._cordon,
            self._override,
            self._fills,
            self._taint,
        )
        self.publish(world, self.choose.choice(changes)(world))

    def _count(self, world: World) -> Fleet:
        service = self._any_service(world.fleet)
        count = self.choose.randint(0, KINDS[service.id.name][1])
        return with_service(world.fleet, replace(service, replicas=count))

    def _service(self, world: World) -> Fleet:
        fleet = world.fleet
        name = self.choose.choice(self.kinds)
        workload = WorkloadId("shop", name)
        if workload not in fleet.services:
            return with_service(fleet, crowded_service(name, "app:2", self.choose))
        if len(fleet.services) < 4 or name == "db":
            return fleet
        return replace(fleet, services={key: one for key, one in fleet.services.items() if key != workload})

    def _add_host(self, world: World) -> Fleet:
        fleet = world.fleet
        if len(fleet.hosts) >= 6:
            return fleet
        new = crowded_host(f"h{self.choose.randrange(12)}")
        return fleet if new.name in fleet.hosts else replace(fleet, hosts={**fleet.hosts, new.name: new})

    def _override(self, world: World) -> Fleet:
        """For some seconds: another count, or a fill."""
        fleet, service = world.fleet, self._any_service(world.fleet)
        if service.id.name in ("db", "edge"):
            return fleet
        amount = self._fill() if self.choose.random() < 0.5 else Amount(value=self.choose.randrange(5))
        override = Override(
            namespace="shop",
            name=f"o{self.commits}",
            target_kind="Service",
            target_name=service.id.name,
            start=None,
            until=world.clock.wall + timedelta(seconds=self.choose.randint(3, 20)),
            reason="simulated",
            replicas=amount,
        )
        others = tuple(one for one in fleet.overrides if one.target_name != service.id.name)
        return replace(fleet, overrides=(*others, override))

    def _fills(self, world: World) -> Fleet:
        fleet = world.fleet
        (policy,) = fleet.policies
        base = {key: self._fill() for key in policy.base}
        return replace(fleet, policies=(replace(policy, base=base),))

    def _taint(self, world: World) -> Fleet:
        """A host gets a taint that nobody tolerates, or loses all that it did not have at first."""
        fleet = world.fleet
        name = self.choose.choice(sorted(fleet.hosts))
        host, first = fleet.hosts[name], crowded_host(name)
        taints = first.taints if host.taints != first.taints else (*first.taints, Taint(key="old"))
        return replace(fleet, hosts={**fleet.hosts, name: replace(host, taints=taints)})

    def calm(self, world: World) -> None:
        super().calm(world)
        hosts = {
            name: replace(one, unschedulable=False, taints=crowded_host(name).taints)
            for name, one in world.fleet.hosts.items()
        }
        self.publish(world, replace(world.fleet, hosts=hosts, overrides=()))


def with_service(fleet: Fleet, service: Service) -> Fleet:
    return replace(fleet, services={**fleet.services, service.id: service})


def at_once(fleet: Fleet) -> Fleet:
    """Every service with the image that is healthy and gone without delay."""
    services = {key: with_image(one, AT_ONCE) for key, one in fleet.services.items()}
    return replace(fleet, services=services)
