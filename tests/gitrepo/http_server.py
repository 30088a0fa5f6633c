"""A git server on loopback: the standard library's HTTP before git's own `http-backend`, with Basic auth."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

USERNAME = "rota"
PASSWORD = "s3cr3t-Pa55word"
_HEADER = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()


class GitServer(ThreadingHTTPServer):
    """Serves the bare repositories below `root`. What it does with a push can be changed."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.root = root
        self.asked: list[str] = []
        self.redirect: str | None = None
        self.refuse_push = False
        self.apply_push = True
        self.answer_push = True
        self.late_push = threading.Event()
        self.late_push_applied = threading.Event()
        self.seen_in_arguments = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def look_at_arguments(self) -> None:
        """Note whether the password stands in the arguments of any program that runs now."""
        secrets = (PASSWORD.encode(), _HEADER.removeprefix("Basic ").encode())
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = path.read_bytes()
            except OSError:
                continue
            self.seen_in_arguments |= any(secret in arguments for secret in secrets)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: GitServer
    _FORWARDED: ClassVar = {"Content-Type": "CONTENT_TYPE", "Content-Encoding": "HTTP_CONTENT_ENCODING"}

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name it overrides
        """Tests are silent."""

    def _serve(self) -> None:
        server = self.server
        body = self._body()
        server.asked.append(f"{self.command} {self.path}")
        server.look_at_arguments()
        push = self.path.endswith("/git-receive-pack")
        if server.redirect is not None:
            self._answer(301, {"Location": server.redirect + self.path})
        elif self.headers.get("Authorization") != _HEADER:
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'})
        elif server.refuse_push and "git-receive-pack" in self.path:
            self._answer(403, {})
        elif push and not server.apply_push:
            server.late_push.wait(30)
            self._backend(body)
            server.late_push_applied.set()
            self.close_connection = True
        elif push and not server.answer_push:
            self._backend(body)
            server.late_push.wait(30)
            self.close_connection = True
        else:
            self._relay(self._backend(body))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _backend(self, body: bytes) -> bytes:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_USER": USERNAME,
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        environment |= {
            name: self.headers[key] for key, name in self._FORWARDED.items() if key in self.headers
        }
        return subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
        ).stdout

    def _relay(self, answer: bytes) -> None:
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        self._answer(status, headers, content)

    def _answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    server = GitServer(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.late_push.set()
        server.shutdown()
        thread.join()
        server.server_close()
