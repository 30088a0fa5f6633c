"""Admit filters: who may be placed anew. Each says how many more instances every host takes, and why.

A filter judges one demand against all hosts at once. `admits` gives a number per host (or a mask: any
number or none), None where it restricts nothing; `explain` says in words why a host takes none, and
`mend` what would change that, empty where nobody should change it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rota.core.placement.board import NO_LIMIT, Board
from rota.core.placement.demand import Demand
from rota.core.placement.domains import domain_counts, eligible, open_domains, skew_room, together
from rota.core.placement.terrain import Floats, Ints, Mask
from rota.core.rules import HOST_SCOPE


class Filter(NamedTuple):
    """One reason for which a host may refuse a demand."""

    name: str
    admits: Callable[[Demand, Board, bool], Ints | Mask | None]
    explain: Callable[[Demand, Board, int], str]
    mend: Callable[[Demand, Board, int], str]


def _nothing(_demand: Demand, _board: Board, _row: int) -> str:
    return ""


# --- the host itself


def _state(demand: Demand, board: Board, after: bool) -> Mask | None:
    return board.reachable


def _state_words(demand: Demand, board: Board, row: int) -> str:
    return board.closed[row]


def _schedulable(demand: Demand, board: Board, after: bool) -> Mask | None:
    return board.schedulable


def _schedulable_words(demand: Demand, board: Board, row: int) -> str:
    return board.cordons[row]


def _uncordon(demand: Demand, board: Board, row: int) -> str:
    return f"uncordon {board.hosts[row].name}"


def _capacity(demand: Demand, board: Board, after: bool) -> Mask:
    return board.known


def _capacity_words(demand: Demand, board: Board, row: int) -> str:
    return "capacity unknown: the Engine was not seen yet and the Host declares none"


def _taints(demand: Demand, board: Board, after: bool) -> Mask | None:
    return board.tolerated(demand.service.placement.tolerations)


def _taints_words(demand: Demand, board: Board, row: int) -> str:
    return f"taint {_untolerated(demand, board, row)[0]} is not tolerated"


def _tolerate(demand: Demand, board: Board, row: int) -> str:
    return f"tolerate {' and '.join(_untolerated(demand, board, row))}"


def _untolerated(demand: Demand, board: Board, row: int) -> list[str]:
    tolerations = demand.service.placement.tolerations
    taints = board.hosts[row].taints
    return [str(taint) for taint in taints if not any(one.accepts(taint) for one in tolerations)]


def _selector(demand: Demand, board: Board, after: bool) -> Mask | None:
    selector = demand.service.placement.host_selector
    return board.selected(selector) if selector else None


def _selector_words(demand: Demand, board: Board, row: int) -> str:
    labels = board.hosts[row].labels
    selector = demand.service.placement.host_selector
    unmet = next(requirement for requirement in selector if not requirement.met_by(labels))
    return f"label {unmet} is not met"


def _label(demand: Demand, board: Board, row: int) -> str:
    labels = board.hosts[row].labels
    unmet = [str(one) for one in demand.service.placement.host_selector if not one.met_by(labels)]
    return f"label {board.hosts[row].name} so that {' and '.join(unmet)}"


def _volumes(demand: Demand, board: Board, after: bool) -> Mask | None:
    if demand.pinned_to is None:
        return None
    mask = np.zeros(len(board.hosts), np.bool_)
    row = board.rows.get(demand.pinned_to)
    if row is not None:
        mask[row] = True
    return mask


def _volumes_words(demand: Demand, board: Board, row: int) -> str:
    return f"its volumes are on {demand.pinned_to}"


def _barred(demand: Demand, board: Board, after: bool) -> Mask | None:
    if not demand.barred:
        return None
    return np.array([host.name not in demand.barred for host in board.hosts], np.bool_)


def _barred_words(demand: Demand, board: Board, row: int) -> str:
    return demand.barred[board.hosts[row].name]


# --- what else runs there


def _ports(demand: Demand, board: Board, after: bool) -> Ints | None:
    ports = demand.service.container.fixed_ports
    if not ports:
        return None
    room = np.ones(len(board.hosts), np.int64)
    for port in ports:
        taken = board.ports_taken(port, after=after)
        if taken:
            room[list(taken)] = 0
    return room


def _ports_words(demand: Demand, board: Board, row: int) -> str:
    port, protocol = next(
        port for port in demand.service.container.fixed_ports if row in board.ports_taken(port, after=True)
    )
    return f"port {port}/{protocol} is taken"


def _max_per_host(demand: Demand, board: Board, after: bool) -> Ints | None:
    limit = demand.service.placement.max_per_host
    return None if limit is None else np.maximum(limit - board.counts(demand.service.id), 0)


def _max_per_host_words(demand: Demand, board: Board, row: int) -> str:
    there = board.counts(demand.service.id)[row]
    return f"already has {there}, maxPerHost is {demand.service.placement.max_per_host}"


def _raise_max(demand: Demand, board: Board, row: int) -> str:
    return f"raise maxPerHost to {board.counts(demand.service.id)[row] + 1}"


def _apart(demand: Demand, board: Board, after: bool) -> Ints | Mask | None:
    """Hosts that share a domain with a rival take none; of its own kind, a domain takes one at most."""
    result: Ints | None = None
    for rival in board.rivals.get(demand.service.id, ()):
        there = together(board, rival.workload, rival.scope)
        most = np.where(there > 0, 0, 1 if rival.workload == demand.service.id else NO_LIMIT)
        result = most if result is None else np.minimum(result, most)
    return result


def _apart_words(demand: Demand, board: Board, row: int) -> str:
    for rival in board.rivals.get(demand.service.id, ()):
        if together(board, rival.workload, rival.scope)[row] > 0:
            return f"antiAffinity: {rival.workload} is {_in_scope(board, rival.scope, row)}"
    raise AssertionError("asked for the words of a filter that admits")


def _near(demand: Demand, board: Board, after: bool) -> Mask | None:
    result: Mask | None = None
    for one in demand.service.placement.affinity:
        if one.required:
            there = together(board, one.workload, one.scope) > 0
            result = there if result is None else result & there
    return result


def _near_words(demand: Demand, board: Board, row: int) -> str:
    for one in demand.service.placement.affinity:
        if one.required and together(board, one.workload, one.scope)[row] <= 0:
            return f"affinity: no {one.workload} is {_in_scope(board, one.scope, row)}"
    raise AssertionError("asked for the words of a filter that admits")


def _in_scope(board: Board, scope: str, row: int) -> str:
    if scope == HOST_SCOPE:
        return "on it"
    return f"in {scope} {board.hosts[row].labels.get(scope, '(no label)')}"


# --- evenness that is required


def _spread(demand: Demand, board: Board, after: bool) -> Ints | None:
    result: Ints | None = None
    for one in demand.service.placement.spread:
        if one.hard:
            room = skew_room(demand, board, one)[board.domains(one.key).codes]
            room = np.where(board.domains(one.key).codes >= 0, room, 0)
            result = room if result is None else np.minimum(result, room)
    return result


def _spread_words(demand: Demand, board: Board, row: int) -> str:
    for one in demand.service.placement.spread:
        if not one.hard:
            continue
        domains = board.domains(one.key)
        code = int(domains.codes[row])
        if code < 0:
            return f"spread: it has no label {one.key}"
        if skew_room(demand, board, one)[code] <= 0:
            totals = domain_counts(board, demand.service.id, one.key)
            open_ones = np.flatnonzero(open_domains(demand, board, one.key))
            if not len(open_ones):
                return f"spread: no {one.key} is open to it"
            least = min(open_ones.tolist(), key=lambda at: (totals[at], at))
            return (
                f"spread: {one.key} {domains.values[code]} has {totals[code]}, {domains.values[least]} "
                f"has {totals[least]}, maxSkew is {one.max_skew}"
            )
    raise AssertionError("asked for the words of a filter that admits")


def _relax(demand: Demand, board: Board, row: int) -> str:
    hard = [one for one in demand.service.placement.spread if one.hard]
    if any(board.domains(one.key).codes[row] < 0 for one in hard):
        return ""
    return "raise maxSkew, or let whenUnsatisfiable be ScheduleAnyway"


OF_THE_HOST: tuple[Filter, ...] = (
    Filter("state", _state, _state_words, _nothing),
    Filter("unschedulable", _schedulable, _schedulable_words, _uncordon),
    Filter("capacity", _capacity, _capacity_words, _nothing),
    Filter("taint", _taints, _taints_words, _tolerate),
    Filter("hostSelector", _selector, _selector_words, _label),
)
"""What looks at the host itself only: `eligible` answers for all of these at once."""

OF_OTHERS: tuple[Filter, ...] = (
    Filter("volume", _volumes, _volumes_words, _nothing),
    Filter("backOff", _barred, _barred_words, _nothing),
    Filter("port", _ports, _ports_words, _nothing),
    Filter("maxPerHost", _max_per_host, _max_per_host_words, _raise_max),
    Filter("antiAffinity", _apart, _apart_words, _nothing),
    Filter("affinity", _near, _near_words, _nothing),
    Filter("spread", _spread, _spread_words, _relax),
)

ADMIT = OF_THE_HOST + OF_OTHERS
"""Who may be placed anew, in the order in which a person would want to hear of it. Room comes after all
of these: what a host could hold matters only where it is asked at all."""


def admitted(demand: Demand, board: Board, *, after: bool, without: frozenset[str] = frozenset()) -> Ints:
    """How many more each host takes by every filter but its room, and but those named in `without`."""
    rules = demand.service.placement
    result = board.remembered(
        ("of the host", rules.host_selector, rules.tolerations),
        lambda: np.where(eligible(demand, board), NO_LIMIT, 0),
    )
    for one in OF_OTHERS:
        more = None if one.name in without else one.admits(demand, board, after)
        if more is not None:
            result = np.where(more, result, 0) if more.dtype == np.bool_ else np.minimum(result, more)
    return result


def fits(demand: Demand, board: Board, *, after: bool) -> Ints:
    """How many more each host has the room for, by the dimension that is shortest."""
    return whole_units(board.free_float(after=after), board.vector(demand.service.requests))


def whole_units(free: Floats, needs: Ints) -> Ints:
    """How often `needs` goes into each row of `free`, 0 where something is overdrawn.

    By division of doubles, which is several times quicker than of integers and exact below 2^53.
    """
    result: Floats | None = None
    for column, amount in enumerate(needs.tolist()):
        if amount:
            often = free[:, column] / amount
            result = often if result is None else np.minimum(result, often)
    if result is None:
        return np.full(len(free), NO_LIMIT)
    return np.asarray(np.maximum(result, 0.0).astype(np.int64))


def room(demand: Demand, board: Board, *, after: bool) -> Ints:
    """How many more instances each host takes, all told. A hard spread is judged as things stand: while
    instances are seated, `seat` lets it grow with the domain that has the fewest."""
    return np.minimum(admitted(demand, board, after=after), fits(demand, board, after=after))
