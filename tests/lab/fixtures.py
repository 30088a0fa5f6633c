"""The fixtures of every test that needs real Docker hosts; `tests/conftest.py` makes them known to all."""

import os
from collections.abc import Iterator

import pytest

from tests.lab.hosts import Lab, LabError
from tests.lab.packages import ensure_packages

REQUIRED = "ROTA_LAB"
NAME = "ROTA_LAB_NAME"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three hosts for the whole session. `ROTA_LAB=required` turns a machine without a lab into a failure.

    `ROTA_LAB_NAME` names it, so that two sessions can run on one machine.
    """
    reason = reason_for_none()
    if reason is not None:
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(f"{REQUIRED}=required, yet {reason}", pytrace=False)
        pytest.skip(reason)
    with Lab.up(3, name=os.environ.get(NAME, "test")) as up:
        yield up


@pytest.fixture
def hosts(lab: Lab) -> Lab:
    """The lab with every fault undone and every container, volume and network removed."""
    lab.mend_all()
    lab.clear_all()
    return lab


def reason_for_none() -> str | None:
    """Why this machine has no lab. A lab that can be had and does not come up is an error, never a skip."""
    reason = Lab.why_not()
    if reason is not None:
        return reason
    try:
        ensure_packages()
    except LabError as error:
        return str(error)
    return None
