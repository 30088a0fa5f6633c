"""What is masked of what containers write, and what is left as it is."""

from __future__ import annotations

import pytest

from rota.core.redact import MASK, redact, secrets_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("password=hunter2", "password=***"),
        ("DB_PASSWORD: hunter2, next", "DB_PASSWORD: ***, next"),
        ("db.passwd = 'two words' rest", "db.passwd = *** rest"),
        ('{"api_key": "abc", "user": "me"}', '{"api_key": ***, "user": "me"}'),
        ("?token=abc&page=2", "?token=***&page=2"),
        ("client-secret=abc;x=1", "client-secret=***;x=1"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("sent bearer abcdefgh12345678==", "sent bearer ***"),
        ("postgres://app:hunter2@db:5432/x", "postgres://app:***@db:5432/x"),
        ("with ghp_0123456789abcdefghij0123 to", "with *** to"),
        ("key AKIA0123456789ABCDEF", "key ***"),
        ("jwt eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2ln end", "jwt *** end"),
    ],
)
def test_what_looks_like_a_secret_is_masked(line: str, expected: str) -> None:
    assert redact([line]) == (expected,)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "listening on http://0.0.0.0:8080/health",
        "no password was given",
        "tokenizer ready",
        "user:me@example.org",
        "took 12 ms: key not found",
        "panic: runtime error",
    ],
)
def test_what_does_not_is_left_as_it_is(line: str) -> None:
    assert redact([line]) == (line,)


def test_secrets_of_the_environment_are_masked_wherever_they_stand() -> None:
    secrets = secrets_of({"DB_PASSWORD": "hunter2", "LOG_LEVEL": "debug"})
    assert secrets == {"hunter2"}
    assert redact(["cannot log in with hunter2 at debug"], secrets) == (
        f"cannot log in with {MASK} at debug",
    )


@pytest.mark.parametrize(
    "name",
    [
        "PASSWORD",
        "db_pass",
        "API_KEY",
        "AUTH",
        "SESSION",
        "SENTRY_DSN",
        "PRIVATE",
        "MY_TOKEN",
        "aws_credential",
    ],
)
def test_names_that_say_so_are_secrets(name: str) -> None:
    assert secrets_of({name: "value"}) == {"value"}


def test_what_is_too_short_is_no_secret_for_it_stands_everywhere() -> None:
    assert secrets_of({"PASSWORD": "abc", "TOKEN": ""}) == frozenset()


def test_a_secret_within_another_leaves_nothing_of_the_longer_one() -> None:
    assert redact(["it is hunter2000"], ["hunter2", "hunter2000"]) == (f"it is {MASK}",)


def test_the_password_in_an_address_is_a_secret_by_itself() -> None:
    secrets = secrets_of({"QUEUE": "amqp://app:hunter2@queue", "PAGE": "http://localhost:8080/"})
    assert secrets == {"hunter2"}
    lines = ["cannot reach amqp://app:hunter2@queue", "hunter2 was refused by queue"]
    assert redact(lines, secrets) == ("cannot reach amqp://app:***@queue", "*** was refused by queue")


def test_masking_twice_changes_nothing() -> None:
    once = redact(["password=hunter2 postgres://a:b@c Authorization: Bearer abcdefghij"])
    assert redact(once) == once
