"""From a tree to a `Fleet`: discovery, budgets, and a cache so that only what changed is read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from rota.core.model import CapacityPolicy, Fleet, Host, Override, Quota, Service
from rota.manifest.calendars import Calendars, Events
from rota.manifest.checks import check
from rota.manifest.convert import convert
from rota.manifest.discovery import Discovered, discover
from rota.manifest.document import Document, Manifest
from rota.manifest.ics_times import CalendarRefused
from rota.manifest.problem import MAX_PROBLEMS, Problem, did_you_mean, shown, sort_key
from rota.manifest.reader import Reader
from rota.manifest.schema import KINDS, violations
from rota.manifest.tree import Tree
from rota.manifest.yaml import ParsedDocument, parse

API_VERSION: Final = "rota/v1"
MAX_MANIFESTS: Final = 10_000

_MAX_CHECKS: Final = 1000
_LFS: Final = b"version https://git-lfs.github.com/"
_NOT_OURS: Final = "If the file is not for Rota, name it in .rotaignore."


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a revision asks for, or why it cannot: `fleet` is None if any problem is an error.

    `documents` are those that are sound by themselves, in the order of their places.
    """

    fleet: Fleet | None
    problems: tuple[Problem, ...]
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """What one file holds: cached, since it depends on its path and content alone.

    But for the calendar files that it uses: `calendars` says of each path what stood there.
    """

    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...]
    calendars: Mapping[str, str] = field(default_factory=dict)


