"""The images stand in for real programs: they serve, tell their health, and end as they should."""

import pytest

from tests.lab import images
from tests.lab.containers import Container, fetch, health, start, state
from tests.lab.hosts import Lab
from tests.lab.waiting import now, wait_for

pytestmark = pytest.mark.lab

WEB = "registry.example/shop/web:1.6.0"
WORKER = "registry.example/analytics/worker:2.3.0"
HEALTH = {
    "varnish:7.6": ("varnishadm", "ping"),
    "redis:7.4": ("redis-cli", "ping"),
    "memcached:1.6": ("healthy",),
    "mysql:8.4": ("mysqladmin", "ping", "-h", "127.0.0.1"),
    "registry.example/shop/web:1.5.0": ("/app", "health"),
    WEB: ("/app", "health"),
    WORKER: ("/app", "health"),
}


@pytest.mark.parametrize("recipe", images.RECIPES, ids=[recipe.name for recipe in images.RECIPES])
def test_an_image_serves_is_healthy_and_ends_at_once(hosts: Lab, recipe: images.Recipe) -> None:
    h1 = hosts.host("h1")
    health_command = HEALTH[recipe.name]
    start(hosts, h1, Container(name="one", image=recipe.name, publish=recipe.port, health=health_command))

    wait_for(lambda: health(hosts, h1, "one") == "healthy", 10, f"{recipe.name} to be healthy")
    if recipe.port is not None:
        assert fetch(h1, recipe.port) == "up"
        assert fetch(h1, recipe.port, "/version") == recipe.version

    asked = now()
    assert hosts.api(h1, "POST", "/containers/one/stop?t=10")[0] == 204
    assert now() - asked < 2.0
    assert state(hosts, h1, "one")["ExitCode"] == 0


def test_every_host_has_the_same_images(hosts: Lab) -> None:
    ids = {
        tuple(hosts.api(host, "GET", f"/images/{name}/json")[1]["Id"] for name in images.NAMES)
        for host in hosts.hosts
    }
    assert len(ids) == 1


def test_the_absent_image_is_on_no_host_and_cannot_be_pulled(hosts: Lab) -> None:
    repository, _, tag = images.ABSENT.rpartition(":")
    for host in hosts.hosts:
        assert hosts.api(host, "GET", f"/images/{images.ABSENT}/json")[0] == 404
    assert hosts.api("h1", "POST", f"/images/create?fromImage={repository}&tag={tag}")[0] in (404, 500)


def test_fail_health_makes_the_health_command_fail(hosts: Lab) -> None:
    start(hosts, "h1", Container(name="one", image=WEB, health=HEALTH[WEB], environment={"FAIL_HEALTH": "1"}))
    wait_for(lambda: health(hosts, "h1", "one") == "unhealthy", 10, "the web to be unhealthy")
    assert state(hosts, "h1", "one")["Running"]


@pytest.mark.parametrize("image", [WEB, WORKER])
def test_start_delay_puts_health_off(hosts: Lab, image: str) -> None:
    delayed = {"START_DELAY": "2"}
    start(hosts, "h1", Container(name="one", image=image, health=HEALTH[image], environment=delayed))
    wait_for(lambda: health(hosts, "h1", "one") == "unhealthy", 10, "the container not to be ready yet")
    wait_for(lambda: health(hosts, "h1", "one") == "healthy", 10, "the container to be ready after its delay")


@pytest.mark.parametrize("image", [WEB, WORKER])
def test_exit_after_ends_with_code_3(hosts: Lab, image: str) -> None:
    start(hosts, "h1", Container(name="one", image=image, environment={"EXIT_AFTER": "1"}))
    wait_for(lambda: not state(hosts, "h1", "one")["Running"], 10, "the container to end by itself")
    assert state(hosts, "h1", "one")["ExitCode"] == 3


def test_mysql_keeps_its_files_in_its_volume(hosts: Lab) -> None:
    h1 = hosts.host("h1")
    mysql = Container(name="one", image="mysql:8.4", publish=3306, volume="shop-db:/var/lib/mysql")

    start(hosts, h1, mysql)
    first = wait_for(lambda: fetch(h1, 3306, "/server-uuid"), 10, "mysql to tell its id")
    hosts.api(h1, "DELETE", "/containers/one?force=1&v=1")
    start(hosts, h1, mysql)

    assert wait_for(lambda: fetch(h1, 3306, "/server-uuid"), 10, "mysql to tell its id again") == first


def test_a_container_on_the_network_of_its_host_ends_when_its_port_is_taken(hosts: Lab) -> None:
    h1 = hosts.host("h1")
    start(hosts, h1, Container(name="first", image=WEB, network="host"))
    wait_for(lambda: fetch(h1, 8080), 10, "the first web to answer")
    start(hosts, h1, Container(name="second", image=WEB, network="host"))
    wait_for(lambda: not state(hosts, h1, "second")["Running"], 10, "the second web to find its port taken")
    assert state(hosts, h1, "second")["ExitCode"] == 1
