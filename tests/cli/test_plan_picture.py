"""The picture in the README is the one that the command draws of the example."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_quota import rota

ROOT = Path(__file__).parents[2]
DAY = ("plan", "--day", "2026-06-01", "--now", "2026-06-01T00:00:00+02:00", "--format", "svg")


def test_the_picture_of_the_readme_is_what_the_command_draws(capsys: pytest.CaptureFixture[str]) -> None:
    code, drawn, _ = rota(capsys, *DAY, "--repo", str(ROOT / "example-repo"))
    told = f"write it anew: rota {' '.join(DAY)} -C example-repo > docs/example-day.svg"
    assert (code, drawn) == (0, (ROOT / "docs/example-day.svg").read_text()), told
    assert "](docs/example-day.svg)" in (ROOT / "README.md").read_text()
