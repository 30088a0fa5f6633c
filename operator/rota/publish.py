"""What goes to the status branch after a pass, and how urgently: by what differs from what stands there."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rota.core.ledger import PinKey
from rota.core.observed import Now
from rota.core.status import FleetStatus
from rota.gitrepo.worker import GitView, Publication, Urgency
from rota.report.documents import EVENTS_PATH, Encoder, documents
from rota.report.journal import Journal

_STATUS = "status.json"


class Publisher:
    """Turns a status into a publication, or None where nothing is new since the last one."""

    def __init__(self) -> None:
        self._last: tuple[FleetStatus, tuple[str, ...]] | None = None
        self._encoder = Encoder()

    def publication(
        self, status: FleetStatus, journal: Journal, git: GitView, recorded: frozenset[PinKey], now: Now
    ) -> Publication | None:
        """The publication of `status`; its urgency follows from what the branch already says.

        `recorded` are the pins that stand on the branch.
        """
        events = journal.lines
        if self._last == (status, events):
            return None
        self._last = (status, events)
        files = documents(status, events, self._encoder)
        if not status.fleet and git.tip is not None:
            # Nothing could be looked at: what was recorded of hosts and workloads stays on the branch.
            files = {path: content for path, content in git.tip.files.items() if _is_detail(path)} | files
        unrecorded = bool(status.ledger.pins.keys() - recorded)
        return Publication(
            files=files,
            subject=_subject(status),
            trailers=_trailers(status),
            at=now.wall,
            urgency=lambda before: Urgency.CLAIM if unrecorded else _urgency(before, files),
            pins=frozenset(status.ledger.pins),
        )


def _is_detail(path: str) -> bool:
    return path.startswith(("hosts/", "workloads/"))


def _urgency(before: Mapping[str, bytes], files: Mapping[str, bytes]) -> Urgency:
    """By what of `files` differs from what stands on the branch."""
    if _verdict(before) != _verdict(files):
        return Urgency.VERDICT
    if any(before.get(path) != content for path, content in files.items() if _is_news(path)):
        return Urgency.CONTENT
    return Urgency.STATE


def _is_news(path: str) -> bool:
    """Whether a change of a file is worth a commit by itself: events come with what they tell of."""
    return path != EVENTS_PATH and not path.startswith("state/")


def _verdict(files: Mapping[str, bytes]) -> object:
    """The fleet's own Ready and Degraded: what people wait for."""
    if _STATUS not in files:
        return None
    try:
        conditions = json.loads(files[_STATUS])["conditions"]
        return {one["type"]: one["status"] for one in conditions if one["type"] in ("Ready", "Degraded")}
    except (ValueError, KeyError, TypeError):
        return None


def _subject(status: FleetStatus) -> str:
    """The verdict in one line: `Ready: 24/24 instances, day`, `Ready, but Degraded (HostLost): …`, or
    `not Ready (Missing: shop/web): 2/24 instances, day`."""
    ready = next(one for one in status.conditions if one.type == "Ready")
    degraded = next((one.reason for one in status.conditions if one.type == "Degraded"), "")
    word = f"Ready, but Degraded ({degraded})" if degraded else "Ready"
    if ready.status != "True":
        word = f"not Ready ({ready.reason}{_worst_off(status, ready.reason)})"
    wanted = sum(one.desired for one in status.workloads)
    ready_now = sum(min(one.ready, one.desired) for one in status.workloads)
    windows = sorted({window for _, window, _, _ in status.windows})
    return ", ".join([f"{word}: {ready_now}/{wanted} instances", *windows])


def _worst_off(status: FleetStatus, reason: str) -> str:
    """`: shop/web and 2 more`, of the workloads for which the fleet is not Ready."""
    names = [f"{one.namespace}/{one.name}" for one in status.workloads if one.health == reason]
    if not names:
        return ""
    return f": {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"


def _trailers(status: FleetStatus) -> dict[str, str]:
    """The commit that was observed, the windows in force, and why something is changing."""
    trailers = {"Source-Commit": status.source.applied or "none"}
    if status.windows:
        trailers["Window"] = ", ".join(f"{policy}/{window}" for policy, window, _, _ in status.windows)
    causes = sorted({change.cause for workload in status.workloads for change in workload.changes})
    if causes:
        trailers["Cause"] = "; ".join(causes)
    return trailers
