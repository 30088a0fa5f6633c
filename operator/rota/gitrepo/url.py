"""Which repository addresses are accepted: none that runs a program or carries a secret."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from rota.errors import Stalled

_SCP_LIKE = re.compile(r"(?P<user>[^/:@\s]+@)?(?P<host>[^/:@\s]+):(?P<path>[^:@\s][^@\s]*)")
_SCHEMES = ("file", "http", "https", "ssh")
_FORMS = "Use https://, http://, ssh:// or file:///, or an absolute path."


def check_url(url: str) -> None:
    """Accept file:///, http(s)://, ssh:// and absolute paths; raise Stalled("UnsupportedUrl") otherwise.

    A password has no place in a URL: it would show in logs, in the status and in process lists. The
    refusal therefore never repeats what stands before an `@`.
    """
    if not url or not url.isprintable() or " " in url:
        raise _refusal("The repository URL is empty or has spaces or control characters.", _FORMS)
    if url.startswith("-"):
        raise _refusal("The repository URL begins with a dash, which git would read as an option.", _FORMS)
    if url.startswith("/"):
        return
    if "://" not in url:
        raise _not_a_url(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refusal(f"The repository URL {redact(url)} cannot be read.", _FORMS) from error
    if not url.startswith(tuple(f"{scheme}://" for scheme in _SCHEMES)):  # git knows them in lower case only
        raise _refusal(f"The scheme of the repository URL {redact(url)} is not supported.", _FORMS)
    _check_secrets(url, parts)
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise _refusal(f"The URL {url} names no absolute path.", "Write file:///srv/fleet.git.")
    elif not parts.hostname or parts.hostname.startswith("-") or port == 0:
        raise _refusal(f"The repository URL {redact(url)} names no usable host.", _FORMS)


def redact(url: str) -> str:
    """The URL as it may be shown: without user, password, query and fragment.

    All up to the last `@` goes, as a password may hold a slash that was not escaped.
    """
    shown = re.sub(r"(?:(?<=://)|^).*@", "", url, count=1)
    return re.split(r"[?#]", shown, maxsplit=1)[0]


def _check_secrets(url: str, parts: SplitResult) -> None:
    if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
        raise _refusal(
            f"The repository URL {redact(url)} carries a user or a password.",
            "Take it out of the URL and set git-username and git-password instead.",
        )
    if "@" in parts.path and parts.scheme != "file":
        raise _refusal(
            f"The repository URL {redact(url)} has an @ after its host, as a password with a slash does.",
            "Take the password out of the URL, or write %40 for an @ in a path.",
        )
    if parts.query or parts.fragment:
        raise _refusal(f"The repository URL {redact(url)} has a query or a fragment.", "Take it out.")


def _not_a_url(url: str) -> Stalled:
    if "::" in url:
        return _refusal("The repository URL asks git to run a program as its transport.", _FORMS)
    if match := _SCP_LIKE.fullmatch(url):
        mend = f"ssh://{match['user'] or ''}{match['host']}/{match['path'].lstrip('/')}"
        return _refusal("The repository URL has the short form of scp.", f"Write {mend} instead.")
    return _refusal(f"The repository URL {redact(url)} is neither a URL nor an absolute path.", _FORMS)


def _refusal(what: str, mend: str) -> Stalled:
    return Stalled("UnsupportedUrl", f"{what} {mend}")
