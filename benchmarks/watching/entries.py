"""1,000 hosts, beside what one would write with the SDK; and 50 hosts of which one hangs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from benchmarks.figures import Figures, timed
from benchmarks.watching.fleet import CONTAINERS, fleet, host_name
from benchmarks.watching.watchers import Watch, ask, complete, endpoint
from rota.core.decide import decide
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import HostState, Now, ObservedState

MANY, FEW = 1000, 50
RUNS = 3
PAIRS = 7
PASSES = 200
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def many_hosts(figures: Figures) -> None:
    """Everything seen, a death known, and the memory of it; each run in processes of its own."""
    rota, sdk = [], []
    for _ in range(RUNS):
        rota.append(_watched("rota"))
        sdk.append(_watched("sdk"))
    print(f"{MANY:,} hosts of {CONTAINERS} containers each, in memory, behind real HTTP")
    observed = figures.row("  from nothing to everything seen", [one["observed"] for one in rota], "s", "2")
    floor = figures.row(
        "    the SDK on 32 threads, info and list only", [one["observed"] for one in sdk], "s"
    )
    figures.row("    ratio", [observed / floor], "")
    figures.row("    and with every event stream open", [one["listening"] for one in rota], "s")
    deaths = [1000 * one for seen in rota for one in seen["deaths"]]
    figures.row("  a death told by its Engine → seen, median", [statistics.median(deaths)], "ms")
    figures.row("    99 of 100 within", [statistics.quantiles(deaths, n=100)[-1]], "ms", "200")
    again = figures.row("    the SDK: one sweep over all hosts", [1000 * one["again"] for one in sdk], "ms")
    figures.row("    ratio to the median", [statistics.median(deaths) / again], "")
    figures.row("  resident, the daemon's modules included", [one["peak"] for one in rota], "MiB", "300")
    figures.row("    of that: before it began", [one["before"] for one in rota], "MiB")
    figures.row("  threads", [float(one["threads"]) for one in rota], "")


def hung_host(figures: Figures) -> None:
    """One of 50 hosts accepts and never answers: what that costs the other 49."""
    seen: dict[bool, list[float]] = {False: [], True: []}
    passed: dict[bool, list[float]] = {False: [], True: []}
    for at in range(PAIRS):
        for hangs in (False, True) if at % 2 else (True, False):
            first, passes = _few(hangs=hangs)
            seen[hangs].append(first)
            passed[hangs].append(1000 * passes)
    print(f"{FEW} hosts, of which one hangs")
    for what, values, unit in (
        ("from nothing to the other 49 seen", seen, "s"),
        ("a pass", passed, "ms"),
    ):
        well = figures.row(f"  {what}: none hangs", values[False], unit)
        ill = figures.row(f"  {what}: one hangs", values[True], unit)
        figures.row("    longer by", [100 * (ill / well - 1)], "%", "10")


def lost_host(figures: Figures) -> None:
    """One of 1,000 hosts is lost: from the view that says so to replacements that are asked for."""
    with _engines(MANY) as ports:
        of, watch = fleet([endpoint(port) for port in ports]), Watch(ports)
        watch.begin()
        watch.await_all()
        _a_pass(of, watch)()  # a daemon has seen its fleet whole before it loses a host
        times = [timed(_replacing(of, watch, host_name(at))) for at in range(PAIRS)]
        watch.runner.close()
    print(f"one of {MANY:,} hosts of {CONTAINERS} containers is lost")
    figures.row("  known → replacements decided and asked for", times, "s", "0.5")


def _replacing(of: Fleet, watch: Watch, lost: str) -> Callable[[], object]:
    """A pass that sees a host lost; what it asks for is submitted, and held there."""

    def pass_once() -> None:
        views = dict(watch.runner.views())
        views[lost] = replace(views[lost], state=HostState.LOST, detail="no connection to the Engine")
        observed = ObservedState(hosts=views, outcomes=watch.runner.take_outcomes())
        decision = decide(of, observed, Ledger(), Now(wall=NOON, mono=time.monotonic()))
        assert len(decision.actions) == CONTAINERS, "one start for each instance that was lost"
        watch.runner.submit(decision.actions, held=True)

    return pass_once


def _few(*, hangs: bool) -> tuple[float, float]:
    """Seconds until 49 hosts were seen for the first time; and of a pass, at the median, once all were."""
    last = host_name(FEW - 1)
    with _engines(FEW) as ports:
        if hangs:
            ask(ports[-1], "POST", "/hang")
        watch = Watch(ports)
        first = watch.begin()
        first = (
            watch.await_all(lambda views: complete({n: one for n, one in views.items() if n != last})) - first
        )
        watch.runner.close()
    with _engines(FEW) as ports:
        of, watch = fleet([endpoint(port) for port in ports]), Watch(ports)
        watch.begin()
        watch.await_all()
        if hangs:
            ask(ports[-1], "POST", "/hang")
            watch.await_view(last, lambda view: view.state is HostState.SUSPECT)
        passes = [timed(_a_pass(of, watch)) for _ in range(PASSES)]
        watch.runner.close()
    return first, statistics.median(passes)


def _a_pass(of: Fleet, watch: Watch) -> Callable[[], object]:
    """What a pass does between git and the hosts."""

    def pass_once() -> None:
        observed = ObservedState(hosts=watch.runner.views(), outcomes=watch.runner.take_outcomes())
        watch.runner.submit(
            decide(of, observed, Ledger(), Now(wall=NOON, mono=time.monotonic())).actions, held=True
        )

    return pass_once


def _watched(kind: str) -> dict[str, Any]:
    with _engines(MANY) as ports:
        command = [sys.executable, "-m", "benchmarks.watching.watchers", kind, *map(str, ports)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@contextmanager
def _engines(hosts: int) -> Iterator[Sequence[int]]:
    """The ports of so many Engines, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.watching.engines", str(hosts), str(CONTAINERS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
