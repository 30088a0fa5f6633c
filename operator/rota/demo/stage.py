"""What the demo stands on: a bare repository made from the example, and hosts, real or in memory."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import rota
from rota.clock import Clock
from rota.engine.docker import DockerEngine
from rota.engine.memory import ImageTraits, MemoryEngine
from rota.engine.port import Engine
from rota.engine.runner import HostSetup
from rota.errors import Fatal
from rota.gitrepo.git import Git
from rota.gitrepo.trees import FolderTree
from rota.manifest.load import Loader

GIT_SECONDS = 30.0
_NAMES = ("rota demo", "demo@localhost")
_TRAITS = {"web": 1.5, "varnish": 1.0, "redis": 0.5, "mysql": 2.0}
"""Seconds until an image of that name is healthy, on engines in memory."""


def example_repository() -> Path:
    """The example: beside the package in a wheel, in the root of a source checkout."""
    package = Path(rota.__file__).parent
    for place in (package / "example-repo", package.parents[1] / "example-repo"):
        if place.is_dir():
            return place
    raise Fatal("the example repository is missing from this installation; reinstall rota")


class Repository:
    """A working copy and the bare repository that the daemon follows."""

    def __init__(self, folder: Path) -> None:
        self.work, self.bare = folder / "work", folder / "shop.git"
        environment = {
            "GIT_AUTHOR_NAME": _NAMES[0],
            "GIT_AUTHOR_EMAIL": _NAMES[1],
            "GIT_COMMITTER_NAME": _NAMES[0],
            "GIT_COMMITTER_EMAIL": _NAMES[1],
        }
        self._git = Git(self.work / ".git", environment={**environment, "GIT_WORK_TREE": str(self.work)})

    def create(self, endpoints: Mapping[str, str]) -> None:
        """Copy the example, give its hosts the endpoints that are there, and push it all."""
        shutil.copytree(example_repository(), self.work)
        for name, endpoint in endpoints.items():
            path = self.work / "hosts" / f"{name}.yaml"
            path.write_text(re.sub(r"endpoint: \S+", f"endpoint: {endpoint}", path.read_text()))
        Git(self.bare).run("init", "--bare", "--quiet", "--initial-branch=main", deadline=GIT_SECONDS)
        self._git.run("init", "--quiet", "--initial-branch=main", deadline=GIT_SECONDS)
        self.commit("The shop, its hosts and its day")

    def commit(self, message: str) -> str:
        """Commit everything and push it; the commit's id."""
        self._git.run("add", "--all", deadline=GIT_SECONDS)
        self._git.run("commit", "--quiet", "--message", message, deadline=GIT_SECONDS)
        self._git.run("push", "--quiet", str(self.bare), "main", deadline=GIT_SECONDS)
        return self._git.run("rev-parse", "HEAD", deadline=GIT_SECONDS).decode().strip()

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that stands in a manifest."""
        file = self.work / path
        text = file.read_text()
        assert old in text, f"{path} does not say {old!r}"
        file.write_text(text.replace(old, new))


class MemoryHosts:
    """Engines in memory for the hosts of the example, with the images it uses."""

    def __init__(self, clock: Clock) -> None:
        fleet = Loader().load(FolderTree(example_repository())).fleet
        assert fleet is not None, "the example is valid; a test says so"
        images = {service.container.image for service in fleet.services.values()}
        self.engines = {name: MemoryEngine(name, clock) for name in fleet.hosts}
        for engine in self.engines.values():
            engine.images |= images
            engine.traits |= {image: _traits(image) for image in images}

    def open(self, setup: HostSetup) -> Engine:
        return self.engines[setup.name]


def _traits(image: str) -> ImageTraits:
    name = image.rpartition("/")[2].partition(":")[0]
    return ImageTraits(healthy_after=_TRAITS.get(name, 0.5), stop_takes=0.5)


def docker_host(setup: HostSetup) -> Engine:
    return DockerEngine(setup.endpoint)
