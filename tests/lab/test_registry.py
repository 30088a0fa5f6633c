"""Images from a private registry: pulled with a login, held by digest, and not needed for what runs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.lab.hosts import Lab
from tests.lab.operator import (
    WEB,
    WEB_1_6,
    Repository,
    fleet_manifests,
    healthy,
    ids,
    instances,
    operating,
    slots,
    web_manifest,
)
from tests.lab.registry import PASSWORD, Registry
from tests.lab.waiting import wait_for

pytestmark = pytest.mark.lab
SHOP = "shop/web"
SOON = 40.0


def test_what_came_from_a_private_registry_is_held_by_digest(hosts: Lab, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    repository = Repository(tmp_path, hosts.hosts)
    with Registry(hosts, tmp_path / "registry") as registry:
        image = registry.push(WEB, "shop/web:1")
        logins = registry.logins.read_text()
        registry.logins.write_text(json.dumps({"auths": {}}))
        repository.write(**fleet_manifests(hosts.hosts), web=web_manifest(3, image))
        commit = repository.push("three from the registry")
        arguments = ("--registry-config", str(registry.logins))
        with operating(repository, tmp_path, *arguments) as operator:
            wait_for(partial(repository.told, "no basic auth credentials"), SOON, "the refusal to be told")
            registry.logins.write_text(logins)  # read anew when it changes
            wait_for(lambda: repository.ready(commit), SOON, "three with the login")
            before = ids(hosts, SHOP)
            (digest,) = {row["Image"] for _, row in instances(hosts, SHOP)}
            assert digest.startswith(f"{image.rpartition(':')[0]}@sha256:")

            assert registry.push(WEB_1_6, "shop/web:1") == image, "the tag is moved"
            repository.write(web=web_manifest(4, image))
            commit = repository.push("one more")
            wait_for(lambda: repository.ready(commit), SOON, "one more")
            assert {row["Image"] for _, row in instances(hosts, SHOP)} == {digest}
            assert ids(hosts, SHOP) > before

            registry.stop()
            host, row = instances(hosts, SHOP)[0]
            hosts.api(host, "DELETE", f"/containers/{row['Id']}?force=true")
            wait_for(lambda: healthy(hosts, SHOP) == 4, SOON, "a replacement without the registry")
            repository.write(web=web_manifest(4, image.replace("web:1", "web:2")))
            repository.push("an image that cannot be asked for")
            wait_for(partial(repository.told, "connection refused"), SOON, "that to be told")
            assert (slots(hosts, SHOP), healthy(hosts, SHOP)) == ([0, 1, 2, 3], 4), "nothing is lost"
        assert PASSWORD not in operator.log.read_text() + repository.everything()
