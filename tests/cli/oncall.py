"""A small fleet that runs, in a repository with its status branch: for the verbs of people on call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rota.cli.main import main
from rota.core.event import Event
from rota.core.observed import Now
from rota.report.documents import EVENTS_PATH
from rota.report.journal import Journal
from tests.scenarios.observed import fleet_of, published, ready_fleet
from tests.scenarios.repository import MONDAY_NOON, Repository

FLEET = "apiVersion: rota/v1\nkind: Fleet\nmetadata: {name: small, uid: 0badcafe}\nspec: {}\n"
HOST = (
    "apiVersion: rota/v1\nkind: Host\nmetadata: {name: NAME}\n"
    "spec: {endpoint: 'tcp://NAME:2375', capacity: {cpu: 2, memory: 4Gi}}\n"
)
WEB = (
    "apiVersion: rota/v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n  replicas: 2\n"
    "  container: {image: 'web:1', environment: {TOKEN: not-to-be-shown}}\n"
    "  resources: {requests: {cpu: 500m, memory: 1Gi}}\n"
)
HAPPENED = (
    Event(event="revision", object="Fleet", reason="RevisionAdopted", message="now at 123"),
    Event(
        event="start",
        object="Service shop/web",
        slot=0,
        host="h1",
        result="done",
        reason="Started",
        cause="x",
    ),
    Event(event="host", object="Host h2", host="h2", reason="HostSuspect", message="is suspect"),
)


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int


class Desk:
    """Where somebody types commands, in a repository."""

    def __init__(self, repository: Repository, capsys: pytest.CaptureFixture[Any]) -> None:
        self.repository = repository
        self._capsys = capsys

    def rota(self, *arguments: str) -> Said:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = (text.decode() if isinstance(text, bytes) else text for text in self._capsys.readouterr())
        assert isinstance(ended.value.code, int)
        assert "this is a bug" not in err
        assert "not-to-be-shown" not in out + err
        return Said(out, err, ended.value.code)


def small(path: Path) -> Repository:
    """Two hosts and a service of two, committed."""
    made = Repository(path)
    hosts = {f"{name}.yaml": HOST.replace("NAME", name) for name in ("h1", "h2")}
    made.write({"fleet.yaml": FLEET, "web.yaml": WEB, **hosts})
    made.commit("Small")
    return made


def running(repository: Repository) -> dict[str, bytes]:
    """The files of the status branch once its fleet is Ready, with a few events."""
    files = published(ready_fleet(fleet_of(repository.path), MONDAY_NOON))
    journal = Journal()
    journal.add(HAPPENED, Now(datetime.fromisoformat(MONDAY_NOON), 0.0))
    return files | {EVENTS_PATH: "".join(f"{line}\n" for line in journal.lines).encode()}


def status_commit(
    repository: Repository, files: Mapping[str, bytes], subject: str, revision: str, at: str
) -> str:
    """One more commit on the status branch, as the operator makes them."""
    known = repository.git("for-each-ref", "refs/heads/rota/status", "--format=%(objectname)")
    message = f"{subject}\n\nSource-Commit: {revision}\nOperator-Id: tests\n".encode()
    seconds = int(datetime.fromisoformat(at).timestamp())
    stream = b"commit refs/heads/rota/status\ncommitter Ada <ada@example.org> %d +0200\n" % seconds
    stream += b"data %d\n%s\n" % (len(message), message)
    stream += f"from {known}\ndeleteall\n".encode() if known else b""
    for name, content in files.items():
        stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)
    repository.git("fast-import", "--quiet", "--force", stdin=stream)
    return repository.git("rev-parse", "rota/status")


def changed(files: Mapping[str, bytes], path: str, **fields: object) -> dict[str, bytes]:
    """`files` with other `fields` in the document at `path`."""
    document = json.loads(files[path]) | fields
    return {**files, path: json.dumps(document).encode()}
