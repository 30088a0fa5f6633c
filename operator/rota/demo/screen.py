"""The picture: hosts as bars, the window in force, the next edge, status commits, and the story in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rota.core.observed import ContainerState, ObservedContainer
from rota.core.status import FleetStatus, HostStatus
from rota.reconcile import Pass

BATCH = ("worker",)
WEB = ("web", "varnish")
_COLOURS = {"web": "bright_blue", "batch": "bright_magenta", "data": "yellow"}
_BLOCK, _STARTING, _STOPPING, _FREE = "█", "▒", "░", "·"
BAR_WIDTH = 60


def tier(workload: str) -> str:
    """Web, batch or data, by the workload's name in the example."""
    name = workload.rpartition("/")[2]
    return "batch" if name in BATCH else "web" if name in WEB else "data"


def picture(last: Pass | None, commits: Sequence[str], story: Sequence[str], ends: str) -> RenderableType:
    """The whole screen."""
    if last is None or last.fleet is None:
        return Panel(Text("The daemon reads the repository and looks at the hosts for the first time …"))
    return Group(
        _header(last, ends),
        _bars(last.status),
        _counts(last.status),
        Panel(_lines(commits), title="commits on rota/status", title_align="left", border_style="dim"),
        Panel(_lines(story), title="what happened", title_align="left", border_style="dim"),
    )


def _header(last: Pass, ends: str) -> RenderableType:
    decision = last.decision
    assert decision is not None
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    current = decision.windows[0]
    zone = current.policy.zone
    clock = last.now.wall.astimezone(zone)
    now = Text(f"{clock:%a %H:%M}", style="bold")
    now.append(f"   window {current.window}", style="bold green")
    if current.until is not None:
        now.append(f"   next edge {current.until.astimezone(zone):%H:%M} → {current.then}", style="green")
    grid.add_row(now, Text(ends, style="dim"))
    return Panel(grid, title=f"Rota · fleet {last.status.fleet}", title_align="left")


def _bars(status: FleetStatus) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for host in status.hosts:
        grid.add_row(Text(host.view.name, style="bold"), _bar(host), Text(_load(host), style="dim"))
    return Panel(grid, title="hosts, by cpu requested", title_align="left")


def _bar(host: HostStatus) -> Text:
    """Each instance as wide as its share of the host's cpu: solid runs, shaded starts, dotted stops."""
    bar = Text()
    capacity = host.capacity.cpu if host.capacity is not None else 0
    if not capacity:
        return Text(f"{host.state}: {host.detail}", style="red")
    edge = drawn = 0.0
    for one in sorted(host.view.all_containers, key=lambda one: (_rank(one), str(one.workload), one.slot)):
        edge += one.requests.cpu / capacity * BAR_WIDTH
        width = max(round(edge) - round(drawn), 1)
        drawn += width
        stopping = one.id in host.view.stopping
        glyph = _STOPPING if stopping else _BLOCK if one.ready else _STARTING
        bar.append(glyph * (width - 1) + "▏" if width > 1 else glyph, style=_COLOURS[tier(str(one.workload))])
    bar.append(_FREE * max(BAR_WIDTH - round(drawn), 0), style="dim")
    return bar


def _rank(one: ObservedContainer) -> tuple[int, bool]:
    order = {"data": 0, "web": 1, "batch": 2}
    return order[tier(str(one.workload))], one.state is ContainerState.PENDING


def _load(host: HostStatus) -> str:
    capacity = host.capacity.cpu if host.capacity is not None else 0
    share = 100 * host.requested.cpu // capacity if capacity else 0
    return f"{share:3d}% cpu, {len(host.view.all_containers):2d} instances"


def _counts(status: FleetStatus) -> RenderableType:
    desired: Counter[str] = Counter()
    ready: Counter[str] = Counter()
    for one in status.workloads:
        desired[tier(one.name)] += one.desired
        ready[tier(one.name)] += one.ready
    text = Text(" ")
    for name, label in (("web", "web tier"), ("batch", "batch pool"), ("data", "caches and databases")):
        text.append(f"{_BLOCK} {label} {ready[name]}/{desired[name]}   ", style=_COLOURS[name])
    text.append(f"{_STARTING} starting  {_STOPPING} stopping  {_FREE} free", style="dim")
    return text


def _lines(lines: Sequence[str]) -> Text:
    return Text("\n".join(lines) or "nothing yet")
