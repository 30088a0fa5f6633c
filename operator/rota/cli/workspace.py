"""What read verbs stand on: a repository, a revision of it, its status branch, and an instant."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rota.cli.main import NO
from rota.cli.settings import credentials_from_environment
from rota.clock import SystemClock
from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import Now, ObservedState
from rota.core.placement.exhaust import MOST_HOSTS
from rota.errors import Fatal, Stalled
from rota.exact import missing, on_demand, solver
from rota.gitrepo.local import LocalRepository
from rota.gitrepo.objects import is_commit_id
from rota.gitrepo.source import Poll, Source
from rota.gitrepo.trees import FolderTree
from rota.manifest.load import Loaded, Loader
from rota.manifest.tree import Entry, Tree
from rota.report.restore import declared, restore

MAIN = "main"
STATUS_BRANCH = "rota/status"
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Times outside of these years are slips of the pen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFiles:
    """The status branch at one commit."""

    commit: str
    committed_at: datetime
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The flags of every read verb."""

    repo: str
    rev: str | None
    status_branch: str
    path: str


class Workspace:
    """A folder, a repository on this machine, or a URL. Nothing is written to any of them."""

    def __init__(self, place: Place, scratch: Path) -> None:
        self._status_branch = place.status_branch
        self._folder: Path | None = None
        self._repository: LocalRepository | None = None
        self._source: Source | None = None
        if "://" in place.repo:
            self._branch = place.rev if place.rev is not None and not is_commit_id(place.rev) else MAIN
            self._source = self._open(place, scratch)
            self._tips = self._poll(self._source)
            return
        self._folder = Path(place.repo)
        if not self._folder.is_dir():
            raise Fatal(f"{place.repo} is not a folder. Name one, or a URL, with --repo.")
        try:
            self._repository = LocalRepository(self._folder)
        except Stalled:
            self._repository = None

    def _open(self, place: Place, scratch: Path) -> Source:
        credentials = credentials_from_environment()
        try:
            return Source(place.repo, self._branch, place.status_branch, scratch, credentials=credentials)
        except Stalled as error:
            raise Fatal(f"--repo: {error}" if error.reason == "UnsupportedUrl" else str(error)) from error

    def _poll(self, source: Source) -> Poll:
        try:
            return source.poll()
        except Stalled as error:
            if error.reason != "BranchMissing":
                raise
            url = source.mirror.url
            message = f"The branch {self._branch} does not exist in {url}. Name another one with --rev."
            raise Stalled(error.reason, message) from error

    def tree(self, revision: str | None) -> Tree:
        """The files of `revision`; without one, of the folder as it stands, or of a URL's main branch."""
        if self._source is not None:
            return self._source.checkout(self._commit_at_url(revision))
        assert self._folder is not None
        if revision is not None:
            return _below(self._local().checkout(self._local().resolve(revision)), self._folder)
        if (self._folder / "HEAD").is_file() and (self._folder / "objects").is_dir():
            return self._local().checkout(self._local().resolve("HEAD"))
        return FolderTree(self._folder)

    def _commit_at_url(self, revision: str | None) -> str:
        """Of a URL only the branch and full commit ids are known: nothing else is asked of its server."""
        if revision in (None, self._branch):
            return self._tips.head
        assert revision is not None
        if not is_commit_id(revision):
            raise Stalled(
                "RevisionMissing",
                f"{revision!r} cannot be looked up at a URL: name a branch with --rev, or a full commit id. "
                "Or clone the repository and name its folder with --repo.",
            )
        return revision

    def revision(self, name: str) -> str | None:
        """The commit that `name` stands for, None where it is not here."""
        try:
            return self._local().resolve(name)
        except Stalled:
            return None

    def status(self) -> StatusFiles | None:
        """The status branch, also as a remote's; None where there is none.

        Raises Stalled("DamagedStatus") where the branch holds something else.
        """
        found = self._find_status()
        if found is not None and "status.json" not in found.files:
            raise Stalled(
                "DamagedStatus",
                f"the branch {self._status_branch} holds no status.json, so no operator wrote it. "
                "Name the right one with --status-branch.",
            )
        return found

    def _find_status(self) -> StatusFiles | None:
        if self._source is not None:
            if self._tips.status is None:
                return None
            files = self._source.read_files(self._tips.status)
            at = self._source.committed_at(self._tips.status)
            return StatusFiles(commit=self._tips.status, committed_at=at, files=files)
        if self._repository is None:
            return None
        for ref in (f"refs/heads/{self._status_branch}", f"refs/remotes/origin/{self._status_branch}"):
            commit = self.revision(ref)
            if commit is not None:
                return self._read(commit)
        return None

    def _read(self, commit: str) -> StatusFiles:
        tree = self._local().checkout(commit)
        contents = tree.read(tree.entries)
        files = {entry.path: contents[entry.blob_id] for entry in tree.entries}
        at = self._local().committer_time(commit)
        return StatusFiles(commit=commit, committed_at=at, files=files)

    def _local(self) -> LocalRepository:
        if self._repository is None:
            raise Stalled(
                "NotARepository", f"{self._folder} is not in a git repository, so it has no revisions."
            )
        return self._repository


