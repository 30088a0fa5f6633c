"""A repository, a real `rota operator` and the truth from the Engines: what the scenarios are played on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.hosts import Lab
from tests.lab.layout import LabHost
from tests.lab.waiting import wait_for

WEB = "registry.example/shop/web:1.5.0"
WEB_1_6 = "registry.example/shop/web:1.6.0"
WORKER = "registry.example/analytics/worker:2.3.0"
STOP_SECONDS = 20.0


class Repository:
    """A working copy and the bare repository that the operator follows."""

    def __init__(self, folder: Path, hosts: Mapping[str, LabHost]) -> None:
        self.work, self.bare = folder / "work", folder / "fleet.git"
        self.hosts = hosts
        self._run("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), at=folder)
        self._run("clone", "--quiet", str(self.bare), str(self.work), at=folder)
        self._run("checkout", "--quiet", "-B", "main")

    def write(self, **files: str) -> None:
        """Manifests by file name without its ending; an empty text removes the file."""
        for name, text in files.items():
            path = self.work / f"{name}.yaml"
            if text:
                path.write_text(text)
            else:
                path.unlink()

    def push(self, message: str, *, force: bool = False) -> str:
        """Commit everything and push it; the commit's id."""
        self._run("add", "--all")
        self._run("commit", "--quiet", "--allow-empty", "--message", message)
        self._run("push", "--quiet", *["--force"][:force], "origin", "main")
        return self._run("rev-parse", "HEAD")

    def status(self) -> dict[str, Any]:
        """`status.json` of the status branch; empty before the first."""
        return self.document("status.json")

    def document(self, path: str) -> dict[str, Any]:
        """A JSON file of the status branch; empty where there is none."""
        document: dict[str, Any] = json.loads(self.published(path) or b"{}")
        return document

    def events(self) -> list[dict[str, Any]]:
        """What happened, oldest first, by the status branch."""
        return [json.loads(line) for line in self.published("events.jsonl").splitlines()]

    def published(self, path: str) -> bytes:
        """A file of the status branch, empty where there is none."""
        found = subprocess.run(
            ["git", "show", f"rota/status:{path}"], cwd=self.bare, capture_output=True, check=False
        )
        return found.stdout if found.returncode == 0 else b""

    def everything(self) -> str:
        """All that was ever written to the status branch, as text."""
        found = subprocess.run(
            ["git", "log", "--patch", "rota/status"], cwd=self.bare, capture_output=True, check=True
        )
        return found.stdout.decode()

    def host_state(self, host: str) -> str:
        """What the status branch says of a host: reachable, suspect, lost …"""
        return str(next(one["state"] for one in self.status()["hosts"] if one["name"] == host))

    def told(self, word: str) -> bool:
        """Whether a condition of the fleet, by its type, reason or message, says `word`."""
        return any(word in str(one) for one in self.status().get("conditions", ()))

    def ready(self, commit: str = "") -> bool:
        """Whether the status branch says that `commit` (or any) is applied and everything is Ready."""
        status = self.status()
        conditions = {one["type"]: one["status"] for one in status.get("conditions", ())}
        return conditions.get("Ready") == "True" and status["source"]["applied"].startswith(commit)

    def commits(self) -> int:
        """How many commits the status branch has."""
        found = subprocess.run(
            ["git", "rev-list", "--count", "rota/status"], cwd=self.bare, capture_output=True, check=False
        )
        return int(found.stdout or b"0")

    def _run(self, *arguments: str, at: Path | None = None) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=at or self.work, capture_output=True, check=True, text=True
        )
        return done.stdout.strip()


class Operator:
    """A `rota operator` process."""

    def __init__(self, repository: Repository, folder: Path, *arguments: str, secret: str = "") -> None:
        self.log = folder / "operator.log"
        command = [
            *(sys.executable, "-m", "rota.cli", "operator", "--repo", str(repository.bare)),
            *("--data", str(folder / "data"), "--poll-interval", "1", "--status-interval", "1", *arguments),
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "operator")}
        if secret:
            environment["ROTA_GITHUB_SECRET"] = secret
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        rows = self.log.read_text().splitlines()
        return [json.loads(row) for row in rows if row.startswith("{")]

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def operating(repository: Repository, folder: Path, *arguments: str, secret: str = "") -> Iterator[Operator]:
    """An operator that is stopped at the end, whatever happens."""
    operator = Operator(repository, folder, *arguments, secret=secret)
    try:
        yield operator
    finally:
        if operator.process.poll() is None:
            operator.kill()


