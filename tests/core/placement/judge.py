"""Who may stand where, judged anew from the design: nothing of the code that places is used here.

A `Stand` is a fleet with counts per (workload, host). `why_not` says which filters keep one more instance
off a host; `faults` what is wrong with instances that were just placed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rota.core.ids import WorkloadId
from rota.core.model import Host, Service
from rota.core.resources import Resources
from rota.core.rules import Affinity


@dataclass
class Stand:
    """Hosts, services and how many of which stand where. `shut` are hosts that are given nothing new.

    `occupied` is what the containers of each host ask for, where these are older than their services.
    """

    hosts: Mapping[str, Host]
    services: Mapping[WorkloadId, Service]
    counts: Counter[tuple[WorkloadId, str]] = field(default_factory=Counter)
    shut: Mapping[str, str] = field(default_factory=dict)
    occupied: Mapping[str, Counter[str]] | None = None

    def capacity(self, host: str) -> dict[str, int]:
        one = self.hosts[host]
        whole = {"cpu": one.cpu or 0, "memory": one.memory or 0, **dict(one.resources)}
        for name, amount in one.reserved.items():
            whole[name] = whole.get(name, 0) - amount
        return whole

    def used(self, host: str) -> Counter[str]:
        if self.occupied is not None:
            return self.occupied[host]
        result: Counter[str] = Counter()
        for (workload, where), count in self.counts.items():
            if where == host:
                for name, amount in needs(self.services[workload].requests).items():
                    result[name] += amount * count
        return result

    def short(self, service: Service, host: str) -> dict[str, int]:
        """By how much each dimension of a host is short of one more instance."""
        capacity, used = self.capacity(host), self.used(host)
        lacks = {
            name: amount - max(capacity.get(name, 0) - used[name], 0)
            for name, amount in needs(service.requests).items()
        }
        return {name: amount for name, amount in lacks.items() if amount > 0}

    def on(self, workload: WorkloadId, host: str) -> int:
        return self.counts[workload, host]

    def together(self, host: str, scope: str) -> list[str]:
        """The hosts that share a domain with `host`; one that lacks the label is alone."""
        label = self.hosts[host].labels.get(scope)
        if scope == "host" or label is None:
            return [host]
        return [name for name, one in self.hosts.items() if one.labels.get(scope) == label]

    def beside(self, workload: WorkloadId, host: str, scope: str) -> int:
        return sum(self.on(workload, one) for one in self.together(host, scope))

    def rivals(self, service: Service) -> list[Affinity]:
        """Required anti-affinity, its own and that of others against it."""
        own = [one for one in service.placement.anti_affinity if one.required]
        theirs = [
            Affinity(workload=other.id, scope=one.scope, required=True)
            for other in self.services.values()
            for one in other.placement.anti_affinity
            if one.required and one.workload == service.id and other.id != service.id
        ]
        return own + theirs

    def eligible(self, service: Service, host: str) -> bool:
        """Whether a host would be asked at all, whatever runs on it."""
        one, rules = self.hosts[host], service.placement
        return (
            host not in self.shut
            and not one.unschedulable
            and all(each.met_by(one.labels) for each in rules.host_selector)
            and all(any(each.accepts(taint) for each in rules.tolerations) for taint in one.taints)
        )

    def per_domain(self, service: Service, key: str) -> tuple[Counter[str], set[str]]:
        """Instances by value of a label, and the values that have an eligible host."""
        totals: Counter[str] = Counter()
        opened = set()
        for name, one in self.hosts.items():
            value = one.labels.get(key)
            if value is not None:
                totals[value] += self.on(service.id, name)
                if self.eligible(service, name):
                    opened.add(value)
        return totals, opened


def needs(requests: Resources) -> dict[str, int]:
    return {name: amount for name, amount in requests.items() if amount > 0}


def why_not(stand: Stand, service: Service, host: str, *, pinned_to: str | None = None) -> set[str]:
    """The filters that keep one more instance of `service` off `host`; empty where it would be taken."""
    one, rules, found = stand.hosts[host], service.placement, set()
    if host in stand.shut:
        found.add("state")
    if one.unschedulable:
        found.add("unschedulable")
    if any(not any(each.accepts(taint) for each in rules.tolerations) for taint in one.taints):
        found.add("taint")
    if not all(each.met_by(one.labels) for each in rules.host_selector):
        found.add("hostSelector")
    if pinned_to not in (None, host):
        found.add("volume")
    if rules.max_per_host is not None and stand.on(service.id, host) >= rules.max_per_host:
        found.add("maxPerHost")
    if _port_taken(stand, service, host):
        found.add("port")
    if any(stand.beside(rival.workload, host, rival.scope) for rival in stand.rivals(service)):
        found.add("antiAffinity")
    if any(one.required and not stand.beside(one.workload, host, one.scope) for one in rules.affinity):
        found.add("affinity")
    if any(each.hard and _uneven(stand, service, host, each.key, each.max_skew) for each in rules.spread):
        found.add("spread")
    return found | stand.short(service, host).keys()


def _port_taken(stand: Stand, service: Service, host: str) -> bool:
    ports = set(service.container.fixed_ports)
    return any(
        stand.on(other.id, host) and ports & set(other.container.fixed_ports)
        for other in stand.services.values()
    )


def _uneven(stand: Stand, service: Service, host: str, key: str, skew: int) -> bool:
    """Whether one more on `host` would exceed the skew."""
    totals, opened = stand.per_domain(service, key)
    value = stand.hosts[host].labels.get(key)
    fewest = min((totals[each] for each in opened), default=0)
    return value is None or totals[value] + 1 - fewest > skew


def faults(stand: Stand, placed: Mapping[tuple[WorkloadId, str], int]) -> list[str]:
    """What is wrong with `placed`, which `stand` counts already."""
    found = []
    for (workload, host), count in placed.items():
        if count:
            found += _faults_of(stand, stand.services[workload], host)
    for host in {where for (_, where), count in placed.items() if count}:
        capacity = stand.capacity(host)
        for name, amount in stand.used(host).items():
            if amount > capacity.get(name, 0):
                found.append(f"{host}: {name} {amount} of {capacity.get(name, 0)}")
    return found


def _faults_of(stand: Stand, service: Service, host: str) -> list[str]:
    name, rules, found = service.id.name, service.placement, []
    if not stand.eligible(service, host):
        found.append(f"{name} on {host}, which is not eligible")
    if rules.max_per_host is not None and stand.on(service.id, host) > rules.max_per_host:
        found.append(f"{name} on {host} beyond maxPerHost")
    ports = set(service.container.fixed_ports)
    if ports:
        users = sum(
            stand.on(other.id, host)
            for other in stand.services.values()
            if ports & set(other.container.fixed_ports)
        )
        if users > 1:
            found.append(f"{name} on {host}: its port is used {users} times")
    found += [
        f"{name} on {host} beside {rival.workload} ({rival.scope})"
        for rival in stand.rivals(service)
        if stand.beside(rival.workload, host, rival.scope) > (rival.workload == service.id)
    ]
    found += [
        f"{name} on {host} without {one.workload} ({one.scope})"
        for one in rules.affinity
        if one.required and not stand.beside(one.workload, host, one.scope)
    ]
    found += [
        f"{name} on {host} is uneven over {each.key}"
        for each in rules.spread
        if each.hard and _uneven_now(stand, service, host, each.key, each.max_skew)
    ]
    return found


def _uneven_now(stand: Stand, service: Service, host: str, key: str, skew: int) -> bool:
    totals, opened = stand.per_domain(service, key)
    value = stand.hosts[host].labels.get(key)
    fewest = min((totals[each] for each in opened), default=0)
    return value is None or totals[value] - fewest > skew


def shortages(detail: str) -> dict[str, int]:
    """`cpu short by 500m, memory short by 1Gi` as numbers; memory in bytes, as the words round it."""
    result = {}
    for part in detail.rsplit(": ", maxsplit=1)[-1].split(", "):
        name, _, amount = part.partition(" short by ")
        if amount.endswith("Gi"):
            result[name] = int(amount[:-2]) << 30
        elif amount.endswith("Mi"):
            result[name] = int(amount[:-2]) << 20
        else:
            result[name] = int(amount.removesuffix("m"))
    return result