@dataclass(frozen=True, slots=True)
class _Below:
    """The part of a commit's files that lies in one folder, as if that were all."""

    revision: str
    entries: tuple[Entry, ...]
    _whole: Tree

    def read(self, entries: Iterable[Entry]) -> Mapping[str, bytes]:
        return self._whole.read(entries)


def _below(tree: Tree, folder: Path) -> Tree:
    """What `tree` has in `folder`, so that a revision is compared with the same folder as it stands."""
    here = folder.resolve()
    top = next((place for place in (here, *here.parents) if (place / ".git").exists()), here)
    if top == here:
        return tree
    prefix = f"{here.relative_to(top).as_posix()}/"
    inside = (one for one in tree.entries if one.path.startswith(prefix))
    entries = tuple(replace(one, path=one.path.removeprefix(prefix)) for one in inside)
    return _Below(tree.revision, entries, tree)


@contextmanager
def workspace(place: Place) -> Iterator[Workspace]:
    """The workspace at `place`, with a scratch folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="rota-") as scratch:
        yield Workspace(place, Path(scratch))


def load(tree: Tree, path: str = "") -> Loaded:
    return Loader().load(tree, path)


def load_fleet(tree: Tree, path: str = "") -> tuple[Fleet, Loaded]:
    """The fleet of a valid revision; otherwise every problem on stderr, and exit 1."""
    loaded = load(tree, path)
    if loaded.fleet is None:
        for problem in loaded.problems:
            click.echo(str(problem), err=True)
        of = tree.revision[:12] or "the folder as it stands"
        click.echo(
            f"rota: {of} is invalid, so there is nothing to show of it. Mend it: rota validate", err=True
        )
        raise click.exceptions.Exit(NO)
    return loaded.fleet, loaded


def observation(status: StatusFiles | None, fleet: Fleet) -> tuple[ObservedState, Ledger]:
    """What was observed, by the status branch; hosts that it does not know yet are as declared, and empty."""
    if status is None:
        return declared(fleet), Ledger()
    observed, ledger = restore(status.files)
    return ObservedState(hosts={**declared(fleet).hosts, **observed.hosts}), ledger


def decided(fleet: Fleet, observed: ObservedState, ledger: Ledger, at: datetime) -> Decision:
    """What the daemon would decide at `at`."""
    decision = decide(fleet, observed, ledger, Now(wall=at, mono=0.0), exhaustively)
    note_unsearched(decision, fleet)
    return decision


exhaustively = on_demand()
"""The exact solver where it is installed."""


def note_unsearched(decision: Decision, fleet: Fleet) -> None:
    """Say on stderr where a better search might have found a place, and is not installed."""
    if decision.unplaced and len(fleet.hosts) <= MOST_HOSTS and solver() is None:
        click.echo(f"rota: the search for places was not exhaustive. {missing()}", err=True)


def instant(text: str | None, status: StatusFiles | None = None) -> datetime:
    """`text` as a time; else that of the status commit, so that plans are the same anywhere; else now."""
    if text is None:
        return status.committed_at.astimezone(UTC) if status is not None else SystemClock().now().wall
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Fatal(
            f"{text!r} is not a time. Write it in RFC 3339 with an offset: 2026-06-01T07:00:00+02:00."
        )
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise Fatal(f"{text!r} is out of range: the year must lie between {FIRST_YEAR} and {LAST_YEAR}.")
    return at.astimezone(UTC)


def repository_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the flags of `Place`; it takes them as its first argument."""
    return tree_options(
        click.option(
            "--status-branch",
            default=STATUS_BRANCH,
            envvar="ROTA_STATUS_BRANCH",
            show_default=True,
            metavar="BRANCH",
            help="Where the operator writes what it observes.",
        )(command)
    )


def tree_options(command: Callable[..., None]) -> Callable[..., None]:
    """As `repository_options`, for a verb that the status branch does not matter to."""

    @functools.wraps(command)
    def with_place(
        *, repo: str, rev: str | None, path: str, status_branch: str = STATUS_BRANCH, **others: Any
    ) -> None:
        command(Place(repo=repo, rev=rev, status_branch=status_branch, path=path), **others)

    for option in (
        click.option("--path", default="", metavar="FOLDER", help="Where in the repository manifests begin."),
        click.option(
            "--rev",
            metavar="REV",
            help="A commit or branch instead of the folder as it stands, or of the branch main of a URL.",
        ),
        click.option(
            "-C",
            "--repo",
            default=".",
            metavar="DIR|URL",
            envvar="ROTA_REPO",
            show_default=True,
            help="A folder, a repository, or its URL.",
        ),
    ):
        with_place = option(with_place)
    return with_place
