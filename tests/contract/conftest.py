from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.subjects import DockerSubject, MemorySubject, Subject


@pytest.fixture(params=["memory", pytest.param("docker", marks=pytest.mark.lab)])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Each kind of engine, empty and without faults."""
    if request.param == "memory":
        made: Subject = MemorySubject()
    else:
        made = DockerSubject(request.getfixturevalue("hosts"))
    yield made
    made.engine.close()
