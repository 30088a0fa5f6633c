"""The lab itself: its hosts are real, its faults are what they say, and it leaves nothing behind."""

import http.client
import os
import signal
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.lab import daemon, leftovers, network, packages, state
from tests.lab.containers import Container, fetch, start
from tests.lab.containers import state as container_state
from tests.lab.hosts import Lab, LabHost, accepts
from tests.lab.layout import STATE_ROOT, Layout
from tests.lab.shell import LabError, run
from tests.lab.waiting import now, wait_for

pytestmark = pytest.mark.lab

WEB = "registry.example/shop/web:1.6.0"
UP_SECONDS = 10.0
BRING_UP_AND_WAIT = """
import sys, threading
from tests.lab.hosts import Lab
lab = Lab.up(1, name=sys.argv[1], log=lambda line: print(line, file=sys.stderr))
print("up", flush=True)
threading.Event().wait(60)
"""


def traces(layout: Layout) -> list[str]:
    """Everything of a lab that can still be found on this machine."""
    found = [f"process {pid}" for pid in leftovers.living_pids(layout)]
    found += [f"mount {point}" for point in leftovers.mounts(layout)]
    found += [f"cgroup {path}" for path in leftovers.cgroups(layout)]
    found += [f"namespace {path.name}" for path in network.NAMESPACES.glob(f"{layout.bridge}*")]
    found += [f"interface {path.name}" for path in Path("/sys/class/net").glob(f"{layout.bridge}*")]
    found += [rule for rule in run("iptables", "-S").splitlines() if layout.bridge in rule.split()]
    found += [f"folder {path}" for path in (layout.folder, STATE_ROOT / layout.name) if path.exists()]
    return found


def ping(host: LabHost, context: ssl.SSLContext) -> str:
    """What the host's API answers to a client with these certificates."""
    connection = http.client.HTTPSConnection(host.address, host.port, timeout=5.0, context=context)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def bring_up_in_another_python(name: str) -> subprocess.Popen[str]:
    """A Python that owns a lab of one host and waits; it is ready when this comes back."""
    python = subprocess.Popen(
        [sys.executable, "-c", BRING_UP_AND_WAIT, name], stdout=subprocess.PIPE, text=True
    )
    assert python.stdout is not None
    assert python.stdout.readline() == "up\n"
    return python


def web(name: str, port: int, restart: str = "no") -> Container:
    return Container(name=name, image=WEB, publish=port, restart=restart, environment={"PORT": str(port)})


def test_three_hosts_are_up_within_ten_seconds_and_leave_nothing(lab: Lab) -> None:
    # The fixture installed the packages and made the images: this times what every later run takes.
    began = now()
    with Lab.up(3, name="timed") as timed:
        assert now() - began < UP_SECONDS
        answers = [timed.api(host, "GET", "/info") for host in timed.hosts]
        assert [status for status, _ in answers] == [200, 200, 200]
        assert [engine["Name"] for _, engine in answers] == ["h1", "h2", "h3"]
        assert [engine["Labels"] for _, engine in answers] == [["zone=a"], ["zone=b"], ["zone=c"]]
        assert len({engine["ID"] for _, engine in answers}) == 3
        assert not set(timed.layout.subnet) - set("0123456789.")
        assert timed.layout.subnet != lab.layout.subnet
        start(timed, "h1", web("left", 8080, restart="always"))
        shim_sockets = leftovers.shim_sockets(timed.layout)
        assert len(shim_sockets) == 1
        assert traces(timed.layout)
    assert traces(timed.layout) == []
    assert not shim_sockets[0].exists()
    timed.down()
    assert accepts(lab.host("h1")), "taking one lab down must leave the other alone"


def test_a_cut_host_is_out_of_reach_until_it_is_healed(hosts: Lab) -> None:
    h1 = hosts.host("h1")
    start(hosts, h1, web("web", 8080))
    wait_for(lambda: fetch(h1, 8080), 10, "the web to answer")

    hosts.cut("h1")
    assert not accepts(h1)
    assert fetch(h1, 8080) is None
    assert accepts(hosts.host("h2"))
    assert [one["State"] for one in hosts.containers(h1)] == ["running"]

    hosts.heal("h1")
    wait_for(lambda: fetch(h1, 8080), 10, "the web to answer after the cable is in again")
    assert accepts(h1)


def test_containers_go_on_after_kill_and_only_always_comes_back_after_start(hosts: Lab) -> None:
    h1 = hosts.host("h1")
    start(hosts, h1, web("once", 8080))
    start(hosts, h1, web("forever", 8081, restart="always"))
    wait_for(lambda: fetch(h1, 8080) and fetch(h1, 8081), 10, "both webs to answer")

    hosts.kill(h1)
    assert daemon.pid(h1) is None
    assert not accepts(h1)
    assert (fetch(h1, 8080), fetch(h1, 8081)) == ("up", "up")

    hosts.start(h1)
    wait_for(lambda: fetch(h1, 8081), 10, "the web that always restarts to answer again")
    assert container_state(hosts, h1, "once")["Status"] == "exited"


def test_start_right_after_kill_is_not_stopped_by_the_old_pidfile(hosts: Lab) -> None:
    for _ in range(3):
        hosts.kill("h1")
        assert hosts.host("h1").pidfile.exists()
        hosts.start("h1")
    assert hosts.api("h1", "GET", "/_ping") == (200, "OK")


