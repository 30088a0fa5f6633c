from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.errors import Stalled
from rota.gitrepo.url import check_url, redact


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/fleet.git",
        "http://127.0.0.1:8080/fleet.git",
        "ssh://git@git.example.org:2222/team/fleet.git",
        "file:///srv/git/fleet.git",
        "/srv/git/fleet.git",
    ],
)
def test_accepts(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("ext::sh -c touch% /tmp/x", "spaces"),
        ("ext::sh", "run a program"),
        ("--upload-pack=touch", "dash"),
        ("-x", "dash"),
        ("git://git.example.org/fleet.git", "scheme"),
        ("HTTPS://git.example.org/fleet.git", "scheme"),
        ("httpx://git.example.org/fleet.git", "scheme"),
        ("fleet.git", "neither"),
        ("../fleet.git", "neither"),
        ("file://fleet.git", "absolute"),
        ("https:///fleet.git", "host"),
        ("ssh://-oProxyCommand=x/fleet.git", "host"),
        ("https://git.example.org:port/fleet.git", "cannot be read"),
        ("https://git.example.org/a\nb", "control"),
        ("https://git.example.org/fleet.git?private_token=abc", "query"),
        ("git@git.example.org:team/fleet.git", "Write ssh://git@git.example.org/team/fleet.git"),
        ("git.example.org:/team/fleet.git", "Write ssh://git.example.org/team/fleet.git"),
    ],
)
def test_refuses_with_a_mend(url: str, says: str) -> None:
    with pytest.raises(Stalled, match=says) as refused:
        check_url(url)
    assert refused.value.reason == "UnsupportedUrl"


@pytest.mark.parametrize(
    "url",
    [
        "https://rota:hunter2@git.example.org/fleet.git",
        "https://hunter2@git.example.org/fleet.git",
        "ssh://git:hunter2@git.example.org/fleet.git",
        "https://git.example.org/fleet.git?token=hunter2",
        "https://u:hunter2@[bad/fleet.git",
        "https://u:1/hunter2@git.example.org/fleet.git",
        "https://u:hunter2/1@git.example.org/fleet.git",
        "git:hunter2@git.example.org/fleet.git",
    ],
)
def test_a_refusal_never_repeats_a_secret(url: str) -> None:
    with pytest.raises(Stalled) as refused:
        check_url(url)
    assert "hunter2" not in str(refused.value)


@given(st.text())
def test_any_text_is_accepted_or_refused(text: str) -> None:
    try:
        check_url(text)
    except Stalled:
        return
    assert text.startswith(("/", "file:///", "http://", "https://", "ssh://")) or "://" in text
    assert redact(text).isprintable()
