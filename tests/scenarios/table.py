"""Every scenario: its name is that of the golden file, then where it plays and what is typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.scenarios import stages, whys

NIGHT = "2026-06-01T21:00:00+02:00"
NOON = "2026-06-01T12:00:00+02:00"


class Scenario(NamedTuple):
    stage: Callable[[Path], object]
    commands: tuple[str, ...]


SCENARIOS: dict[str, Scenario] = {
    "validate": Scenario(
        stages.shop,
        (
            "rota validate",
            "rota validate --format json",
            "rota validate --rev HEAD",
            "rota validate shop",
            "rota validate shop --rev HEAD",
            "rota validate --rev nowhere",
            "rota validate no/such/folder",
            "rota validate fleet.yaml",
            "rota validate --now yesterday",
            "rota validate --now 9999-12-31T23:59:59+00:00",
        ),
    ),
    "validate-broken": Scenario(
        stages.broken, ("rota validate", "rota validate --format json", "rota plan", "rota windows")
    ),
    "validate-dangling": Scenario(stages.dangling, ("rota validate", "rota get hosts", "rota status")),
    "validate-dated": Scenario(
        stages.suspended, (f"rota validate --now {NOON}", f"rota validate --format json --now {NOON}")
    ),
    "validate-empty": Scenario(stages.empty, ("rota validate", "rota validate --format json", "rota plan")),
    "validate-no-fleet": Scenario(stages.no_fleet, ("rota validate",)),
    "validate-small": Scenario(stages.small, ("rota validate", "rota validate -C . --path nowhere")),
    "plan-unobserved": Scenario(
        stages.shop,
        (
            f"rota plan --now {NOON}",
            f"rota plan --now {NOON} --rev HEAD",
            f"rota plan --now {NOON} --exit-code",
            "rota plan --now noon",
            "rota plan --base nowhere",
            "rota plan --format xml",
        ),
    ),
    "plan-unknown-capacity": Scenario(stages.unknown_capacity, (f"rota plan --now {NOON}",)),
    "plan-nothing": Scenario(
        stages.observed, ("rota plan", "rota plan --exit-code", "rota plan --format json")
    ),
    "plan-change": Scenario(
        stages.changed,
        (
            "rota plan --rev HEAD --base HEAD~1",
            "rota plan",
            "rota plan --exit-code",
            f"rota plan --at {NIGHT}",
            "rota plan --rev HEAD --format json",
        ),
    ),
    "plan-unplaced": Scenario(
        stages.too_much, ("rota plan", "rota plan --exit-code", "rota plan --format json")
    ),
    "plan-moves": Scenario(stages.moved, ("rota plan", "rota plan --format json")),
    "plan-fill": Scenario(
        stages.filled,
        (
            "rota plan",
            f"rota plan --at {NIGHT}",
            f"rota plan --at {NIGHT} --format json",
            "rota why shop/worker",
            f"rota why shop/worker --now {NIGHT}",
        ),
    ),
    "forecast": Scenario(
        stages.observed,
        (
            "rota plan --day 2026-06-02",
            "rota plan --day 2026-06-02 --format json",
            "rota plan --day 2026-06-02 --format markdown",
            "rota plan --day 2026-06-02 --format svg",
            "rota plan --format markdown",
            "rota plan --format svg",
            "rota plan --day tomorrow",
            "rota plan --week 20260601",
            "rota plan --day 2026-06-02 --week 2026-06-02",
            f"rota plan --day 2026-06-02 --at {NIGHT}",
            "rota plan --day 2026-06-02 --exit-code",
            "rota plan --day 9999-12-31",
        ),
    ),
    "forecast-week": Scenario(
        stages.observed,
        (
            "rota plan --week 2026-06-01",
            "rota plan --week 2026-10-19",
            "rota plan --day 2027-03-28",
            "rota plan --week 2026-12-21",
        ),
    ),
    "forecast-unplaced": Scenario(
        stages.too_much, ("rota plan --day 2026-06-02", "rota plan --day 2026-06-02 --format markdown")
    ),
    "forecast-unobserved": Scenario(stages.small, ("rota plan --day 2026-06-02",)),
    "plan-guarded": Scenario(stages.emptied, ("rota plan",)),
    "plan-suspended": Scenario(stages.suspended, ("rota plan",)),
    "plan-hostile": Scenario(stages.hostile, ("rota plan", "rota get hosts", "rota status")),
    "why": Scenario(
        stages.observed,
        (
            "rota why shop/web",
            "rota why mysql-primary -n shop",
            "rota why shop/redis --format json",
            f"rota why shop/worker --now {NIGHT}",
            "rota why shop/wbe",
            "rota why wbe -n shop",
            "rota why web -n elsewhere",
            "rota why",
        ),
    ),
    "why-unobserved": Scenario(stages.small, (f"rota why shop/web --now {NOON}",)),
    "why-unknown-capacity": Scenario(stages.unknown_capacity, (f"rota why shop/web --now {NOON}",)),
    "why-troubled": Scenario(stages.troubled, ("rota why shop/worker",)),
    "why-too-large": Scenario(whys.too_large, ("rota why shop/api", "rota why shop/api --format json")),
    "why-memory": Scenario(whys.memory, ("rota why shop/api", "rota why shop/api --format json")),
    **{
        f"why-{name}": Scenario(stage, ("rota why shop/api",))
        for name, stage in (
            ("selector", whys.selector),
            ("cordoned", whys.cordoned),
            ("max-per-host", whys.max_per_host),
            ("taint", whys.taint),
            ("port", whys.port),
            ("apart", whys.apart),
            ("near", whys.near),
            ("spread", whys.spread),
            ("quota", whys.quota),
            ("gpu", whys.gpu),
            ("moves", whys.moves),
            ("preemption", whys.preemption),
            ("held-back", whys.held_back),
        )
    },
    "why-pinned": Scenario(whys.pinned, ("rota why shop/mysql-replica",)),
    "why-pinned-to-nowhere": Scenario(whys.pinned_to_nowhere, ("rota why shop/mysql-replica",)),
    "windows": Scenario(
        stages.shop,
        (
            f"rota windows --now {NOON}",
            f"rota windows --now {NOON} -o json",
            f"rota windows --now {NOON} --next 1h",
            "rota windows --now 2026-10-24T20:30:00+02:00 --next 2d",
            "rota windows --now 2026-03-28T20:30:00+01:00 --next 2d",
            "rota windows --now 2026-03-28T20:30:00+01:00 --next 2d -o json",
            f"rota windows --now {NOON} --next soon",
            f"rota windows --now {NOON} --next 99999999999d",
        ),
    ),
    "windows-forced": Scenario(
        stages.forced,
        (f"rota windows --now {NOON}", f"rota windows --now {NOON} -o json", f"rota plan --now {NOON}"),
    ),
    "windows-none": Scenario(stages.small, (f"rota windows --now {NOON}",)),
    "get": Scenario(
        stages.observed,
        (
            "rota get hosts",
            "rota get hosts -o json",
            "rota get host h2 -o yaml",
            "rota get hosts -o name",
            "rota get workloads",
            "rota get service web -o json",
            "rota get workloads shop/web -o yaml",
            "rota get services -o name",
            "rota get workloads -n shop --no-headers",
            "rota get workloads -n elsewhere",
            "rota get instances",
            "rota get instances web -n shop",
            "rota get instance shop.shop.redis.0.ded5f68d -o json",
            "rota get instances shop/worker -o name",
            "rota get pods",
            "rota get hosts h9",
            "rota get workload web -n elsewhere",
            "rota get",
        ),
    ),
    "get-unobserved": Scenario(
        stages.small, ("rota get hosts", "rota get workloads", "rota get instances", "rota status")
    ),
    "status-ready": Scenario(stages.observed, ("rota status", "rota status -o json")),
    "status-troubled": Scenario(stages.troubled, ("rota status", "rota get hosts", "rota get instances")),
    "status-damaged": Scenario(
        stages.damaged_status, ("rota status", "rota status -o json", "rota get hosts", "rota get instances")
    ),
    "status-damaged-host": Scenario(
        stages.damaged_host, ("rota plan", "rota get hosts", "rota get instances", "rota status")
    ),
    "status-damaged-ledger": Scenario(stages.damaged_ledger, ("rota plan", "rota get hosts -o name")),
    "status-newer": Scenario(stages.newer_ledger, ("rota plan",)),
    "status-of-another": Scenario(stages.somebody_elses, ("rota status", "rota plan", "rota get hosts")),
    "schema": Scenario(
        stages.empty,
        ("rota schema Service", "rota schema override", "rota schema CronJob", "rota schema ../x"),
    ),
    "usage": Scenario(
        stages.empty,
        (
            "rota",
            "rota --help",
            "rota --version",
            "rota deploy",
            "rota --colour",
            "rota plan --markdown",
            "rota validate --help",
            "rota plan --help",
            "rota why --help",
            "rota windows --help",
            "rota get --help",
            "rota status --help",
            "rota schema --help",
            "rota check --help",
            "rota operator --help",
            "rota demo --help",
            "rota demo --hosts h1=tcp://a:1",
        ),
    ),
    "url": Scenario(
        stages.changed,
        (
            "rota plan --repo file://REPOSITORY",
            "rota status --repo file://REPOSITORY",
            "rota validate --repo file://REPOSITORY --rev HEAD~1",
            "rota validate --repo file://REPOSITORY --rev rota/nowhere",
            "rota plan --repo file://REPOSITORY --base HEAD~1",
            "rota plan --repo file://REPOSITORY --base 1111111111111111111111111111111111111111",
            "rota validate --repo file:///no/such/place",
            "rota validate --repo ftp://example.org/x",
            "rota validate --repo https://ada:secret@example.org/x",
            "rota status -C /no/such/place",
        ),
    ),
}