class Loader:
    """Loads revisions one after the other and remembers the files of the last one."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], _File] = {}
        self._calendars: Mapping[str, Events | CalendarRefused] = {}
        self._excess = ""

    def load(self, tree: Tree, path: str = "") -> Loaded:
        """All manifests under the folder `path`, the root if empty.

        Raises what reading the tree raises; everything that is wrong with its content is a problem.
        """
        found = discover(tree, path)
        files = self._read(tree, found)
        manifests = [manifest for file in files for manifest in file.manifests]
        problems = [*found.problems, *(problem for file in files for problem in file.problems)]
        if len(manifests) > MAX_MANIFESTS:
            problems.append(_too_many(found))
        elif self._excess:
            mend = "Join some of them, or leave out the events of long ago."
            problems.append(found.problem(self._excess, mend))
        elif not manifests and not problems:
            problems.append(_nothing(found))
        else:
            complete = _sound(problems)
            problems += islice(check(manifests, complete=complete), _MAX_CHECKS)
            if complete and not any(isinstance(each.definition, Fleet) for each in manifests):
                problems.append(_no_fleet(found))
        problems.sort(key=sort_key)
        fleet = _assemble(manifests, tree.revision) if _sound(problems) else None
        return Loaded(fleet, tuple(problems), tuple(manifest.document for manifest in manifests))

    def _read(self, tree: Tree, found: Discovered) -> list[_File]:
        """The files that were found, up to one manifest too many; judges only those not seen last time."""
        calendars = Calendars(tree, found.root, self._calendars)
        known = {key: file for key, file in self._files.items() if _still_holds(file, calendars)}
        entries = found.entries
        missing = [entry for entry in entries if (entry.path, entry.blob_id) not in known]
        contents = tree.read(missing) if missing else {}
        used: dict[tuple[str, str], _File] = {}
        manifests = 0
        for entry in entries:
            key = (entry.path, entry.blob_id)
            used[key] = known.get(key) or _read_file(entry.path, contents[entry.blob_id], calendars)
            manifests += len(used[key].manifests)
            if manifests > MAX_MANIFESTS:
                break
        self._files = used
        paths = {path for file in used.values() for path in file.calendars}
        self._calendars, self._excess = calendars.kept(paths), calendars.excess(paths)
        return list(used.values())


def _sound(problems: Iterable[Problem]) -> bool:
    return all(problem.severity != "error" for problem in problems)


def _still_holds(file: _File, calendars: Calendars) -> bool:
    """Whether the calendar files that a file uses are those that it was read with."""
    return all(calendars.identity(path) == before for path, before in file.calendars.items())


def _read_file(path: str, content: bytes, calendars: Calendars) -> _File:
    if content.startswith(_LFS):
        message = "the file is in Git LFS, which manifests are not read from"
        return _File((), (Problem(path, 1, 1, "", message, "Store it in Git itself."),))
    parsed = parse(path, content)
    problems, warnings = list(parsed.problems), list[Problem]()
    manifests = []
    for document in parsed.documents:
        if len(problems) >= MAX_PROBLEMS:
            break
        manifest, found = _manifest(document, calendars)
        if manifest is not None:
            manifests.append(manifest)
            warnings += found
        else:
            problems += found
    told = (*problems[:MAX_PROBLEMS], *warnings[:MAX_PROBLEMS])
    return _File(tuple(manifests), told, calendars.taken())


def _manifest(parsed: ParsedDocument, calendars: Calendars) -> tuple[Manifest | None, Iterable[Problem]]:
    """One document by itself: its envelope, its schema, and the rules that no schema can say.

    What comes with a manifest are warnings, what comes without one are errors.
    """
    problem = _envelope_problem(parsed)
    if problem is not None:
        return None, (problem,)
    problems = violations(parsed.root["kind"], parsed)
    if problems:
        return None, problems
    reader = Reader(parsed, calendars=calendars)
    definition = convert(reader)
    if definition is None:
        return None, reader.problems
    namespace = "" if isinstance(definition, Fleet | Host) else reader.namespace
    document = Document(reader.kind, namespace, reader.name, parsed.path, parsed.start.line, raw=parsed.root)
    return Manifest(document, definition, parsed), reader.warnings


def _envelope_problem(parsed: ParsedDocument) -> Problem | None:
    """Why a document is no manifest of this format at all."""
    root = parsed.root
    if not isinstance(root, dict):
        return parsed.problem((), f"a manifest is a mapping with apiVersion: {API_VERSION}", _NOT_OURS)
    version, kind = root.get("apiVersion"), root.get("kind")
    if version != API_VERSION:
        message = f"the document is not {API_VERSION}: {_stated(root, 'apiVersion')}"
        return parsed.problem(("apiVersion",), message, _NOT_OURS)
    if kind not in KINDS:
        known = f"Known are {', '.join(KINDS)}."
        if not isinstance(kind, str):
            return parsed.problem(("kind",), _stated(root, "kind"), known)
        return parsed.problem(("kind",), f"unknown kind {shown(kind)}", did_you_mean(kind, KINDS) or known)
    return None


def _stated(root: Mapping[str, Any], key: str) -> str:
    if key not in root:
        return f"{key} is missing"
    return f"{key} is {shown(root[key])}" if isinstance(root[key], str) else f"{key} is not text"


def _too_many(found: Discovered) -> Problem:
    message = f"there are more than {MAX_MANIFESTS:,} manifests"
    return found.problem(message, "Split the repository.")


def _no_fleet(found: Discovered) -> Problem:
    mend = "Add a manifest with kind: Fleet, metadata.name and metadata.uid."
    return found.problem("there is no Fleet among the manifests, and exactly one is needed", mend)


def _nothing(found: Discovered) -> Problem:
    mend = "Write a Fleet: a YAML file with kind: Fleet, metadata.name and metadata.uid."
    return found.problem("there are no manifests here", mend)


def _assemble(manifests: Iterable[Manifest], revision: str) -> Fleet:
    """One Fleet of all definitions, each part in the order of its names."""
    fleet: Fleet | None = None
    hosts: dict[str, Host] = {}
    services: list[Service] = []
    policies: list[CapacityPolicy] = []
    quotas: list[Quota] = []
    overrides: list[Override] = []
    for manifest in manifests:
        match manifest.definition:
            case Fleet() as fleet:
                pass
            case Host() as host:
                hosts[host.name] = host
            case Service() as each:
                services.append(each)
            case CapacityPolicy() as policy:
                policies.append(policy)
            case Quota() as quota:
                quotas.append(quota)
            case Override() as override:
                overrides.append(override)
    assert fleet is not None, "a repository without a Fleet has a problem"
    return replace(
        fleet,
        revision=revision,
        hosts=dict(sorted(hosts.items())),
        services={each.id: each for each in sorted(services, key=lambda each: each.id)},
        policies=tuple(sorted(policies, key=lambda policy: (policy.namespace, policy.name))),
        quotas=tuple(sorted(quotas, key=lambda quota: (quota.namespace, quota.name))),
        overrides=tuple(sorted(overrides, key=lambda override: (override.namespace, override.name))),
    )
