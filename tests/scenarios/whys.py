"""Repositories in which something has no place, one reason each: the example, ready, and a commit on top."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.scenarios.repository import Repository, example
from tests.scenarios.stages import FIVE_PAST, TEN_PAST, observed, ready_files

API = """\
apiVersion: rota/v1
kind: Service
metadata: {{name: api, namespace: shop}}
spec:
  replicas: {replicas}
  priority: {priority}
  container:
    image: 'api:1'
    ports: [{port}]
  resources: {{requests: {requests}}}
  placement: {placement}
"""
PORT = "{name: http, target: 80}"


def api(
    folder: Path,
    replicas: int = 1,
    requests: str = "{cpu: 100m, memory: 128Mi}",
    placement: str = "{}",
    port: str = PORT,
    priority: int = 100,
) -> Repository:
    """The example, on which all is ready, and one more Service."""
    repository = observed(folder)
    text = API.format(replicas=replicas, requests=requests, placement=placement, port=port, priority=priority)
    repository.write({"shop/api.yaml": text})
    repository.commit("An API", TEN_PAST)
    return repository


def unmoved(repository: Repository) -> Repository:
    """Nothing moves to make room."""
    repository.edit("fleet.yaml", "spec:", "spec:\n  disruption: {maxMovesPerHour: 0}")
    repository.commit("No moves", TEN_PAST)
    return repository


def on_hosts(repository: Repository, edits: Mapping[str, str]) -> Repository:
    """`edits` are lines of the spec, by host."""
    for host, line in edits.items():
        repository.edit(f"hosts/{host}.yaml", "spec:", f"spec:\n  {line}")
    repository.commit("Hosts", TEN_PAST)
    return repository


def too_large(folder: Path) -> Repository:
    return api(folder, requests="{cpu: 5, memory: 6Gi}")


def memory(folder: Path) -> Repository:
    """Every host is short of memory, one of cpu as well, and nobody of lower priority is in the way."""
    return unmoved(api(folder, replicas=2, requests="{cpu: 400m, memory: 4Gi}", priority=10))


def selector(folder: Path) -> Repository:
    return api(folder, placement="{hostSelector: {matchLabels: {disk: nvme}}}")


def cordoned(folder: Path) -> Repository:
    repository = api(folder, requests="{cpu: 400m, memory: 128Mi}")
    return on_hosts(repository, dict.fromkeys(("h1", "h2", "h3"), "unschedulable: true"))


def max_per_host(folder: Path) -> Repository:
    return api(folder, replicas=5, placement="{maxPerHost: 1}")


def taint(folder: Path) -> Repository:
    repository = api(folder)
    taints = {
        "h1": "[{key: gpu, effect: NoSchedule}]",
        "h2": "[{key: batch, value: only, effect: NoSchedule}]",
    }
    hosts = {name: f"taints: {text}" for name, text in taints.items()}
    return on_hosts(repository, {**hosts, "h3": "unschedulable: true"})


def port(folder: Path) -> Repository:
    return api(folder, replicas=2, port="{name: http, target: 80, published: 8000}")


def apart(folder: Path) -> Repository:
    return api(folder, placement="{antiAffinity: [{service: web, required: true}]}")


def near(folder: Path) -> Repository:
    """Its neighbour is on one host, which has no room."""
    return api(
        folder,
        requests="{cpu: 3, memory: 128Mi}",
        placement="{affinity: [{service: redis, required: true}]}",
    )


def spread(folder: Path) -> Repository:
    """One zone has no room, so that the others must wait for it."""
    rules = "{spread: [{key: zone, whenUnsatisfiable: DoNotSchedule}]}"
    requests = "{cpu: 600m, memory: 128Mi}"
    return unmoved(api(folder, replicas=3, requests=requests, placement=rules, priority=10))


def quota(folder: Path) -> Repository:
    repository = api(folder, replicas=3)
    hard = "{instances: 24, cpu: 9}"
    repository.write(
        {
            "shop/quota.yaml": "apiVersion: rota/v1\nkind: Quota\nmetadata: {name: all, namespace: shop}\n"
            f"spec: {{hard: {hard}}}\n"
        }
    )
    repository.commit("A quota", TEN_PAST)
    return repository


def gpu(folder: Path) -> Repository:
    repository = api(folder, replicas=2, requests="{cpu: 100m, memory: 128Mi, gpu: 1}")
    return on_hosts(repository, {"h1": "resources: {gpu: 1}"})


def pinned(folder: Path) -> Repository:
    """A slot whose volume is on a host that runs another one of it, and may run one only."""
    return _with_volume_on(folder, "h1")


def pinned_to_nowhere(folder: Path) -> Repository:
    """A slot whose volume is on a host that is no more."""
    return _with_volume_on(folder, "h9")


def _with_volume_on(folder: Path, host: str) -> Repository:
    repository = example(folder)
    files = ready_files(folder)
    ledger = json.loads(files["state/ledger.json"])
    ledger["pins"].append({"workload": "shop/mysql-replica", "slot": 2, "host": host})
    repository.publish({**files, "state/ledger.json": json.dumps(ledger).encode()}, FIVE_PAST)
    repository.edit("shop/mysql-replica.yaml", "replicas: 2", "replicas: 3")
    repository.commit("A third replica", TEN_PAST)
    return repository


def moves(folder: Path) -> Repository:
    """Somebody moves for it."""
    rules = "{hostSelector: {matchLabels: {zone: b}}}"
    return api(folder, requests="{cpu: 650m, memory: 128Mi}", placement=rules)


def preemption(folder: Path) -> Repository:
    """Nobody may move, and somebody of lower priority is stopped for it."""
    return unmoved(moves(folder))


def held_back(folder: Path) -> Repository:
    """As `preemption`, but for a budget."""
    repository = preemption(folder)
    repository.edit("analytics/worker.yaml", "maxUnavailable: 25%", "maxUnavailable: 0")
    repository.edit("analytics/worker.yaml", "order: stop-first ", "order: start-first")
    repository.commit("A budget", TEN_PAST)
    return repository
