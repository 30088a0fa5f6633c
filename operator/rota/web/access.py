"""Who may ask the API: whoever has the token; without it, reading only, and only on this machine."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field

from starlette.requests import Request

_MEND = "Start the operator with ROTA_API_TOKEN or ROTA_API_TOKEN_FILE."


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`address` is where the server listens, `token` what `Authorization: Bearer` carries, if any."""

    address: str
    token: str | None = field(default=None, repr=False)

    def refusal(self, request: Request, *, reads: bool) -> tuple[int, str] | None:
        """Why a request is refused, as a status and a sentence; None where it may go on.

        On loopback, reading needs no token. Then the name that it was asked by must be one of loopback: a web
        page that has its own name resolve to 127.0.0.1 would otherwise read what stands here.
        """
        sent = request.headers.get("authorization")
        if self.token is not None and sent is not None:
            scheme, _, word = sent.partition(" ")
            same = hmac.compare_digest(word.strip().encode(), self.token.encode())
            if scheme.lower() == "bearer" and same:
                return None
            return 401, "the token in Authorization is not the one of this operator"
        open_here = reads and is_loopback(self.address)
        if not open_here and self.token is None:
            what = "commands are run" if not reads else f"the API answers on {self.address}"
            return 403, f"{what} only for a token, and this operator has none. {_MEND}"
        if not open_here:
            return 401, "send the token of this operator, as Authorization: Bearer TOKEN"
        host = request.headers.get("host", "")
        if not is_loopback(_name(host)):
            return 403, f"the Host header says {host!r}: ask by 127.0.0.1 or localhost, or send the token"
        return None


def is_loopback(name: str) -> bool:
    """Whether an address or a name is this machine's own, without asking anybody what a name resolves to."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
