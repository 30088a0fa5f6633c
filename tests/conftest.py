"""What every test may ask for, and what none leaves behind."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest
import structlog

pytest_plugins = ["tests.lab.fixtures"]


def pytest_configure() -> None:
    """SIGTERM ends the run as Ctrl-C does; an exit that is raised in a test would only fail that test."""
    signal.signal(signal.SIGTERM, _end_the_run)


def _end_the_run(number: int, frame: FrameType | None) -> None:
    pytest.exit("SIGTERM", returncode=128 + number)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that runs in a test says where its log goes: to a stream that is closed afterwards."""
    yield
    structlog.reset_defaults()
