"""What `rota plan --day` says beside its forecast: warnings, as of when, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rota.core.forecast import walk
from tests.cli.test_quota import HOST, rota
from tests.manifest.trees import FLEET, POLICY, SERVICE

OVERRIDE = """apiVersion: rota/v1
kind: Override
metadata: {name: sale, namespace: shop}
spec:
  target: {kind: Service, name: web}
  replicas: 3
  from: "2026-01-01T00:00:00Z"
  until: "2026-01-02T00:00:00Z"
  reason: sale
"""


def folder(tmp_path: Path, **more: str) -> str:
    for name, text in {"fleet": FLEET, "host": HOST, "web": SERVICE, "hours": POLICY, **more}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return str(tmp_path)


def test_now_is_when_it_was_observed_and_what_is_past_by_then_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plan", "-C", folder(tmp_path, sale=OVERRIDE), "--day", "2026-06-02", "--now")
    _, out, _ = rota(capsys, *words, "2026-06-01T12:00:00+02:00")
    assert "nothing running, Mon 2026-06-01 12:00, before the first day" in out
    assert any(line.startswith("! sale.yaml") for line in out.splitlines())
    _, out, _ = rota(capsys, *words, "2026-01-01T12:00:00+01:00")
    assert "Thu 2026-01-01 12:00" in out
    assert "sale.yaml" not in out
    told = [
        rota(capsys, *words, "2026-06-01T12:00:00Z", "--format", form)[1] for form in ("json", "markdown")
    ]
    assert any("sale.yaml" in one for one in json.loads(told[0])["warnings"])
    assert "sale" in told[1]


def test_a_forecast_that_is_cut_off_is_the_answer_no(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MOST_INSTANTS", 2)
    words = ("plan", "-C", folder(tmp_path), "--week", "2026-06-01", "--now", "2026-06-01T00:00:00Z")
    code, out, _ = rota(capsys, *words)
    assert out.startswith("Forecast NOT COMPLETE, as far as ")
    assert code == 1
