from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rota.gitrepo import Source
from tests.gitrepo.http_server import GitServer, serving
from tests.gitrepo.origin import Origin


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "srv" / "fleet.git")


@pytest.fixture
def source_of(tmp_path: Path) -> Callable[..., Source]:
    """Makes a Source; each name has a cache of its own, as each daemon has."""

    def make(url: str, name: str = "cache", **settings: object) -> Source:
        return Source(url, "main", "rota/status", tmp_path / name, **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def source(origin: Origin, source_of: Callable[..., Source]) -> Source:
    return source_of(origin.url)


@pytest.fixture
def server(origin: Origin) -> Iterator[GitServer]:
    """Serves `origin` as /fleet.git."""
    with serving(origin.path.parent) as running:
        yield running
