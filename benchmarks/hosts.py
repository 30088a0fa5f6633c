"""What needs real hosts: the lab, with the floor beside it in the same run, alternating."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import structlog

from benchmarks.figures import Figures
from rota.app import Daemon
from rota.clock import Clock, ShiftedClock, SystemClock
from rota.reconcile import Pass
from rota.settings import DaemonSettings, GitSettings
from rota.web.server import WebServer
from rota.web.webhook import Hooks, application
from tests.lab.hosts import Lab
from tests.lab.operator import WORKER, Operator, Repository, fleet_manifests, web_manifest, worker_manifest
from tests.lab.waiting import wait_for

RUNS = 5
CONTAINERS = 60
IN_FLIGHT = 8
SECRET = "bench"


structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))


def commit_to_container(figures: Figures) -> None:
    """A commit that adds one instance, pushed → its container runs; and a webhook → the pass begins."""
    with _lab() as lab, daemon_on(lab) as (repository, passes, daemon):
        repository.write(worker=_workers(1))
        repository.push("one")
        passes.until(lambda last: last.status.ready and _running(last) == 1, 60)
        floors, times = [], []
        with _Starts(lab) as starts:
            for run in range(RUNS):
                floors.append(_floor_one(lab, run))
                starts.clear()
                repository.write(worker=_workers(run + 2))
                repository.push(f"{run + 2}")
                began = time.perf_counter()
                times.append(starts.first() - began)
                passes.until(lambda last, run=run: last.status.ready and _running(last) == run + 2, 60)
        floor = figures.row("create + start, one container (the floor)", floors, "s")
        figures.row(
            "commit pushed → new container runs, poll interval 1 s", times, "s", f"{1.5 * floor + 1.2:.2f}"
        )
        _webhook(figures, daemon, passes)


def sixty_containers(figures: Figures) -> None:
    """60 containers on three empty hosts, against a bare loop of the same client with 8 in flight a host."""
    with _lab() as lab:
        floors, rates = [], []
        for _ in range(RUNS):
            lab.clear_all()
            floors.append(CONTAINERS / _bare_loop(lab))
            lab.clear_all()
            with daemon_on(lab) as (repository, passes, _):
                repository.write(worker=_workers(CONTAINERS))
                repository.push("sixty")
                began = passes.until(
                    lambda last: last.decision is not None and bool(last.decision.actions), 60
                )
                ended = passes.until(lambda last: _running(last) == CONTAINERS, 120)
                rates.append(CONTAINERS / (ended - began))
        floor = figures.row("60 containers, bare loop, 8 in flight per host (the floor)", floors, "starts/s")
        rate = figures.row(
            "60 containers, Rota, from the pass that decides", rates, "starts/s", f"{0.9 * floor:.1f}"
        )
        figures.row("  of the floor", [100 * rate / floor], "%", "90")


def idle(figures: Figures) -> None:
    """Passes over an unchanged fleet of 3 hosts and 60 containers, and the daemon's memory."""
    with _lab() as lab, daemon_on(lab) as (repository, passes, daemon):
        repository.write(worker=_workers(CONTAINERS))
        repository.push("sixty")
        passes.until(lambda last: last.status.ready and _running(last) == CONTAINERS, 120)
        _settle(repository)
        commits, passes.lengths[:] = repository.commits(), []
        while len(passes.lengths) < 100:
            count = len(passes.lengths)
            daemon.controller.wake()
            wait_for(lambda count=count: len(passes.lengths) > count, 10, "a pass")
        figures.row(
            "a pass over 3 hosts and 60 containers, unchanged",
            [1000 * one for one in passes.lengths],
            "ms",
            "15",
        )
        figures.row("  commits made by them", [float(repository.commits() - commits)], "", "0")
        with tempfile.TemporaryDirectory() as scratch:
            operator = Operator(repository, Path(scratch), "--take-over")
            wait_for(
                lambda: any(line["event"] == "revision adopted" for line in operator.lines()),
                30,
                "the operator",
            )
            threading.Event().wait(10)
            pages = Path(f"/proc/{operator.process.pid}/status").read_text().splitlines()
            resident = next(int(line.split()[1]) for line in pages if line.startswith("VmRSS"))
            operator.stop()
        figures.row("daemon, resident", [resident / 1024], "MiB", "120")


