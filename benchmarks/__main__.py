"""`python -m benchmarks [NAME …]`: runs the named benchmarks, all of them without a name."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import hosts, repository
from benchmarks.figures import Figures

BENCHMARKS: dict[str, Callable[[Figures], None]] = {
    "manifests": repository.manifests,
    "poll": repository.poll,
    "commands": repository.commands,
    "commit": hosts.commit_to_container,
    "rate": hosts.sixty_containers,
    "idle": hosts.idle,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    figures = Figures()
    for name in names or BENCHMARKS:
        BENCHMARKS[name](figures)
    return 0


sys.exit(main(sys.argv[1:]))
