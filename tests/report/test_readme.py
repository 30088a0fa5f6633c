"""The README of the status branch: a verdict, tables, and no markup that somebody else brought."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.core.status import Condition, Finding, FleetStatus
from rota.report.readme import escape, readme
from tests.report.fleets import status_of, varied

HOSTILE = (
    "a | b",
    "`code`",
    "<img src=x onerror=alert(1)>",
    "<!-- hidden",
    "@all and @team/ops",
    "[text](https://evil.example)",
    "![image](https://evil.example/x.png)",
    "https://evil.example and www.evil.example",
    "mail@evil.example",
    "closes #7",
    "**bold** _it_ ~~gone~~ $x$",
    "&lt;img&gt;",
    "line\nbreak\r\n# Heading\u2028more\x1b[2J\u202e",
    "back\\slash\\|",
)


@pytest.fixture(scope="module")
def status() -> FleetStatus:
    return status_of(varied())


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_text(status: FleetStatus, text: str) -> None:
    """In every place at once: the document has as many lines and cells as with a harmless text."""
    assert shape(readme(infested(status, text))) == shape(readme(infested(status, "harmless")))


def infested(status: FleetStatus, text: str) -> FleetStatus:
    return replace(
        status,
        fleet=text,
        source=replace(status.source, problems=(Finding(text, 1, 1, text),)),
        conditions=tuple(replace(one, reason=text, message=text) for one in status.conditions),
        windows=((text, text, text, text),),
        hosts=tuple(
            replace(one, detail=text, cordon=text, view=replace(one.view, name=text)) for one in status.hosts
        ),
        workloads=tuple(
            replace(one, namespace=text, name=text, rule=text, reason=text, changes=())
            for one in status.workloads
        ),
    )


def shape(text: str) -> list[int]:
    """The number of cells of every line, by the pipes that are not escaped."""
    plain = re.sub(r"\\\\", "", text)
    return [len(re.findall(r"(?<!\\)\|", line)) for line in plain.split("\n")]


MARKUP = re.compile(
    r"(?<!\\)[`*_\[\]<>|!&~$#]|@\w|#\d|://|www\.|[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]"
)


@given(st.text())
def test_nothing_that_a_forge_reads_is_left(text: str) -> None:
    unescaped = re.sub(r"\\\\", "", escape(text))
    assert MARKUP.search(unescaped) is None


@given(st.text(st.characters(blacklist_categories=("C", "Z"), blacklist_characters="\u200b")))
def test_what_a_person_reads_is_what_was_written(text: str) -> None:
    read = re.sub(r"\\(.)", r"\1", escape(text)).replace("\u200b", "")
    assert read == text


def test_the_verdict_stands_in_the_first_line(status: FleetStatus) -> None:
    condition = Condition(
        type="Ready", status="True", reason="Fine", message="3 instances of 1 workloads are ready"
    )
    text = readme(replace(status, fleet="shop", conditions=(condition,)))
    assert text.split("\n")[0] == "# shop: Ready (Fine). 3 instances of 1 workloads are ready"
