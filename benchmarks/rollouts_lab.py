"""A hundred rollouts of twelve web servers on real hosts, while commits keep coming.

How many are healthy and how many are alive is counted from what the Engines tell, at every instant.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import docker

from benchmarks.figures import Figures
from benchmarks.hosts import Passes, daemon_on
from rota.core.ids import WorkloadId
from rota.reconcile import Pass
from tests.lab.hosts import Lab
from tests.lab.operator import Repository, web_manifest

ROLLOUTS = 100
REPLICAS, UNAVAILABLE, SURGE = 12, 1, 3
UPDATE = "{maxSurge: 25%, minHealthyTime: 1s, healthyDeadline: 4s, progressDeadline: 10s}"
SHORTEST, LONGEST = 0.5, 12.0
"""Seconds between two commits: some come at once, some when the one before is through."""
BAD, PATIENT = 0.2, 0.3
"""Which share of commits never becomes healthy, and after which share nothing follows until it has ended."""
SEED = 1
ENDS_WITHIN = 180.0
WEB = WorkloadId("shop", "web")
TOLD = ["start", "die", "health_status"]


def rollouts_on_the_lab(figures: Figures) -> None:
    """Start-first with a surge of a quarter and `maxUnavailable: 1`; every fifth spec never becomes
    healthy."""
    with Lab.up(3, name="rollouts", log=lambda _: None) as lab, daemon_on(lab) as (repository, passes, _):
        _end(passes, _commit(repository, 0))
        with _Tally.following(lab) as tally:
            good, failed = _churn(repository, passes)
    ends = f"{good} good, {failed} failed, {ROLLOUTS - good - failed} overtaken"
    name = f"{ROLLOUTS} rollouts on the lab, {ends}"
    lowest, most = tally.extremes()
    figures.row(f"{name}: fewest healthy", [lowest], "", f"≥ {REPLICAS - UNAVAILABLE}")
    figures.row(f"{name}: most alive", [most], "", f"≤ {REPLICAS + SURGE}")


def _churn(repository: Repository, passes: Passes) -> tuple[int, int]:
    """Commit after commit; how many came to be good, and how many were found to have failed. The last one
    works, and comes to its end."""
    choose, good, failed = random.Random(SEED), 0, 0
    for number in range(1, ROLLOUTS + 1):
        last = number == ROLLOUTS
        revision = _commit(repository, number, bad=not last and choose.random() < BAD)
        if last or choose.random() < PATIENT:
            _end(passes, revision)
        else:
            threading.Event().wait(choose.uniform(SHORTEST, LONGEST))
        seen = passes.latest
        if seen is not None and seen.decision is not None and _applied(seen) == revision:
            ledger = seen.decision.ledger
            failed += WEB in ledger.failed
            good += WEB not in ledger.failed and WEB not in ledger.rollouts
    return good, failed


def _commit(repository: Repository, number: int, *, bad: bool = False) -> str:
    sick = ', FAIL_HEALTH: "1"' if bad else ""
    environment = f'{{TRY: "{number}"{sick}}}'
    manifest = web_manifest(REPLICAS, environment=environment, update=UPDATE)
    repository.write(web=f"{manifest}  disruption: {{maxUnavailable: {UNAVAILABLE}}}\n")
    return repository.push(f"try {number}")


def _applied(seen: Pass) -> str:
    return seen.decision.fleet.revision if seen.decision is not None else ""


def _end(passes: Passes, revision: str) -> None:
    """Until nothing is under way: the spec of `revision` is good, or has failed and the one before is
    back."""

    def has_ended(seen: Pass) -> bool:
        if seen.decision is None or _applied(seen) != revision:
            return False
        ledger = seen.decision.ledger
        failed = ledger.failed.get(WEB)
        return WEB not in ledger.rollouts and (failed is None or failed.returned) and WEB in ledger.good

    passes.until(has_ended, ENDS_WITHIN)


class _Tally:
    """What the Engines tell of the containers of one workload, in the order in which it happened."""

    def __init__(self, healthy: set[str]) -> None:
        self._there = healthy
        self._told: list[tuple[int, str, str]] = []

    @classmethod
    @contextmanager
    def following(cls, lab: Lab) -> Iterator[_Tally]:
        """From now on; all of the workload is healthy and nothing of it is changing."""
        filters = {"label": [f"rota.workload={WEB}"], "event": TOLD}
        rows = [row for host in lab.hosts for row in lab.containers(host, running_only=True)]
        tally = cls({row["Id"] for row in rows})
        threads = []
        for host in lab.hosts.values():
            client = docker.APIClient(base_url=host.endpoint, timeout=60)
            stream = client.events(decode=True, filters=filters)
            threads.append((stream, threading.Thread(target=tally._follow, args=(stream,), daemon=True)))
        for _, thread in threads:
            thread.start()
        yield tally
        for stream, thread in threads:
            with closing(stream):
                pass
            thread.join(10)

    def extremes(self) -> tuple[int, int]:
        """How few were healthy, and how many were alive, at the worst instants."""
        healthy, alive = set(self._there), set(self._there)
        lowest, most = len(healthy), len(alive)
        for _, action, container in sorted(self._told):
            if action == "start":
                alive.add(container)
            elif action == "health_status: healthy":
                healthy.add(container)
            else:
                healthy.discard(container)
                if action == "die":
                    alive.discard(container)
            lowest, most = min(lowest, len(healthy)), max(most, len(alive))
        return lowest, most

    def _follow(self, stream: Any) -> None:
        self._told += [(one["timeNano"], one["Action"], one["id"]) for one in stream]
