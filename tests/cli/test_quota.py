"""A quota that the coming year breaks: an error for whoever brings it, and no reason to refuse a commit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rota.cli.main import main
from tests.manifest.trees import FLEET, SERVICE

NOW = "2026-11-24T12:00:00+01:00"
HOST = (
    "apiVersion: rota/v1\nkind: Host\nmetadata: {name: h1}\n"
    "spec: {endpoint: 'tcp://10.0.0.1:2375', address: h1, capacity: {cpu: 32, memory: 64Gi}}\n"
)
POLICY = """\
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {name: sale, namespace: shop}
spec:
  timeZone: Europe/Berlin
  base: {replicas: {web: 4}}
  windows:
    - {name: rush, days: [sat], start: "22:00", end: "02:30", replicas: {web: 8}}
"""
MARCH = """\
apiVersion: rota/v1
kind: Override
metadata: {name: march, namespace: shop}
spec:
  target: {kind: CapacityPolicy, name: sale}
  window: rush
  from: "2027-03-27T22:00:00+01:00"
  until: "2027-03-29T08:00:00+02:00"
  reason: the sale of spring
"""
QUOTA = """\
apiVersion: rota/v1
kind: Quota
metadata: {name: all, namespace: shop}
spec:
  hard: {cpu: 6, instances: 8}
"""
SENTENCE = (
    "quota shop/all: cpu 8 of 6 wanted from 2026-11-28T22:00+01:00 until 2026-11-29T02:30+01:00,"
    " 52 times in the coming year (2 over): shop/web 8 x 1 (window sale/rush)"
)
MEND = "Raise the limit, or ask for less."


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {"fleet": FLEET, "host": HOST, "web": SERVICE, "sale": POLICY, "march": MARCH, "quota": QUOTA}
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rota(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it says on either stream."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


def test_validate_fails_and_says_who_wants_what_when(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rota(capsys, "validate", "--now", NOW) == (
        1,
        f"quota.yaml:1:1: {SENTENCE} (at spec.hard.cpu). {MEND}\n",
        "6 manifests are valid and would be applied, with 1 problem in the coming year.\n",
    )


def test_json_calls_the_commit_valid_and_the_finding_an_error(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = rota(capsys, "validate", "--format", "json", "--now", NOW)
    document = json.loads(out)
    assert (code, document["valid"]) == (1, True)
    assert document["problems"] == [
        {
            "path": "quota.yaml",
            "line": 1,
            "column": 1,
            "pointer": "spec.hard.cpu",
            "message": SENTENCE,
            "mend": MEND,
            "severity": "error",
        }
    ]


def test_an_override_in_march_is_found_in_november_and_only_within_the_year(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "sale.yaml").write_text(POLICY.replace("web: 8", "web: 6"))
    assert rota(capsys, "validate", "--now", NOW)[0] == 0
    surge = MARCH.replace("CapacityPolicy, name: sale", "Service, name: web")
    (repository / "march.yaml").write_text(surge.replace("window: rush", "replicas: 9"))
    code, out, _ = rota(capsys, "validate", "--now", NOW)
    where = "from 2027-03-27T21:00Z until 2027-03-29T06:00Z, once in the coming year"
    cpu = f"cpu 9 of 6 wanted {where} (3 over): shop/web 9 x 1 (override march) (at spec.hard.cpu)"
    count = f"instances 9 of 8 wanted {where} (1 over): shop/web 9 (override march) (at spec.hard.instances)"
    assert code == 1
    assert out.splitlines() == [f"quota.yaml:1:1: quota shop/all: {told}. {MEND}" for told in (cpu, count)]
    assert rota(capsys, "validate", "--now", "2026-03-01T12:00:00+01:00")[0] == 0


def test_a_plan_shows_it_as_a_warning_and_goes_on(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = rota(capsys, "plan", "--now", NOW)
    assert code == 0
    assert f"! quota.yaml:1:1: {SENTENCE} (at spec.hard.cpu). {MEND}" in out.splitlines()


def test_with_enough_room_validate_is_content(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "quota.yaml").write_text(QUOTA.replace("cpu: 6", "cpu: 8"))
    assert rota(capsys, "validate", "--now", NOW) == (
        0,
        "",
        "6 manifests are valid. See what they do: rota plan\n",
    )
