"""What the API answers: from the last pass, and from the Engines where only they know."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rota.core.ids import WorkloadId
from rota.core.observed import ObservedContainer
from rota.engine.port import Engine
from rota.reconcile import Pass
from rota.report.documents import API_VERSION, status_document, workload_document
from rota.report.journal import read_row
from rota.web.views import (
    Absent,
    CommandOutput,
    CommandQuestion,
    LogQuestion,
    LogSource,
    Output,
    Unready,
    Views,
)

MOST_DIGITS = 18
"""Of the number of an event."""
MOST_SLOTS = 32
"""Logs of so many instances are shown beside each other."""


class Answers:
    """`last` is the latest pass, `engines` finds the Engine of a host. For any thread.

    A container is only addressed as the last pass saw it: nothing but this fleet's own can be reached.
    """

    def __init__(self, last: Callable[[], Pass | None], engines: Callable[[str], Engine | None]) -> None:
        self._last = last
        self._engines = engines
        self._epoch = secrets.token_hex(4)

    def views(self) -> Views:
        return Views(
            status=self.status, events=self.events, workload=self.workload, logs=self.logs, run=self.run
        )

    def status(self) -> Mapping[str, Any]:
        """As `status.json` on the status branch, of the last pass."""
        return status_document(self._pass().status)

    def events(self, after: str) -> Mapping[str, Any]:
        """What was noted after the answer whose `next` is `after`: all that is kept where this daemon did not
        give it, or it is empty."""
        noted = self._pass().events
        epoch, _, text = after.partition("-")
        ours = epoch == self._epoch and text.isdecimal() and len(text) <= MOST_DIGITS
        known = int(text) if ours else 0
        rows = (read_row(one.line) for one in noted if one.number > known)
        newest = noted[-1].number if noted else 0
        return {
            "apiVersion": API_VERSION,
            "kind": "EventList",
            "items": [row for row in rows if row is not None],
            "next": f"{self._epoch}-{newest}",
        }

    def workload(self, namespace: str, name: str) -> Mapping[str, Any]:
        """As `workloads/NAMESPACE/NAME.json` on the status branch, of the last pass."""
        status = self._pass().status
        for one in status.workloads:
            if (one.namespace, one.name) == (namespace, name):
                return workload_document(one, status)
        raise Absent(f"there is no workload {namespace}/{name}; see what there is: rota get workloads")

    def logs(self, question: LogQuestion) -> tuple[LogSource, ...]:
        """The logs of all instances of a workload, or of one slot; also of those that have ended."""
        found = self._instances(WorkloadId(question.namespace, question.name), question.slot)
        if len(found) > MOST_SLOTS:
            what = f"{question.namespace}/{question.name}"
            raise Absent(
                f"{what} has {len(found)} instances, and {MOST_SLOTS} logs are shown at most: name a slot"
            )

        def open_log(container: ObservedContainer, engine: Engine) -> Output:
            return engine.logs(container.id, lines=question.lines, follow=question.follow)

        return tuple(
            LogSource(f"{question.name}/{one.slot}", partial(open_log, one, self._engine(one)))
            for one in found
        )

    def run(self, question: CommandQuestion) -> Callable[[], CommandOutput]:
        """Runs a command in the instance of a slot; of two, in the one that is ready."""
        found = self._instances(WorkloadId(question.namespace, question.name), question.slot)
        running = sorted((one for one in found if one.running), key=lambda one: (not one.ready, one.id))
        if not running:
            what = f"{question.namespace}/{question.name}/{question.slot}"
            raise Absent(f"{what} does not run: it is {found[0].state} on {found[0].host}")
        return partial(self._engine(running[0]).run, running[0].id, question.command)

    def _pass(self) -> Pass:
        last = self._last()
        if last is None:
            raise Unready("no pass has ended yet: ask again in a moment")
        return last

    def _instances(self, workload: WorkloadId, slot: int | None) -> list[ObservedContainer]:
        """What the Engines have listed of it, by slot; at least one."""
        there = [
            one
            for view in self._pass().observed.hosts.values()
            if view.listed  # what is only recorded on the status branch was not seen by this daemon
            for one in view.containers
            if one.workload == workload
        ]
        found = [one for one in there if slot in (None, one.slot)]
        if found:
            return sorted(found, key=lambda one: (one.slot, one.host, one.id))
        if not there:
            raise Absent(f"{workload} has no instance; see what there is: rota get instances")
        slots = ", ".join(str(number) for number in sorted({one.slot for one in there}))
        raise Absent(f"{workload} has no slot {slot}; it has {slots}")

    def _engine(self, container: ObservedContainer) -> Engine:
        engine = self._engines(container.host)
        if engine is None:
            raise Absent(f"{container.host} is not connected")
        return engine
