"""`python -m benchmarks.watching.engines HOSTS CONTAINERS`: that many Engines in memory behind real HTTP.

Each has a port of its own on loopback and speaks as much of Docker's API as watching asks for. The ports are
printed as one line of JSON; it ends with its standard input. Three paths are its own: `POST /die?slot=N` lets
a container die and says when that was told (monotonic time, which all processes share), `GET /streams` counts
the event streams that are open, and after `POST /hang` an Engine goes on accepting and answers no more.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.watching.fleet import start_of
from rota.engine.labels import labels_for

LOOPBACK = "127.0.0.1"
PONG = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"
STREAM = (
    b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


class Engine:
    """One Engine: its containers, as its list shows them, and who listens to its events."""

    streams = 0

    def __init__(self, host: int, containers: int) -> None:
        self._host = host
        self._rows = [_row(host, at) for at in range(containers)]
        self._listeners: list[asyncio.WriteTransport] = []
        self._info = _json(
            {
                "ID": f"engine-{host}",
                "ServerVersion": "20.10.24",
                "NCPU": 16,
                "MemTotal": 64 << 30,
                "Containers": containers,
            }
        )
        self._list = _json(self._rows)
        self._hangs = False

    def answer(self, path: str, transport: asyncio.WriteTransport) -> bytes:
        if self._hangs:
            return b""
        if path == "/hang":
            self._hangs = True
            return _json(0)
        if path == "/_ping":
            return PONG
        if path.startswith("/die"):
            return self._die(int(parse_qs(urlsplit(path).query)["slot"][0]))
        if path == "/streams":
            return _json(Engine.streams)
        if "/containers/json" in path:
            return self._list
        if "/events" in path:
            self._listeners.append(transport)
            Engine.streams += 1
            return STREAM
        if path.endswith("/info"):
            return self._info
        return _json({"message": "not found"}, "404 Not Found")

    def forget(self, transport: asyncio.BaseTransport) -> None:
        if transport in self._listeners:
            self._listeners.remove(transport)  # type: ignore[arg-type]
            Engine.streams -= 1

    def _die(self, at: int) -> bytes:
        row = self._rows[at]
        row["State"], row["Status"], row["Ports"] = "exited", "Exited (1) Less than a second ago", []
        self._list = _json(self._rows)
        attributes = {**row["Labels"], "exitCode": "1", "image": row["Image"], "name": row["Names"][0][1:]}
        event = {
            "status": "die",
            "id": row["Id"],
            "Type": "container",
            "Action": "die",
            "Actor": {"ID": row["Id"], "Attributes": attributes},
        }
        text = json.dumps(event).encode() + b"\n"
        for listener in self._listeners:
            listener.write(b"%x\r\n%s\r\n" % (len(text), text))
        return _json(time.monotonic())


class Protocol(asyncio.Protocol):
    """One connection; requests have no body."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, content: bytes) -> None:
        *requests, self._received = (self._received + content).split(b"\r\n\r\n")
        for request in requests:
            path = request.split(b" ", 2)[1].decode()
            self._transport.write(self._engine.answer(path, self._transport))

    def connection_lost(self, _: Exception | None) -> None:
        self._engine.forget(self._transport)


def _row(host: int, at: int) -> dict[str, Any]:
    start = start_of(host, at)
    return {
        "Id": f"{host:032x}{at:032x}",
        "Names": [f"/{start.name}"],
        "Image": start.container.image,
        "ImageID": "sha256:" + "a" * 64,
        "Command": "/app work",
        "Created": 1_700_000_000,
        "Ports": [
            {"IP": address, "PrivatePort": port.target, "PublicPort": port.published, "Type": "tcp"}
            for port in start.ports
            for address in ("0.0.0.0", "::")
        ],
        "Labels": labels_for(start),
        "State": "running",
        "Status": "Up 2 hours (healthy)",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": _network(at)}},
        "Mounts": [],
    }


def _network(at: int) -> dict[str, Any]:
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "NetworkID": "b" * 64,
        "EndpointID": "c" * 64,
        "Gateway": "172.17.0.1",
        "IPAddress": f"172.17.0.{at + 2}",
        "IPPrefixLen": 16,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "02:42:ac:11:00:02",
        "DriverOpts": None,
    }


def _json(content: object, status: str = "200 OK") -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _serve(hosts: int, containers: int) -> None:
    loop = asyncio.get_running_loop()

    def ports() -> Iterator[Any]:
        for host in range(hosts):
            engine = Engine(host, containers)
            yield loop.create_server(lambda engine=engine: Protocol(engine), LOOPBACK, 0, backlog=64)

    servers = [await server for server in ports()]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
