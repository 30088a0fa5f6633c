"""Bad input, and word for word what is said of it.

A file of `golden/` holds a manifest with the mark `@`, a line of `====`, and cases: what stands at the
mark, and behind `=>` each problem, or `OK`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.manifest.trees import FLEET, POLICY, SERVICE, told

GOLDEN = Path(__file__).parent / "golden"
OTHERS = {
    "fleet.yaml": FLEET,
    "service.yaml": SERVICE.replace("name: web", "name: api"),
    "policy.yaml": POLICY.replace("web:", "api:"),
}


class Case(NamedTuple):
    manifest: str
    expected: list[str]


def cases() -> dict[str, Case]:
    found = {}
    for path in sorted(GOLDEN.glob("*.txt")):
        template, _, blocks = path.read_text().partition("====\n")
        for block in blocks.strip().split("\n\n"):
            lines = block.split("\n")
            expected = [line.removeprefix("=> ") for line in lines if line.startswith("=> ")]
            part = "\n".join(line for line in lines if not line.startswith("=> "))
            name = f"{path.stem}: {part}".encode("unicode_escape").decode()
            assert name not in found, f"{name} is there twice"
            found[name] = Case(template.replace("@", part), [] if expected == ["OK"] else expected)
    return found


CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str) -> None:
    case = CASES[name]
    files = {**OTHERS, "x.yaml": case.manifest}
    if "\nkind: Fleet" in case.manifest:
        del files["fleet.yaml"]
    assert told(files) == case.expected
