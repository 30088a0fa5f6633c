"""The stream that `git fast-import` reads: one commit of exactly the given files, without a work tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_IDENTITY = b"Rota <rota@localhost>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A commit to be: all its files, and which of their contents the repository already has.

    The same draft gives the same commit id, wherever and however often it is made.
    """

    parent: str | None
    message: str
    at: datetime
    files: Mapping[str, bytes]
    known: Mapping[str, str]
    """Paths whose content need not be sent, with its blob id."""

    def stream(self, ref: str) -> bytes:
        """The commands that put the commit into `ref`; git answers with its id."""
        seconds = int(self.at.timestamp())
        message = self.message.encode()
        parts = [
            b"commit %s\nmark :1\n" % ref.encode(),
            b"author %s %d +0000\ncommitter %s %d +0000\n" % (_IDENTITY, seconds, _IDENTITY, seconds),
            b"data %d\n%s\n" % (len(message), message),
        ]
        # Without a parent the commit would go on top of what a former run left in the ref.
        parts.append(b"from %s\n" % (self.parent or "0" * 40).encode())
        parts.append(b"deleteall\n")
        parts.extend(self._changes())
        parts.append(b"get-mark :1\ndone\n")
        return b"".join(parts)

    def _changes(self) -> Iterable[bytes]:
        for path in sorted(self.files):
            quoted = b'"%s"' % path.translate(_ESCAPES).encode()
            if path in self.known:
                yield b"M 100644 %s %s\n" % (self.known[path].encode(), quoted)
            else:
                content = self.files[path]
                yield b"M 100644 inline %s\ndata %d\n%s\n" % (quoted, len(content), content)


def message(subject: str, trailers: Mapping[str, str]) -> str:
    """A commit message. Each part is put on one line, so that no text from outside can forge a trailer."""
    lines = [f"{name}: {' '.join(value.split())}" for name, value in trailers.items()]
    return "\n".join([" ".join(subject.split()), "", *lines, ""])
