"""What needs no host: manifests, polls, the command line."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figures, timed
from rota.gitrepo.source import Source
from rota.gitrepo.trees import FolderTree
from rota.manifest.load import Loader
from tests.lab.operator import web_manifest

RUNS = 5
MANIFESTS = 1000
FLEET = "apiVersion: rota/v1\nkind: Fleet\nmetadata: {name: bench, uid: b1}\nspec: {}\n"


def manifests(figures: Figures) -> None:
    """`rota validate` of 1,000 manifests as a whole process, and the loader after one of them changed."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _fill(folder)
        command = [sys.executable, "-m", "rota.cli", "validate", str(folder)]
        figures.row(
            "rota validate, 1,000 manifests, whole process",
            [_process(command) for _ in range(RUNS)],
            "s",
            "1.2",
        )
        loader = Loader()
        loader.load(FolderTree(folder))
        times = []
        for run in range(RUNS):
            (folder / "web-7.yaml").write_text(_web(7).replace("replicas: 4", f"replicas: {run + 5}"))
            tree = FolderTree(folder)
            times.append(1000 * timed(lambda tree=tree: loader.load(tree)))
        figures.row("1 of 1,000 changed: loaded and validated again", times, "ms", "60")


def poll(figures: Figures) -> None:
    """A poll without change, and one of 1,000 manifests changed until it is validated, from a file:// URL."""
    with tempfile.TemporaryDirectory() as scratch:
        work, bare = Path(scratch) / "work", Path(scratch) / "bare.git"
        work.mkdir()
        _fill(work)
        _git(work, "init", "--quiet", "--initial-branch=main")
        _git(work, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        _commit(work, bare)
        source, loader = Source(f"file://{bare}", "main", "rota/status", Path(scratch) / "data"), Loader()
        loader.load(source.checkout(source.poll().head))
        floor = ["git", "ls-remote", f"file://{bare}", "refs/heads/main"]
        polls, floors = [], []
        for _ in range(20):
            floors.append(1000 * _process(floor))
            polls.append(1000 * timed(source.poll))
        figures.row("git ls-remote by itself (the floor)", floors, "ms")
        figures.row("poll without change", polls, "ms", "15")
        times = []
        for run in range(RUNS):
            (work / "web-7.yaml").write_text(_web(7).replace("replicas: 4", f"replicas: {run + 5}"))
            _commit(work, bare)
            times.append(1000 * timed(lambda: loader.load(source.checkout(source.poll().head))))
        figures.row("1 of 1,000 changed: polled, fetched, validated", times, "ms", "60")


def commands(figures: Figures) -> None:
    """How long the command line takes to say something."""
    for arguments, bar in (
        (("--help",), "0.3"),
        (("validate", "example-repo"), ""),
        (("plan", "-C", "example-repo"), ""),
    ):
        command = [sys.executable, "-m", "rota.cli", *arguments]
        figures.row(f"rota {' '.join(arguments)}", [_process(command) for _ in range(RUNS)], "s", bar)


def _fill(folder: Path) -> None:
    (folder / "fleet.yaml").write_text(FLEET)
    for number in range(MANIFESTS - 1):
        (folder / f"web-{number}.yaml").write_text(_web(number))


def _web(number: int) -> str:
    return web_manifest().replace("name: web,", f"name: web-{number},")


def _commit(work: Path, bare: Path) -> None:
    _git(work, "add", "--all")
    _git(
        work, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "--quiet", "-m", "change"
    )
    _git(work, "push", "--quiet", str(bare), "HEAD:main")


def _git(work: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=work, check=True, capture_output=True)


def _process(command: list[str]) -> float:
    return timed(lambda: subprocess.run(command, check=False, capture_output=True))