def instances(lab: Lab, workload: str, *on: str) -> list[tuple[str, dict[str, Any]]]:
    """The running containers of a workload on these hosts, or on all, by the Engines' own word."""
    return [
        (name, row)
        for name in on or lab.hosts
        for row in lab.containers(name, running_only=True)
        if row["Labels"].get("rota.workload") == workload
    ]


def ids(lab: Lab, workload: str, *on: str) -> set[str]:
    """The ids of the same."""
    return {row["Id"] for _, row in instances(lab, workload, *on)}


def healthy(lab: Lab, workload: str, *on: str) -> int:
    """How many of them are healthy, or run where there is no health check."""
    return sum(
        "(health: starting)" not in row["Status"] and "(unhealthy)" not in row["Status"]
        for _, row in instances(lab, workload, *on)
    )


def image_id(lab: Lab, image: str) -> str:
    """The id of an image, which is the same on every host."""
    return str(lab.api("h1", "GET", f"/images/{image}/json")[1]["Id"])


def slots(lab: Lab, workload: str) -> list[int]:
    return sorted(int(row["Labels"]["rota.slot"]) for _, row in instances(lab, workload))


class Sampler:
    """Looks at something all the time, from a thread of its own, and keeps the extremes."""

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self._ended = threading.Event()
        self.seen: list[int] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        wait_for(lambda: self.seen, 10, "the first sample")
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            self.seen.append(self._look())


def fleet_manifests(hosts: Mapping[str, LabHost], failure: str = "{}") -> dict[str, str]:
    """A fleet of the lab's hosts; `failure` says how soon a silent one is given up."""
    files = {
        "fleet": f"""
apiVersion: rota/v1
kind: Fleet
metadata: {{name: lab, uid: lab-1}}
spec: {{failure: {failure}}}
"""
    }
    for name, host in hosts.items():
        files[f"host-{name}"] = f"""
apiVersion: rota/v1
kind: Host
metadata: {{name: {name}, labels: {{zone: {host.zone}}}}}
spec:
  endpoint: {host.endpoint}
  capacity: {{cpu: 4, memory: 4Gi}}
"""
    return files


UPDATE = "{maxSurge: 50%, minHealthyTime: 1s, healthyDeadline: 30s}"


def web_manifest(replicas: int = 4, image: str = WEB, environment: str = "{}", update: str = UPDATE) -> str:
    """Web servers with a health check, replaced start-first."""
    return f"""
apiVersion: rota/v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec:
  replicas: {replicas}
  container:
    image: {image}
    command: ["serve"]
    environment: {environment}
    ports: [{{name: http, target: 8080}}]
    healthcheck: {{test: ["CMD", "/app", "health"], interval: 1s, timeout: 2s, retries: 3}}
    stop_grace_period: 5s
  resources: {{requests: {{cpu: 500m, memory: 256Mi}}}}
  update: {update}
"""


def worker_manifest(replicas: int = 2) -> str:
    """Batch workers, lower priority."""
    return f"""
apiVersion: rota/v1
kind: Service
metadata: {{name: worker, namespace: shop}}
spec:
  replicas: {replicas}
  priority: 50
  container: {{image: "{WORKER}", command: ["work"], stop_grace_period: 5s}}
  resources: {{requests: {{cpu: 1, memory: 512Mi}}}}
  update: {{order: stop-first, minHealthyTime: 1s}}
"""


def database_manifest(note: str) -> str:
    """A database on a pinned volume; `note` is a change that needs a new container."""
    return f"""
apiVersion: rota/v1
kind: Service
metadata: {{name: db, namespace: shop}}
spec:
  container:
    image: mysql:8.4
    environment: {{NOTE: {note}}}
    ports: [{{name: mysql, target: 3306}}]
    healthcheck: {{test: ["CMD", "mysqladmin", "ping"], interval: 1s}}
    volumes: [{{type: volume, source: data, target: /var/lib/mysql}}]
    stop_grace_period: 5s
  resources: {{requests: {{cpu: 500m, memory: 256Mi}}}}
  update: {{minHealthyTime: 1s}}
"""


POLICY = """
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {name: day-night, namespace: shop}
spec:
  timeZone: Europe/Berlin
  base: {replicas: {web: 2, worker: 9}}
  windows:
    - name: day
      days: [mon, tue, wed, thu, fri, sat, sun]
      start: "07:00"
      end: "20:00"
      replicas: {web: 8, worker: 2}
"""