SPEED = 90.0
EDGES = 10
"""An hour is 40 s: ten days of 20 minutes each, and ten nights of 40."""
HOURLY = """
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {name: hourly, namespace: shop}
spec:
  timeZone: UTC
  base: {replicas: {web: 2, worker: {fill: true, min: 2, max: 9}}}
  windows:
    - {name: day, schedule: "0 * * * *", duration: 20m, replicas: {web: 8, worker: 2}}
"""


def edges(figures: Figures) -> None:
    """Ten mornings and ten evenings on real hosts: when what grows is healthy, beside when it would be if it
    began with the edge."""
    clock = ShiftedClock(start=datetime(2026, 6, 1, 0, 25, tzinfo=UTC), speed=SPEED, origin=time.monotonic())
    with _lab() as lab, daemon_on(lab, clock) as (repository, passes, _):
        repository.write(web=web_manifest(1), worker=worker_manifest(1), policy=HOURLY)
        repository.push("days of twenty minutes")
        met: dict[tuple[datetime, str], float] = {}
        free: dict[datetime, float] = {}
        while len([1 for _, name in met if name == "web"]) < EDGES or len(free) < EDGES:
            passes.until(_news(passes.latest), 120)
            _note_edges(passes.latest, met, free)
        starts = passes.latest.decision.ledger.start_times
        longest = {workload.name: max(times) for workload, times in starts.items()}
    mornings = [offset for (_, name), offset in met.items() if name == "web"][:EDGES]
    late = sum(offset > 0 for offset in mornings)
    figures.row("morning edge → all 8 web healthy (negative: before it)", mornings, "s", "0")
    figures.row("  mornings of ten that were late", [float(late)], "", "0")
    figures.row("  what one start takes, had it begun with the edge", [longest["web"]], "s")
    evenings = [met[at, "worker"] - seconds for at, seconds in free.items() if (at, "worker") in met]
    figures.row("evening: room free → the pool at its new size", evenings, "s", f"{longest['worker']:.1f}")


def _news(before: Pass | None) -> Callable[[Pass], bool]:
    return lambda last: last is not before


def _note_edges(
    last: Pass | None, met: dict[tuple[datetime, str], float], free: dict[datetime, float]
) -> None:
    """When growth was complete, and when what shrinks was gone: in real seconds after the edge."""
    if last is None or last.decision is None:
        return
    now, records = last.now, last.decision.ledger.edges
    for one in records:
        if one.over and one.offset is not None:
            met.setdefault((one.at, one.workload.name), one.offset / now.speed)
    web = [
        one for host in last.status.hosts for one in host.view.all_containers if one.workload.name == "web"
    ]
    come = [one.at for one in records if one.workload.name == "worker" and one.at <= now.wall]
    if come and len(web) == 2:
        free.setdefault(max(come), (now.wall - max(come)).total_seconds() / now.speed)


class Passes:
    """Sees every pass of a daemon."""

    def __init__(self) -> None:
        self.lengths: list[float] = []
        self.latest: Pass | None = None
        self._news = threading.Condition()
        self.at = 0.0

    def follow(self, last: Pass) -> None:
        with self._news:
            self.lengths.append(time.monotonic() - last.now.mono)
            self.latest, self.at = last, time.perf_counter()
            self._news.notify_all()

    def until(self, condition: Callable[[Pass], bool], seconds: float) -> float:
        """When the first pass ended of which `condition` holds."""
        with self._news:
            if not self._news.wait_for(lambda: self.latest is not None and condition(self.latest), seconds):
                raise TimeoutError(f"not within {seconds:g} s: {self.latest}")
            return self.at


