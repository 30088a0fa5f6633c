"""A private registry beside the hosts: basic authentication, images on disk, this machine's own address."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import docker

from tests.lab.hosts import Lab
from tests.lab.packages import program
from tests.lab.shell import LabError
from tests.lab.waiting import wait_for

USER, PASSWORD = "rota", "hunter2-for-the-lab"
# bcrypt of the password, the only kind the registry takes; of low cost, for nothing is kept safe here.
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuIFt7O6bWPZACkwvnE8vNISxdg7bQ8w6\n"
READY_SECONDS = 10.0
STOP_SECONDS = 10.0
CONFIGURATION = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "{address}"}}
auth: {{htpasswd: {{realm: lab, path: {folder}/htpasswd}}}}
log: {{level: warn}}
"""


class Registry:
    """A registry that runs within a `with` block; `stop` before its end leaves its images where they are."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        self.address = f"{lab.layout.gateway}:{_free_port(lab.layout.gateway)}"
        (folder / "htpasswd").write_text(HTPASSWD)
        text = CONFIGURATION.format(folder=folder, address=self.address)
        (folder / "registry.yaml").write_text(text)
        self.logins = folder / "logins.json"
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.logins.write_text(json.dumps({"auths": {self.address: {"auth": login}}}))

    def __enter__(self) -> Self:
        self._process = self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """From now on nobody answers at its address."""
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def push(self, image: str, name: str) -> str:
        """Give an image that h1 has to the registry as `name`: how hosts pull it."""
        repository, _, tag = f"{self.address}/{name}".rpartition(":")
        with closing(
            docker.APIClient(base_url=f"unix://{self._lab.host('h1').socket}", timeout=60)
        ) as client:
            client.tag(image, repository, tag, force=True)
            login = {"username": USER, "password": PASSWORD}
            said = client.push(repository, tag, auth_config=login, stream=True, decode=True)
            errors = [line["error"] for line in said if "error" in line]
            client.remove_image(f"{repository}:{tag}")
        if errors:
            raise LabError(f"{image} could not be pushed to {repository}:{tag}: {errors[0]}")
        return f"{repository}:{tag}"

    def _start(self) -> subprocess.Popen[bytes]:
        binary = program("docker-registry")
        if binary is None:
            raise LabError("the registry needs the package docker-registry: install it")
        with (self._folder / "registry.log").open("ab") as log:
            process = subprocess.Popen(
                [binary, "serve", str(self._folder / "registry.yaml")], stdout=log, stderr=log
            )
        wait_for(self._accepts, READY_SECONDS, f"the registry to listen on {self.address}")
        return process

    def _accepts(self) -> bool:
        host, _, port = self.address.partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=1.0).close()
        except OSError:
            return False
        return True


def _free_port(address: str) -> int:
    """A port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
