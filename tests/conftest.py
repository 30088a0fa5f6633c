"""What every test may ask for, and what none leaves behind."""

from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.lab.fixtures"]


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that runs in a test says where its log goes: to a stream that is closed afterwards."""
    yield
    structlog.reset_defaults()
