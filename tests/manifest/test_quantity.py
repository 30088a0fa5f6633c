"""Amounts as people write them."""

from __future__ import annotations

import pytest

from rota.core.model import Amount
from rota.manifest.quantity import amount, memory_bytes, millicores, seconds, size_bytes


@pytest.mark.parametrize(
    ("stated", "expected"),
    [(2, 2000), ("2", 2000), ("0.5", 500), ("0.001", 1), ("1.25", 1250), ("500m", 500), ("1500m", 1500)],
)
def test_cpu(stated: int | str, expected: int) -> None:
    assert millicores(stated) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (1000, 1000),
        ("1000", 1000),
        ("1k", 1000),
        ("512M", 512 * 10**6),
        ("1G", 10**9),
        ("2T", 2 * 10**12),
        ("1Ki", 1024),
        ("256Mi", 256 * 2**20),
        ("1Gi", 2**30),
        ("1Ti", 2**40),
    ],
)
def test_memory(stated: int | str, expected: int) -> None:
    assert memory_bytes(stated) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (7, 7),
        ("7b", 7),
        ("64k", 2**16),
        ("64kb", 2**16),
        ("64m", 2**26),
        ("64mb", 2**26),
        ("64Mi", 2**26),
        ("1g", 2**30),
        ("1gb", 2**30),
        ("1Gi", 2**30),
    ],
)
def test_compose_size(stated: int | str, expected: int) -> None:
    assert size_bytes(stated) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1h2m3s4ms", 3723.004),
        ("2.5s", 2.5),
        ("0s", 0),
    ],
)
def test_duration(stated: str, expected: float) -> None:
    assert seconds(stated) == expected


def test_amount() -> None:
    assert amount(4) == Amount(value=4)
    assert amount("150%") == Amount(value=150, percent=True)
