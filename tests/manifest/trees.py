"""Trees in memory, and the manifests that tests start from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rota.manifest.load import Loaded, Loader
from rota.manifest.tree import Entry

REPOSITORY = Path(__file__).parent.parent.parent
EXAMPLE = REPOSITORY / "example-repo"

FLEET = """\
apiVersion: rota/v1
kind: Fleet
metadata: {name: shop, uid: 7f3c9a12}
spec: {}
"""
SERVICE = """\
apiVersion: rota/v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  container: {image: "web:1"}
  resources: {requests: {cpu: 1, memory: 1Gi}}
"""
POLICY = """\
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {name: hours, namespace: shop}
spec:
  timeZone: Europe/Berlin
  base: {replicas: {web: 1}}
  windows:
    - {name: day, days: [mon, tue], start: "07:00", end: "20:00", replicas: {web: 50%}}
"""
HOST = """\
apiVersion: rota/v1
kind: Host
metadata: {name: h1}
spec: {endpoint: "tcp://10.0.0.1:2375"}
"""
OVERRIDE = """\
apiVersion: rota/v1
kind: Override
metadata: {name: rush, namespace: shop}
spec:
  target: {kind: Service, name: web}
  until: 2026-11-28T02:00:00+01:00
  reason: rush
  replicas: 3
"""
QUOTA = """\
apiVersion: rota/v1
kind: Quota
metadata: {name: all, namespace: shop}
spec:
  hard: {cpu: 24, memory: 96Gi, instances: 60}
"""


@dataclass
class MemoryTree:
    """Files by path; `reads` lists the paths of every entry that was read."""

    files: Mapping[str, bytes]
    revision: str = "1" * 40
    others: tuple[Entry, ...] = ()
    reads: list[str] = field(default_factory=list)

    @property
    def entries(self) -> tuple[Entry, ...]:
        files = [Entry(path, blob_id(content), len(content)) for path, content in self.files.items()]
        return (*files, *self.others)

    def read(self, entries: Iterable[Entry]) -> Mapping[str, bytes]:
        contents = {}
        for entry in entries:
            self.reads.append(entry.path)
            contents[entry.blob_id] = self.files[entry.path]
        return contents


def blob_id(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tree(files: Mapping[str, str | bytes], others: tuple[Entry, ...] = ()) -> MemoryTree:
    encoded = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    return MemoryTree(encoded, others=others)


def folder(root: Path) -> MemoryTree:
    """All files below a folder of the disk."""
    files = {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
    return MemoryTree(files)


def load(files: Mapping[str, str | bytes], path: str = "") -> Loaded:
    """What a fresh loader makes of `files`."""
    return Loader().load(tree(files), path)


def told(files: Mapping[str, str | bytes]) -> list[str]:
    """The problems of `files`, as text; warnings say that they are."""
    marks = {"error": "", "warning": " (warning)"}
    return [f"{problem}{marks[problem.severity]}" for problem in load(files).problems]


def edited(manifest: str, old: str, new: str) -> str:
    """`manifest` with one part replaced, which must be there."""
    assert manifest.count(old) >= 1, f"{old!r} is not in the manifest"
    return manifest.replace(old, new)
