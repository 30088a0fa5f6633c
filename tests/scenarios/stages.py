"""The repositories that scenarios play in: one function each, the folder in, everything committed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scenarios.observed import fleet_of, published, ready_fleet, world_of
from tests.scenarios.repository import MONDAY_NOON, Repository, example
from tests.simulation.world import World

FIVE_PAST = "2026-06-01T12:05:00+02:00"
TEN_PAST = "2026-06-01T12:10:00+02:00"

FLEET = "apiVersion: rota/v1\nkind: Fleet\nmetadata: {name: small, uid: 0badcafe}\nspec: {}\n"
HOST = (
    "apiVersion: rota/v1\nkind: Host\nmetadata: {name: h1}\n"
    "spec: {endpoint: 'tcp://10.0.0.1:2375', capacity: {cpu: 2, memory: 4Gi}}\n"
)
SERVICE = (
    "apiVersion: rota/v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n  replicas: 2\n"
    "  container: {image: 'web:1', environment: {TOKEN: not-to-be-shown}}\n"
    "  resources: {requests: {cpu: 500m, memory: 1Gi}}\n"
)


_READY: dict[str, dict[str, bytes]] = {}


def ready_files(folder: Path) -> dict[str, bytes]:
    """The status branch on which all that the newest commit asks for is ready; made once per commit."""
    fleet = fleet_of(folder)
    if fleet.revision not in _READY:
        _READY[fleet.revision] = published(ready_fleet(fleet, MONDAY_NOON))
    return _READY[fleet.revision]


def shop(folder: Path) -> Repository:
    """The example, never observed."""
    return example(folder)


def observed(folder: Path) -> Repository:
    """The example with a status branch on which all is ready."""
    repository = example(folder)
    repository.publish(ready_files(folder), FIVE_PAST)
    return repository


def changed(folder: Path) -> Repository:
    """A commit on top of what is applied: another image, a count, one Service more, one less, a new Host."""
    repository = observed(folder)
    repository.edit("shop/web.yaml", "web:1.5.0", "web:1.6.0")
    repository.edit("shop/web.yaml", "LOG_LEVEL: info", "LOG_LEVEL: debug\n      API_KEY: s3cret")
    repository.edit("policies/day-night.yaml", "web: 12", "web: 13")
    repository.edit("shop/memcached.yaml", "replicas: 2", "replicas: 3")
    (folder / "shop/redis.yaml").unlink()
    api = (folder / "shop/memcached.yaml").read_text().replace("memcached", "api")
    host = (folder / "hosts/h3.yaml").read_text().replace("h3", "h4")
    repository.write({"shop/api.yaml": api, "hosts/h4.yaml": host})
    repository.commit("A change of everything", TEN_PAST)
    return repository


def too_much(folder: Path) -> Repository:
    """A commit that asks for more than there is, and for a label that one host lacks."""
    repository = observed(folder)
    repository.edit("policies/day-night.yaml", "web: 12", "web: 30")
    repository.edit("shop/mysql-replica.yaml", "replicas: 2", "replicas: 4")
    repository.edit("hosts/h3.yaml", "spec:", "spec:\n  unschedulable: true")
    repository.commit("Too much", TEN_PAST)
    return repository


def moved(folder: Path) -> Repository:
    """A commit after which what runs must leave a host, and one that hosts have no room to replace."""
    repository = observed(folder)
    repository.edit(
        "shop/web.yaml", "  update:", "  placement: {hostSelector: {matchLabels: {disk: ssd}}}\n  update:"
    )
    repository.edit(
        "analytics/worker.yaml", "placement:", "placement:\n    hostSelector: {matchLabels: {disk: hdd}}"
    )
    repository.edit("analytics/worker.yaml", "350m", "360m")
    repository.edit("shop/memcached.yaml", "cpu: 100m, memory: 256Mi", "cpu: 3, memory: 256Mi")
    repository.commit("Move", TEN_PAST)
    return repository


def emptied(folder: Path) -> Repository:
    """A commit that removes more than the guard lets pass."""
    repository = observed(folder)
    for name in ("shop/web.yaml", "shop/varnish.yaml", "policies/day-night.yaml"):
        (folder / name).unlink()
    repository.commit("Remove the shop", TEN_PAST)
    return repository


def filled(folder: Path) -> Repository:
    """What is left over goes to a pool that fills, and the fleet is to survive the loss of a host."""
    repository = observed(folder)
    repository.edit("fleet.yaml", "spec:", "spec:\n  survive: {hosts: 1}")
    repository.edit(
        "policies/day-night.yaml",
        "worker: {fill: true, min: 2, max: 14}",
        "worker: {fill: true, min: 2, max: 40}",
    )
    repository.commit("Fill the night", TEN_PAST)
    return repository


def suspended(folder: Path) -> Repository:
    """An Override that stops everything, and one that has ended."""
    repository = changed(folder)
    override = "apiVersion: rota/v1\nkind: Override\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n"
    repository.write(
        {
            "overrides/freeze.yaml": override.format(name="freeze")
            + "  target: {kind: Fleet, name: shop}\n  suspend: true\n"
            "  until: '2026-06-02T00:00:00+02:00'\n  reason: the stocktaking\n",
            "overrides/past.yaml": override.format(name="past")
            + "  target: {kind: Service, name: web}\n  replicas: 3\n"
            "  until: '2026-05-01T00:00:00+02:00'\n  reason: a test of last month\n",
        }
    )
    repository.commit("Freeze", TEN_PAST)
    return repository


def forced(folder: Path) -> Repository:
    """An Override that holds the night, and a second policy in another zone."""
    repository = example(folder)
    repository.write(
        {
            "overrides/night.yaml": "apiVersion: rota/v1\nkind: Override\n"
            "metadata: {name: stocktaking, namespace: shop}\nspec:\n"
            "  target: {kind: CapacityPolicy, name: day-night}\n  window: base\n"
            "  from: '2026-06-01T10:00:00+02:00'\n  until: '2026-06-01T16:30:00+02:00'\n"
            "  reason: the shop is closed for stocktaking\n",
            "policies/office.yaml": "apiVersion: rota/v1\nkind: CapacityPolicy\n"
            "metadata: {name: office, namespace: shop}\nspec:\n  timeZone: America/New_York\n"
            "  windows:\n    - {name: office, days: [mon, tue], start: '09:00', end: '17:00',\n"
            "       replicas: {memcached: 1}}\n",
        }
    )
    repository.commit("Stocktaking", TEN_PAST)
    return repository


def broken(folder: Path) -> Repository:
    """Nearly every kind of mistake."""
    repository = example(folder)
    repository.edit("shop/web.yaml", "stop_grace_period", "stop_grace_periode")
    repository.edit("shop/redis.yaml", "cpu: 250m", "cpu: lots")
    repository.edit("policies/day-night.yaml", "Europe/Berlin", "Europe/Berlint")
    repository.edit("hosts/h2.yaml", "name: h2", "name: h1")
    repository.write(
        {
            "notes.yaml": "just: some notes\n",
            "shop/twice.yaml": "apiVersion: rota/v1\nkind: Service\nkind: Service\n",
            "shop/torn.yaml": "apiVersion: rota/v1\n  kind: [Service\n",
            "shop/later.yaml": "apiVersion: rota/v1\nkind: CronJob\nmetadata: {name: later}\n",
        }
    )
    repository.commit("Mistakes", TEN_PAST)
    return repository


def dangling(folder: Path) -> Repository:
    """Sound documents that do not fit together."""
    repository = example(folder)
    repository.edit("policies/day-night.yaml", "worker: {fill: true, min: 2, max: 14}", "wroker: 14")
    repository.edit("hosts/h2.yaml", "name: h2", "name: h1")
    repository.commit("Mistakes", TEN_PAST)
    return repository


def empty(folder: Path) -> None:
    folder.mkdir()


def no_fleet(folder: Path) -> Repository:
    repository = Repository(folder)
    repository.write({"host.yaml": HOST, "web.yaml": SERVICE})
    repository.commit("No fleet")
    return repository


def small(folder: Path) -> Repository:
    """One host, one Service, no policy, never observed."""
    repository = Repository(folder)
    repository.write({"fleet.yaml": FLEET, "host.yaml": HOST, "web.yaml": SERVICE})
    repository.commit("Small")
    return repository


def unknown_capacity(folder: Path) -> Repository:
    """As `small`, with a host that declares no capacity and that nobody has looked at."""
    repository = small(folder)
    repository.edit("host.yaml", ", capacity: {cpu: 2, memory: 4Gi}", "")
    repository.commit("No capacity")
    return repository


def troubled(folder: Path) -> Repository:
    """The example after a host fell silent and another was cordoned."""
    repository = example(folder)
    repository.edit("hosts/h3.yaml", "spec:", "spec:\n  unschedulable: true")
    repository.edit("shop/mysql-replica.yaml", "maxPerHost: 1", "maxPerHost: 2")
    repository.commit("Cordon h3", MONDAY_NOON)

    def silence(world: World) -> None:
        world.engines["h2"].hang()

    world = world_of(fleet_of(folder), MONDAY_NOON)
    world.run(30, 0.25)
    repository.publish(published(world, silence), FIVE_PAST)
    return repository


def damaged_status(folder: Path) -> Repository:
    return _damaged(folder, "status.json", b"{not json")


def damaged_host(folder: Path) -> Repository:
    return _damaged(folder, "hosts/h2.json", b'{"name": "h2"}')


def damaged_ledger(folder: Path) -> Repository:
    return _damaged(folder, "state/ledger.json", b"[]")


def newer_ledger(folder: Path) -> Repository:
    return _damaged(folder, "state/ledger.json", b'{"version": 2}')


def _damaged(folder: Path, path: str, content: bytes) -> Repository:
    repository = example(folder)
    files = ready_files(folder)
    repository.publish({**files, path: content}, FIVE_PAST)
    return repository


def somebody_elses(folder: Path) -> Repository:
    """A branch of that name on which something else stands."""
    repository = example(folder)
    repository.publish({"README.md": b"our status page\n"}, FIVE_PAST)
    return repository


def hostile(folder: Path) -> Repository:
    """What a host says, and what a manifest is named, must stay in its line."""
    repository = example(folder)
    bad = "gone\nReady: True (all is well)\x1b[2J\u202e | `x` <img>"
    files = ready_files(folder)
    status = files["status.json"].decode().replace('"detail": ""', f'"detail": {json.dumps(bad)}', 1)
    repository.publish({**files, "status.json": status.encode()}, FIVE_PAST)
    repository.edit(
        "shop/web.yaml", "  labels: {team: shop}", '  labels: {team: shop}\n  x-note: "a\\nb\\e[2J"'
    )
    repository.edit(
        "shop/web.yaml", 'command: ["serve"]', 'command: ["serve", "a\\nPlan: nothing", "\\u202e"]'
    )
    repository.commit("Hostile", TEN_PAST)
    return repository
