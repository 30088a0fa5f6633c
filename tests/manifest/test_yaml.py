"""Text to values: the core schema of YAML 1.2, places, and texts made to do harm."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.manifest.problem import Position
from rota.manifest.yaml import MAX_DEPTH, MAX_NODES, Parsed, parse
from tests.manifest.trees import POLICY, SERVICE

FILE_LIMIT = 2**20


def said(content: bytes) -> list[str]:
    return [str(problem) for problem in parse("x.yaml", content).problems]


def only(content: bytes) -> object:
    """The value of a text that holds one sound document."""
    parsed = parse("x.yaml", content)
    assert parsed.problems == ()
    assert len(parsed.documents) == 1
    return parsed.documents[0].root


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("NO", "NO"),
        ("22:00", "22:00"),
        ("1:30:00", "1:30:00"),
        ("1_000", "1_000"),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("-0", 0),
        ("9007199254740992", 2**53),
        ("3.10", 3.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("~", None),
        ("NULL", None),
        ("nUll", "nUll"),
        ("True", True),
        ("tRue", "tRue"),
        ("2026-11-28", "2026-11-28"),
        ("=", "="),
        ("-", "-"),
        ("1.2.3", "1.2.3"),
        ("0o9", "0o9"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("''", ""),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    # A sequence item, so that "-" and "=" stand where a plain scalar may.
    found = only(f"[{text}]".encode())
    assert found == [value]
    assert isinstance(found, list)
    assert type(found[0]) is type(value)


def test_keys_are_text() -> None:
    assert only(b"on: 1\n080: 2\n22:00: 3\ntrue: 4\n~: 5\n") == {
        "on": 1,
        "080": 2,
        "22:00": 3,
        "true": 4,
        "~": 5,
    }


def test_empty_documents_are_left_out_and_others_keep_their_lines() -> None:
    parsed = parse("x.yaml", b"# nothing\n---\n---\na: 1\n---\n# still nothing\n--- ~\n---\n- b\n")
    assert [(document.root, document.start.line) for document in parsed.documents] == [
        ({"a": 1}, 4),
        (["b"], 9),
    ]


def test_byte_order_mark_and_line_ends_of_windows() -> None:
    parsed = parse("x.yaml", b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n")
    assert parsed.documents[0].root == {"a": 1, "b": {"c": 2}}
    assert parsed.documents[0].position(("b", "c")) == Position(3, 6)


def test_places_of_values_keys_and_what_is_not_there() -> None:
    document = parse("x.yaml", b"---\nz: 1\n---\na:\n  - {b: 1, c: [x, 'y']}\n  - d\n").documents[1]
    assert document.start == Position(4, 1)
    assert document.position(("a",)) == Position(5, 3)
    assert document.position(("a",), key=True) == Position(4, 1)
    assert document.position(("a", 0, "c", 1)) == Position(5, 19)
    assert document.position(("a", 0, "c"), key=True) == Position(5, 12)
    assert document.position(("a", 1)) == Position(6, 5)
    assert document.position(("a", 0, "missing")) == Position(5, 5)
    assert document.position(("missing",)) == Position(4, 1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: \xff", "x.yaml:1:4: the byte 0xff is not UTF-8. Save the file as UTF-8."),
        (b"\xef\xbb\xbfb: 1\na: \xc3", "x.yaml:2:4: the byte 0xc3 is not UTF-8. Save the file as UTF-8."),
        ("a: 1".encode("utf-16"), "x.yaml:1:1: the file is UTF-16. Save it as UTF-8."),
        (b"a: 1\nb: \x00", "x.yaml:2:4: the character U+0000 is not allowed. Remove it."),
        (b"a: \x1b[31m", "x.yaml:1:4: the character U+001B is not allowed. Remove it."),
        ("a: \ufffe".encode(), "x.yaml:1:4: the character U+FFFE is not allowed. Remove it."),
        (
            b"a: 1" + b"0" * 4999,
            "x.yaml:1:4: the number is beyond 2^53 (at a). Quote it if text is meant.",
        ),
        (
            b"a: 1\r%TAG ! b\n",
            "x.yaml:1:6: a line must not begin with %: YAML directives are not allowed. Remove the line.",
        ),
    ],
)
def test_bytes_that_are_refused(content: bytes, problem: str) -> None:
    assert said(content) == [problem]


def test_depth() -> None:
    assert parse("x.yaml", b"[" * MAX_DEPTH + b"]" * MAX_DEPTH).problems == ()
    expected = f"x.yaml:1:{MAX_DEPTH + 1}: values are nested more than 64 deep."
    assert said(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)) == [expected]
    assert said(b"{a: " * 2000) == [f"x.yaml:1:{MAX_DEPTH * 4 + 1}: values are nested more than 64 deep."]


def test_bomb_of_brackets_is_refused_at_once() -> None:
    began = perf_counter()
    problems = said(b"[" * 50_000)
    assert perf_counter() - began < 0.05
    assert problems == ["x.yaml:1:65: values are nested more than 64 deep."]


def test_bomb_of_aliases_is_refused_at_its_first_anchor() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    expected = "x.yaml:1:5: anchors are not allowed. Write the value out where it is used."
    assert said("\n".join(lines).encode()) == [expected]


@pytest.mark.parametrize(
    "part",
    ["[", "{", "? ", "- ", "a:\n", "- a\n", "[[],", '"', "--- \n", "[]\n---\n", "a: {b: 1}\n", "# \n", "é"],
)
def test_a_file_full_of_one_thing_takes_bounded_time(part: str) -> None:
    content = (part * FILE_LIMIT)[:FILE_LIMIT].encode()[:FILE_LIMIT]
    began = perf_counter()
    parse("x.yaml", content)
    assert perf_counter() - began < 5


def test_thousands_of_directives_never_reach_libyaml() -> None:
    content = "".join(f"%TAG !{number}! b\n" for number in range(60_000)).encode()
    began = perf_counter()
    assert len(said(content)) == 1
    assert perf_counter() - began < 0.5


def test_number_of_values() -> None:
    content = b"[" + b"1," * MAX_NODES + b"]"
    assert said(content) == [f"x.yaml:1:{2 * MAX_NODES}: the file has more than 100,000 values. Split it."]


def test_duplicates_are_told_once_each_and_not_without_end() -> None:
    assert len(said(b"a: {b: {c: 1}}\n" * 3)) == 2
    assert len(said(b"a: 1\n" * 1000)) == 50


def test_a_file_that_breaks_off_has_no_documents() -> None:
    parsed = parse("x.yaml", b"a: 1\n---\nb: [\n")
    assert parsed.documents == ()
    assert len(parsed.problems) == 1


def test_a_document_with_a_problem_does_not_take_the_others_along() -> None:
    parsed = parse("x.yaml", b"a: 1\n---\nb: .nan\n---\nc: 1\nc: 2\n---\nd: 1\n")
    assert [document.root for document in parsed.documents] == [{"a": 1}, {"d": 1}]
    assert [problem.line for problem in parsed.problems] == [3, 6]


def bounded(parsed: Parsed) -> None:
    for problem in parsed.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert len(str(problem)) < 1500
    for document in parsed.documents:
        assert document.root is not None


@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    bounded(parse("x.yaml", content))


@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@`# \n\t~0.é\u2028", max_size=60))
def test_any_text_of_the_signs_of_yaml(text: str) -> None:
    bounded(parse("x.yaml", text.encode()))


@given(st.sampled_from([SERVICE, POLICY]), st.data())
def test_any_mutation_of_a_manifest(manifest: str, data: st.DataObject) -> None:
    content = manifest.encode()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 20)))
    bounded(parse("x.yaml", content[:start] + data.draw(st.binary(max_size=8)) + content[end:]))