def test_stop_ends_dockerd_and_its_containers_in_good_order(hosts: Lab) -> None:
    h1 = hosts.host("h1")
    start(hosts, h1, web("web", 8080))
    wait_for(lambda: fetch(h1, 8080), 10, "the web to answer")
    hosts.stop(h1)
    assert fetch(h1, 8080) is None
    hosts.start(h1)
    assert container_state(hosts, h1, "web")["ExitCode"] == 0


def test_a_paused_dockerd_accepts_and_does_not_answer(hosts: Lab) -> None:
    h1 = hosts.host("h1")
    hosts.pause(h1)
    assert daemon.is_paused(h1)
    assert accepts(h1)
    assert fetch(h1, h1.port, "/_ping") is None
    hosts.unpause(h1)
    assert wait_for(lambda: fetch(h1, h1.port, "/_ping"), 5, "dockerd to answer again") == "OK"


def test_dropped_answers_do_not_undo_what_was_asked(hosts: Lab) -> None:
    h1 = hosts.host("h1")
    hosts.drop_answers(h1)
    hosts.drop_answers(h1)
    assert fetch(h1, h1.port, "/_ping") is None
    assert hosts.api(h1, "GET", "/_ping") == (200, "OK")
    hosts.restore_answers(h1)
    assert wait_for(lambda: fetch(h1, h1.port, "/_ping"), 5, "answers to come through again") == "OK"


def test_clear_removes_what_tests_made_and_brings_images_back(hosts: Lab) -> None:
    start(hosts, "h1", Container(name="one", image="mysql:8.4", volume="db:/var/lib/mysql", restart="always"))
    hosts.api("h1", "POST", "/networks/create", {"Name": "shop"})
    assert hosts.api("h1", "DELETE", "/images/redis:7.4")[0] == 200
    hosts.clear("h1")
    assert hosts.containers("h1") == []
    assert not hosts.api("h1", "GET", "/volumes")[1]["Volumes"]
    assert hosts.api("h1", "GET", "/networks/shop")[0] == 404
    assert hosts.api("h1", "GET", "/images/redis:7.4/json")[0] == 200


def test_mend_undoes_every_fault_at_once(hosts: Lab) -> None:
    hosts.drop_answers("h1")
    hosts.cut("h1")
    hosts.pause("h1")
    hosts.kill("h2")
    hosts.mend_all()
    wait_for(lambda: all(accepts(host) for host in hosts.hosts.values()), 5, "every host to be reachable")
    assert fetch(hosts.host("h1"), hosts.host("h1").port, "/_ping") == "OK"


def test_an_owner_killed_leaves_a_lab_that_the_next_up_replaces(lab: Lab) -> None:
    owner = bring_up_in_another_python("crashed")
    first = Lab.attach("crashed")
    start(first, "h1", web("left", 8080, restart="always"))
    with pytest.raises(LabError, match="in use by process"):
        Lab.up(1, name="crashed")
    owner.kill()
    owner.communicate(timeout=10)
    assert daemon.pid(first.host("h1")) is not None

    with Lab.up(1, name="crashed") as second:
        assert second.containers("h1") == []
    assert traces(first.layout) == []


def test_an_owner_ended_by_sigterm_takes_its_lab_down(lab: Lab) -> None:
    owner = bring_up_in_another_python("ended")
    layout = Lab.attach("ended").layout
    owner.send_signal(signal.SIGTERM)
    owner.communicate(timeout=30)
    assert owner.returncode == 128 + signal.SIGTERM
    assert traces(layout) == []


def test_a_program_that_only_reads_a_file_of_the_lab_is_left_alone(lab: Lab) -> None:
    with Lab.up(1, name="read") as read:
        reader = subprocess.Popen(["tail", "-f", str(read.host("h1").log)], stdout=subprocess.DEVNULL)
    assert reader.poll() is None
    reader.kill()
    reader.wait(timeout=10)


def test_a_dockerd_that_cannot_start_is_reported_with_its_log(lab: Lab) -> None:
    with tempfile.TemporaryDirectory() as root:
        data_root = Path(root) / "broken" / "h1" / "data"
        data_root.parent.mkdir(parents=True)
        data_root.write_text("a file where dockerd wants a directory")
        with pytest.raises(LabError, match=r"(?s)dockerd of h1 ended while starting.*points to a file"):
            Lab.up(1, name="broken", root=Path(root))
        assert os.listdir(root) == []
    assert state.saved("broken") is None


def test_with_tls_only_a_client_with_a_certificate_gets_an_answer(lab: Lab) -> None:
    pytest.importorskip("trustme", reason="a lab with TLS needs trustme")
    with Lab.up(1, name="sealed", tls=True) as sealed:
        h1, client = sealed.host("h1"), sealed.client_certificates
        assert client is not None
        assert h1.tls_endpoint == f"tcp://{h1.address}:2376"
        stranger = ssl.create_default_context(cafile=str(client.ca))
        friend = ssl.create_default_context(cafile=str(client.ca))
        friend.load_cert_chain(client.certificate, client.key)
        assert ping(h1, friend) == "OK"
        with pytest.raises(OSError, match=r"certificate required|bad certificate"):
            ping(h1, stranger)
        assert fetch(h1, 2375, "/_ping") is None


def test_a_machine_without_root_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert packages.why_not() == (
        "the lab makes network namespaces and needs root: run the same command as root"
    )
