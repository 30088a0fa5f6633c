"""`python -m benchmarks [NAME …]`: runs the named benchmarks, all of them without a name.

A name without its last part stands for all that begin with it: `placement`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import forecast, hosts, outages, repository, rollouts, rollouts_lab
from benchmarks.figures import Figures
from benchmarks.placement import entries
from benchmarks.watching.entries import hung_host, lost_host, many_hosts
from rota.cli.main import collect_rarely

BENCHMARKS: dict[str, Callable[[Figures], None]] = {
    "manifests": repository.manifests,
    "poll": repository.poll,
    "commands": repository.commands,
    "commit": hosts.commit_to_container,
    "rate": hosts.sixty_containers,
    "idle": hosts.idle,
    "edges": hosts.edges,
    "outage": outages.outage,
    "outage-engine": outages.engine_restart,
    "rollouts": rollouts.rollouts,
    "rollouts-lab": rollouts_lab.rollouts_on_the_lab,
    "forecast": forecast.forecasts,
    "watching-many": many_hosts,
    "watching-hung": hung_host,
    "watching-lost": lost_host,
    **entries.ENTRIES,
}


def main(names: list[str]) -> int:
    chosen = {
        name: [one for one in BENCHMARKS if one == name or one.startswith(f"{name}-")] for name in names
    }
    unknown = [name for name, benchmarks in chosen.items() if not benchmarks]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    collect_rarely()
    figures = Figures()
    for name in dict.fromkeys(one for benchmarks in chosen.values() for one in benchmarks) or BENCHMARKS:
        BENCHMARKS[name](figures)
    return 0


sys.exit(main(sys.argv[1:]))
