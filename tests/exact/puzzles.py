"""Seeded puzzles as tight as a fleet that an owner has filled up: what the solver is measured on."""

from __future__ import annotations

import random

from rota.core.placement.puzzle import Evenness, Group, Pair, Puzzle

MEBIBYTE = 1 << 20
ZONES = 3


def tight(seed: int) -> Puzzle:
    """8-39 hosts, 20-80 groups, 50-92 % of the cpu asked for; nobody knows whether all of it fits."""
    return _Fleet(seed).puzzle(planted=False)


def planted(seed: int) -> Puzzle:
    """The same, but built around a seating of everything: all of it does fit."""
    return _Fleet(seed).puzzle(planted=True)


class _Fleet:
    """Hosts of a few sizes in three zones, and groups that are drawn until the cpu share is reached."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        draw = self.random
        self.hosts = draw.randint(8, 39)
        self.share = draw.uniform(0.50, 0.92)
        sizes = draw.sample(
            [(4000, 16), (8000, 32), (16000, 64), (8000, 16), (16000, 32)], draw.randint(1, 3)
        )
        chosen = [draw.choice(sizes) for _ in range(self.hosts)]
        self.capacity = [(cpu, gibibytes * 1024 * MEBIBYTE) for cpu, gibibytes in chosen]
        self.zones = tuple(host % ZONES for host in range(self.hosts))
        if draw.random() < 0.5:
            self.capacity = [self._partly_taken(cpu, memory) for cpu, memory in self.capacity]
        self.left = [list(capacity) for capacity in self.capacity]
        self.memory_a_cpu = draw.uniform(0.5, 0.95) / self.share * self._total(1) / self._total(0)

    def _total(self, dimension: int) -> int:
        return sum(capacity[dimension] for capacity in self.capacity)

    def _partly_taken(self, cpu: int, memory: int) -> tuple[int, int]:
        """What something that stands there already leaves of a host."""
        taken, half = self.random.uniform(0, 0.6), self.random.uniform(0.7, 1.3)
        return int(cpu * (1 - taken)) // 50 * 50, int(
            memory * (1 - min(taken * half, 0.9))
        ) // MEBIBYTE * MEBIBYTE

    def puzzle(self, *, planted: bool) -> Puzzle:
        draw = self.random
        wanted = draw.randint(20, 80)
        total = self._total(0)
        groups: list[Group] = []
        apart: list[Pair] = []
        used = 0
        for index in range(wanted):
            share = (total * self.share - used) / (wanted - index)
            group, alone = self._group(max(share, 50.0), planted=planted)
            if group.count == 0:
                continue
            used += group.needs[0] * group.count
            if alone:
                apart.append(Pair(first=len(groups), second=len(groups), domains=(-1,) * self.hosts))
            groups.append(group)
        return Puzzle(free=tuple(self.capacity), groups=tuple(groups), apart=tuple(apart))

    def _group(self, cpu: float, *, planted: bool) -> tuple[Group, bool]:
        """One group of about `cpu` millicores in all, and whether its instances keep apart."""
        draw = self.random
        count = draw.choice([1, 1, 2, 2, 3, 3, 4, 6, 8])
        alone = draw.random() < 0.20
        count = min(count, self.hosts // 2) if alone else count
        biggest = max(capacity[0] for capacity in self.capacity)
        each = min(int(cpu / count * draw.uniform(0.4, 1.6)) // 50 * 50 + 50, biggest * 3 // 4)
        memory = int(each * self.memory_a_cpu * draw.uniform(0.4, 1.6)) // (64 * MEBIBYTE) + 1
        needs = (each, memory * 64 * MEBIBYTE)
        open_ = (
            [draw.random() < 0.6 for _ in range(self.hosts)] if draw.random() < 0.3 else [True] * self.hosts
        )
        most = [
            min(count, *(has // need for has, need in zip(capacity, needs, strict=True))) if is_open else 0
            for capacity, is_open in zip(self.capacity, open_, strict=True)
        ]
        strict = draw.random() < 0.25
        evenness = (Evenness(domains=self.zones, standing=(0,) * ZONES, max_skew=1),) if strict else ()
        if planted:
            count = self._plant(needs, count, most, alone=alone, strict=strict)
        tier = draw.randint(0, 2)
        group = Group(needs=needs, count=count, tier=tier, room=tuple(most), evenness=evenness)
        return group, alone

    def _plant(
        self, needs: tuple[int, int], count: int, most: list[int], *, alone: bool, strict: bool
    ) -> int:
        """Take room for up to `count` instances out of what is left; how many found any."""
        taken = [0] * self.hosts
        zones = [0] * ZONES
        for number in range(count):
            fits = [
                host
                for host in range(self.hosts)
                if taken[host] < (min(1, most[host]) if alone else most[host])
                and all(need <= left for need, left in zip(needs, self.left[host], strict=True))
                and (not strict or zones[self.zones[host]] == min(zones))
            ]
            if not fits:
                return number
            host = self.random.choice(fits)
            taken[host] += 1
            zones[self.zones[host]] += 1
            self.left[host] = [left - need for left, need in zip(self.left[host], needs, strict=True)]
        return count
