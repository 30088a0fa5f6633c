"""What a failed question to a git server means: its consequence, and what to do."""

from __future__ import annotations

import re

from rota.errors import Retryable, Stalled
from rota.gitrepo.git import GitError, GitInterrupted

# Lines that git adds to every failure of a kind; the reason stands in another line, if there is one.
_NOISE = re.compile(
    r"hint:|warning:|To |git config |Please make sure you have|and the repository exists"
    r"|error: failed to push some refs|fatal: (Could not read from remote|the remote end hung up"
    r"|unpack-objects|fsck error in packed object|(fetch-pack: invalid )?index-pack|expected 'packfile')"
)
_PREFIX = re.compile(r"^(fatal|error): (unable to access '[^']*': )?")
_LONGEST = 300  # characters of a server's words that go into a message

_REFUSALS = (
    ("BranchMissing", r"couldn't find remote ref", "Restore the branch, or name another one."),
    ("UnsafeObjects", r"fsck error", "Remove the object from the repository's history."),
    (
        "ForeignOwner",
        r"dubious ownership",
        "Run Rota as the owner of that directory, or serve the repository over https or ssh.",
    ),
    (
        "UnsupportedUrl",
        r"transport '.*' not allowed|update url base|error: 30[1278]",
        "Write the repository's final URL.",
    ),
)
_MENDS = (
    (
        r"Authentication failed|could not read (Username|Password)|error: 40[13]|Permission denied|denied to",
        "Check git-username and git-password, or git-ssh-key, and their rights on the repository.",
    ),
    (r"Host key verification failed", "Check git-known-hosts: the server's key is not in it, or changed."),
    (r"certificate", "Check the server's certificate, or name its authority with git-ca-file."),
    (r"Could not resolve|Name or service not known", "Check the host in the URL, and the name server."),
    (
        r"not found|error: 404|does not (exist|appear to be)|No such file|not a git repository",
        "Check the URL; a forge also answers so when the credentials have no right to the repository.",
    ),
    (r"No space left", "Free disk space."),
)
_NO_RIGHT_TO_PUSH = re.compile(r"error: 403|denied to|read.only|not allowed to push|insufficient permission")


def server_failure(attempt: str, url: str, failure: GitError) -> Retryable | Stalled:
    """The error to raise for `failure` of a command that asked a server.

    `attempt` says in past tense what was tried ("could not be polled"); `url` must hold no secret.
    """
    if isinstance(failure, GitInterrupted):
        return Retryable(f"The repository {url} {attempt}: {failure.why}. Check that the server is up.")
    why = reason(failure.stderr) or failure.why
    for word, pattern, mend in _REFUSALS:
        if re.search(pattern, failure.stderr):
            return Stalled(word, f"The repository {url} {attempt}: {why}. {mend}")
    mend = next((mend for pattern, mend in _MENDS if re.search(pattern, failure.stderr)), "It may pass.")
    return Retryable(f"The repository {url} {attempt}: {why}. {mend}")


def push_failure(url: str, failure: GitError) -> Retryable | Stalled:
    """As `server_failure`, for a push: a missing right lasts until somebody grants it."""
    if _NO_RIGHT_TO_PUSH.search(failure.stderr):
        return push_refused(url, reason(failure.stderr))
    return server_failure("could not be pushed to", url, failure)


def push_refused(url: str, why: str) -> Stalled:
    """The server took the push and said no: a hook, a protected branch, a missing right."""
    return Stalled(
        "StatusPushRefused",
        f"The repository {url} refused the status branch: {why}. "
        "Let Rota's user push to that branch, or name another one with --status-branch.",
    )


def reason(stderr: str) -> str:
    """The last line of git's errors that tells something, printable and of bounded length."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip().removeprefix("remote:")]
    useful = [line for line in lines if not _NOISE.match(line)] or lines
    if not useful:
        return ""
    if "terminal prompts disabled" in useful[-1]:
        return "the server asks for a user and a password, and took none that it was given"
    return printable(_PREFIX.sub("", useful[-1])).rstrip(".")


def printable(text: str) -> str:
    """A server's words made safe for a log line and a status file."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"
