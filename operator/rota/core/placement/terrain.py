"""What hosts are, whatever runs on them: their labels, taints and names, as arrays.

None of it changes from one decision to the next while the commit is the same, and on a fleet of thousands
it is what takes longest to work out. So what was worked out for the same hosts is used again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rota.core.model import Host
from rota.core.rules import Requirement, Toleration

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Domains(NamedTuple):
    """The values of one host label: a code per host (-1: it lacks the label), and the rows of each.

    `places` is `codes` with the hosts that lack the label as a domain of their own, the last.
    """

    codes: Ints
    values: tuple[str, ...]
    members: tuple[Ints, ...]
    places: Ints


@dataclass(slots=True)
class Terrain:
    """The hosts of a board, by row, and what was worked out of them so far."""

    hosts: tuple[Host, ...]
    names: npt.NDArray[np.uint64]
    rows: dict[str, int]
    _domains: dict[str, Domains] = field(default_factory=dict)
    _selected: dict[tuple[Requirement, ...], Mask] = field(default_factory=dict)
    _tolerated: dict[tuple[Toleration, ...], Mask] = field(default_factory=dict)

    def domains(self, key: str) -> Domains:
        """The values of the label `key` over all hosts."""
        if key not in self._domains:
            self._domains[key] = _domains(self.hosts, key)
        return self._domains[key]

    def selected(self, selector: tuple[Requirement, ...]) -> Mask:
        """Which hosts have the labels that `selector` asks for."""
        if selector not in self._selected:
            met = [all(one.met_by(host.labels) for one in selector) for host in self.hosts]
            self._selected[selector] = np.array(met, np.bool_)
        return self._selected[selector]

    def tolerated(self, tolerations: tuple[Toleration, ...]) -> Mask:
        """Which hosts have no taint that is not tolerated."""
        if tolerations not in self._tolerated:
            borne = [
                all(any(one.accepts(taint) for one in tolerations) for taint in host.taints)
                for host in self.hosts
            ]
            self._tolerated[tolerations] = np.array(borne, np.bool_)
        return self._tolerated[tolerations]


_KEPT: deque[Terrain] = deque(maxlen=4)
"""The last few: the fleet of the daemon, and what a plan compares it with."""


def terrain_of(hosts: tuple[Host, ...]) -> Terrain:
    """The terrain of `hosts`, in their order. The very same hosts have the same one."""
    for known in list(_KEPT):
        if len(known.hosts) == len(hosts) and all(
            one is other for one, other in zip(known.hosts, hosts, strict=True)
        ):
            return known
    names = np.array([stable_hash(host.name) for host in hosts], np.uint64)
    made = Terrain(hosts, names, {host.name: row for row, host in enumerate(hosts)})
    _KEPT.append(made)
    return made


def _domains(hosts: Sequence[Host], key: str) -> Domains:
    values = tuple(sorted({host.labels[key] for host in hosts if key in host.labels}))
    number = {value: code for code, value in enumerate(values)}
    codes = np.array(
        [number.get(host.labels.get(key, ""), -1) if key in host.labels else -1 for host in hosts], np.int64
    )
    members = tuple(np.flatnonzero(codes == code) for code in range(len(values)))
    return Domains(codes, values, members, np.where(codes < 0, len(values), codes))


def stable_hash(text: str) -> int:
    """A number of 64 bits that depends on `text` only, unlike the built-in hash."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