class _Starts:
    """The start events of all hosts, as their Engines tell them."""

    def __init__(self, lab: Lab) -> None:
        self._clients = [docker.APIClient(base_url=host.endpoint, timeout=60) for host in lab.hosts.values()]
        self._streams = [client.events(decode=True, filters={"event": ["start"]}) for client in self._clients]
        self._times: list[float] = []
        self._news = threading.Condition()

    def __enter__(self) -> _Starts:
        for stream in self._streams:
            threading.Thread(target=self._follow, args=(stream,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.close()

    def clear(self) -> None:
        with self._news:
            self._times.clear()

    def first(self) -> float:
        with self._news:
            self._news.wait_for(lambda: self._times, 30)
            return self._times[0]

    def _follow(self, stream: Any) -> None:
        for _ in stream:
            with self._news:
                self._times.append(time.perf_counter())
                self._news.notify_all()


@contextmanager
def _lab() -> Iterator[Lab]:
    with Lab.up(3, name="bench", log=lambda _: None) as lab:
        yield lab


@contextmanager
def daemon_on(lab: Lab, clock: Clock | None = None) -> Iterator[tuple[Repository, Passes, Daemon]]:
    with tempfile.TemporaryDirectory() as scratch:
        repository = Repository(Path(scratch), lab.hosts)
        repository.write(**fleet_manifests(lab.hosts))
        repository.push("hosts")
        passes = Passes()
        git = GitSettings(repo=str(repository.bare), interval=1.0, status_interval=1.0)
        settings = DaemonSettings(git=git, data=Path(scratch) / "data")
        with Daemon(settings, clock or SystemClock(), on_pass=passes.follow) as daemon:
            loop = threading.Thread(target=daemon.controller.run)
            loop.start()
            try:
                passes.until(lambda last: last.status.ready, 30)
                yield repository, passes, daemon
            finally:
                daemon.controller.stop()
                loop.join()


def _webhook(figures: Figures, daemon: Daemon, passes: Passes) -> None:
    server = WebServer(
        application(Hooks(wake=daemon.poll_now, age=daemon.seconds_since_pass), SECRET), "127.0.0.1", 0
    )
    server.start()
    times = []
    signature = "sha256=" + hmac.new(SECRET.encode(), b"{}", hashlib.sha256).hexdigest()
    for _ in range(RUNS * 4):
        polls = passes.latest.git.polls if passes.latest is not None else 0
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
            began = time.monotonic()
            connection.request("POST", "/webhook/github", b"{}", {"X-Hub-Signature-256": signature})
            assert connection.getresponse().status == 202
        passes.until(lambda last, polls=polls: last.git.polls > polls, 10)
        assert passes.latest is not None
        times.append(1000 * (passes.latest.now.mono - began))
    server.stop()
    figures.row("webhook sent → the pass after its poll begins", times, "ms", "200")


def _workers(count: int) -> str:
    """Workers so small that sixty of them fit anywhere."""
    return worker_manifest(count).replace("{cpu: 1, memory: 512Mi}", "{cpu: 10m, memory: 16Mi}")


def _running(last: Pass) -> int:
    return sum(one.running for one in last.status.workloads)


def _settle(repository: Repository) -> None:
    """Until the status branch rests."""
    seen = -1
    while seen != (seen := repository.commits()):
        threading.Event().wait(3)


def _floor_one(lab: Lab, run: int) -> float:
    host = list(lab.hosts.values())[run % len(lab.hosts)]
    client = docker.APIClient(base_url=host.endpoint, timeout=60)
    began = time.perf_counter()
    made = client.create_container_from_config({"Image": WORKER, "Cmd": ["work"]}, None)
    client.start(made["Id"])
    seconds = time.perf_counter() - began
    client.remove_container(made["Id"], force=True)
    client.close()
    return seconds


def _bare_loop(lab: Lab) -> float:
    """Seconds for 60 containers with nothing but the client library; the body is Rota's but for labels."""
    local = threading.local()

    def one(endpoint: str) -> None:
        if not hasattr(local, "client"):
            local.client = docker.APIClient(base_url=endpoint, timeout=60)
        body = {"Image": WORKER, "Cmd": ["work"], "HostConfig": {"RestartPolicy": {"Name": "always"}}}
        local.client.start(local.client.create_container_from_config(body, None)["Id"])

    pools = {host.endpoint: ThreadPoolExecutor(IN_FLIGHT) for host in lab.hosts.values()}
    began = time.perf_counter()
    waits = [
        pool.submit(one, endpoint)
        for endpoint, pool in pools.items()
        for _ in range(CONTAINERS // len(pools))
    ]
    for wait in waits:
        wait.result()
    seconds = time.perf_counter() - began
    for pool in pools.values():
        pool.shutdown()
    return seconds
