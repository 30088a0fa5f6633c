"""What a sound manifest becomes, defaults included."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest

from rota.core.container import Check, ContainerSpec, HealthCheck, Mount, Port
from rota.core.ids import WorkloadId
from rota.core.model import (
    Amount,
    Canary,
    Drain,
    FailureSettings,
    Fill,
    Fleet,
    Host,
    Loss,
    OnFailure,
    Order,
    Override,
    Quota,
    Scheduled,
    Service,
    Singleton,
    Source,
    UpdateRules,
    Weekly,
    Window,
)
from rota.core.resources import Resources
from rota.core.rules import (
    Affinity,
    Effect,
    Operator,
    PlacementRules,
    Requirement,
    Spread,
    Strategy,
    Taint,
    Toleration,
)
from rota.manifest.workload import document_hash, spec_hash
from rota.manifest.yaml import parse
from tests.manifest.trees import FLEET, HOST, OVERRIDE, POLICY, QUOTA, SERVICE, edited, load

MEBIBYTE = 2**20


def fleet_of(**manifests: str) -> Fleet:
    """The fleet of FLEET and of some more manifests, which must be sound."""
    files = {f"{name}.yaml": text for name, text in manifests.items()}
    loaded = load({"fleet.yaml": FLEET, **files})
    assert loaded.problems == ()
    assert loaded.fleet is not None
    return loaded.fleet


def service_of(text: str) -> Service:
    (service,) = fleet_of(web=text).services.values()
    return service


def container_of(part: str) -> ContainerSpec:
    return service_of(edited(SERVICE, '{image: "web:1"}', f'{{image: "web:1", {part}}}')).container


def test_fleet() -> None:
    spec = "{failure: {heartbeat: 500ms, suspectAfter: 2s}, guard: {maxRemovals: 5}}"
    loaded = load({"fleet.yaml": edited(FLEET, "{}", spec)})
    assert loaded.fleet == Fleet(
        name="shop",
        uid="7f3c9a12",
        revision="1" * 40,
        failure=FailureSettings(heartbeat=0.5, suspect_after=2.0),
        max_removals=Amount(value=5),
    )


@pytest.mark.parametrize(
    ("spec", "survive", "moves"),
    [
        ("{}", None, 60),
        ("{survive: {hosts: 1}, disruption: {maxMovesPerHour: 0}}", Loss.HOST, 0),
        ("{survive: {zones: 1, x-hosts: 1}, disruption: {maxMovesPerHour: 5}}", Loss.ZONE, 5),
        ("{disruption: {}}", None, 60),
    ],
)
def test_what_a_fleet_survives_and_moves(spec: str, survive: Loss | None, moves: int) -> None:
    fleet = load({"fleet.yaml": edited(FLEET, "{}", spec)}).fleet
    assert fleet is not None
    assert (fleet.survive, fleet.max_moves_per_hour) == (survive, moves)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("", FailureSettings()),
        (
            "heartbeat: 2s, suspectAfter: 5s, lostAfter: 20s, engineDownAfter: 2m, brake: 3",
            FailureSettings(
                heartbeat=2.0,
                suspect_after=5.0,
                lost_after=20.0,
                engine_down_after=120.0,
                brake=Amount(value=3),
            ),
        ),
        ("brake: 30%", FailureSettings(brake=Amount(value=30, percent=True))),
        # What is not stated gives way to what is.
        ("lostAfter: 3s", FailureSettings(suspect_after=1.5, lost_after=3.0)),
        ("lostAfter: 5s", FailureSettings(suspect_after=2.5, lost_after=5.0)),
        ("lostAfter: 3m", FailureSettings(lost_after=180.0, engine_down_after=180.0)),
        (
            "heartbeat: 100ms, lostAfter: 300ms",
            FailureSettings(heartbeat=0.1, suspect_after=0.15, lost_after=0.3),
        ),
        ("suspectAfter: 9500ms", FailureSettings(suspect_after=9.5, lost_after=10.5)),
        (
            "heartbeat: 25s, suspectAfter: 30s",
            FailureSettings(heartbeat=25.0, suspect_after=30.0, lost_after=75.0, engine_down_after=75.0),
        ),
    ],
)
def test_failure(stated: str, expected: FailureSettings) -> None:
    loaded = load({"fleet.yaml": edited(FLEET, "{}", f"{{failure: {{{stated}}}}}")})
    assert loaded.problems == ()
    assert loaded.fleet is not None
    assert loaded.fleet.failure == expected


def test_host() -> None:
    text = """\
apiVersion: rota/v1
kind: Host
metadata: {name: h1, labels: {zone: a}}
spec:
  endpoint: tcp://10.0.0.1:2376
  tls: fleet
  address: 10.1.0.1
  capacity: {cpu: 4, memory: 8Gi}
  reserved: {memory: 512Mi}
  resources: {licence: 1, gpu: 2, fpga: 0, x-rented: 3}
  taints: [{key: gpu}, {key: team, value: shop, effect: NoSchedule}, {key: old, effect: NoExecute}]
  unschedulable: true
"""
    assert fleet_of(h1=text).hosts == {
        "h1": Host(
            name="h1",
            endpoint="tcp://10.0.0.1:2376",
            address="10.1.0.1",
            labels={"zone": "a"},
            tls="fleet",
            cpu=4000,
            memory=8192 * MEBIBYTE,
            reserved=Resources(memory=512 * MEBIBYTE),
            resources=(("gpu", 2), ("licence", 1)),
            taints=(
                Taint(key="gpu"),
                Taint(key="team", value="shop"),
                Taint(key="old", effect=Effect.NO_EXECUTE),
            ),
            unschedulable=True,
            source=Source("h1.yaml", 1),
        )
    }


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("tcp://10.0.0.1:2375", "10.0.0.1"),
        ("tcp://h7.example:2376", "h7.example"),
        ("tcp://[2001:db8::1]:2375", "2001:db8::1"),
        ("unix:///run/docker.sock", "127.0.0.1"),
    ],
)
def test_the_address_is_the_host_of_the_endpoint(endpoint: str, address: str) -> None:
    fleet = fleet_of(h1=edited(HOST, "tcp://10.0.0.1:2375", endpoint))
    assert fleet.hosts["h1"].address == address


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("", None),
        ("drain: {}", Drain()),
        ("drain: {deadline: 1h30m}", Drain(deadline=5400.0)),
        ("drain: {x-why: disk}", Drain()),
    ],
)
def test_a_drain_of_a_host(stated: str, expected: Drain | None) -> None:
    fleet = fleet_of(h=edited(HOST, '2375"}', f'2375", {stated}}}'))
    assert fleet.hosts["h1"].drain == expected


def test_service_with_defaults() -> None:
    resources = {"requests": {"cpu": 1, "memory": "1Gi"}}
    assert service_of(SERVICE) == Service(
        id=WorkloadId("shop", "web"),
        replicas=1,
        container=ContainerSpec(image="web:1"),
        requests=Resources(cpu=1000, memory=1024 * MEBIBYTE),
        spec_hash=spec_hash({"image": "web:1"}, resources),
        document_hash=document_hash(parse("web.yaml", SERVICE.encode()).documents[0].root),
        update=UpdateRules(order=Order.START_FIRST),
        max_unavailable=Amount(value=0),
        source=Source("web.yaml", 1),
    )


def test_service_in_full() -> None:
    more = """\
  replicas: 8
  priority: 200
  placement:
    hostSelector:
      matchLabels: {disk: ssd}
      matchExpressions: [{key: zone, operator: NotIn, values: [c]}, {key: gpu, operator: DoesNotExist}]
    spread: [{key: zone}, {key: rack, maxSkew: 2, whenUnsatisfiable: DoNotSchedule}]
    maxPerHost: 3
    affinity: [{service: web, scope: zone}]
    antiAffinity: [{service: web, required: true}, {service: web, scope: rack, required: false}]
    tolerations: [{key: a}, {key: b, value: c}, {key: d, effect: NoExecute}]
    strategy: pack
  update: {order: start-first, maxSurge: 2, minHealthyTime: 0s, healthyDeadline: 1m, progressDeadline: 3m,
           onFailure: pause, canary: {count: 2, hold: 5m}}
  disruption: {maxUnavailable: 25%}
"""
    stated = "gpu: 1, memory: 1Gi, fpga: 2, x-for: models}, limits: {cpu: 1500m, memory: 2Gi}"
    text = edited(SERVICE + more, "memory: 1Gi}", stated)
    (service,) = fleet_of(
        web=text, h=edited(HOST, '2375"}', '2375", resources: {gpu: 1, fpga: 4}}')
    ).services.values()
    assert service.requests == Resources(cpu=1000, memory=1024 * MEBIBYTE, extended=(("fpga", 2), ("gpu", 1)))
    assert (service.replicas, service.priority) == (8, 200)
    assert (service.container.cpu_limit, service.container.memory_limit) == (1500, 2048 * MEBIBYTE)
    assert service.placement == PlacementRules(
        host_selector=(
            Requirement(key="disk", operator=Operator.IN, values=("ssd",)),
            Requirement(key="zone", operator=Operator.NOT_IN, values=("c",)),
            Requirement(key="gpu", operator=Operator.DOES_NOT_EXIST),
        ),
        tolerations=(
            Toleration(key="a"),
            Toleration(key="b", value="c"),
            Toleration(key="d", effect=Effect.NO_EXECUTE),
        ),
        max_per_host=3,
        spread=(Spread(key="zone"), Spread(key="rack", max_skew=2, hard=True)),
        affinity=(Affinity(workload=WorkloadId("shop", "web"), scope="zone"),),
        anti_affinity=(
            Affinity(workload=WorkloadId("shop", "web"), required=True),
            Affinity(workload=WorkloadId("shop", "web"), scope="rack"),
        ),
        strategy=Strategy.PACK,
    )
    assert service.update == UpdateRules(
        order=Order.START_FIRST,
        max_surge=Amount(value=2),
        min_healthy_time=0.0,
        healthy_deadline=60.0,
        progress_deadline=180.0,
        on_failure=OnFailure.PAUSE,
        canary=Canary(count=2, hold=300.0),
    )
    assert service.max_unavailable == Amount(value=25, percent=True)


@pytest.mark.parametrize(
    ("container", "order", "unavailable"),
    [
        ("ports: [{name: a, target: 80}]", Order.START_FIRST, 0),
        ("ports: [{name: a, target: 80, published: 8000}]", Order.STOP_FIRST, 1),
        ("volumes: [{type: volume, source: data, target: /a}]", Order.STOP_FIRST, 1),
        ("volumes: [{type: tmpfs, target: /a}]", Order.START_FIRST, 0),
    ],
)
def test_order_follows_from_the_container(container: str, order: Order, unavailable: int) -> None:
    service = service_of(edited(SERVICE, '"web:1"', f'"web:1", {container}'))
    assert (service.update.order, service.max_unavailable) == (order, Amount(value=unavailable))


def test_stop_first_may_be_chosen() -> None:
    service = service_of(SERVICE + "  update: {order: stop-first}\n")
    assert service.max_unavailable == Amount(value=1)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("", 600.0),
        ("healthyDeadline: 30s", 600.0),
        ("healthyDeadline: 5m1s", 602.0),
        ("healthyDeadline: 20m", 2400.0),
        ("healthyDeadline: 20m, progressDeadline: 25m", 1500.0),
        ("progressDeadline: 1m", 60.0),
    ],
)
def test_a_rollout_has_time_for_two_tries_unless_stated(stated: str, expected: float) -> None:
    assert service_of(f"{SERVICE}  update: {{{stated}}}\n").update.progress_deadline == expected


@pytest.mark.parametrize("singleton", [Singleton.BEST_EFFORT, Singleton.STRICT])
def test_a_singleton_stops_first(singleton: Singleton) -> None:
    service = service_of(f"{SERVICE}  singleton: {singleton}\n")
    assert service.singleton is singleton
    assert (service.update.order, service.max_unavailable) == (Order.STOP_FIRST, Amount(value=1))
    none = service_of(f"{SERVICE}  singleton: none\n")
    assert (none.singleton, none.update.order) == (Singleton.NONE, Order.START_FIRST)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("{http: {port: web, path: /up}}", Check(port=8080, path="/up")),
        ("{tcp: {port: admin}}", Check(port=9000)),
        (
            '{http: {port: admin, path: "/up?deep=1"}, interval: 500ms, timeout: 1m, fall: 1, rise: 4}',
            Check(port=9000, path="/up?deep=1", interval=0.5, timeout=60.0, fall=1, rise=4),
        ),
    ],
)
def test_a_check_knows_the_port_in_the_container(stated: str, expected: Check) -> None:
    ports = "ports: [{name: web, target: 8080, published: 80}, {name: admin, target: 9000}]"
    text = edited(SERVICE, '"web:1"', f'"web:1", {ports}')
    assert service_of(f"{text}  check: {stated}\n").check == expected
    assert service_of(text).check is None


def test_dependencies_are_in_the_order_of_their_names() -> None:
    others = {name: edited(SERVICE, "name: web", f"name: {name}") for name in ("a", "b", "c")}
    web = f"{SERVICE}  dependsOn: [{{service: c}}, {{service: a}}, {{service: b, x-why: sessions}}]\n"
    service = fleet_of(web=web, **others).services[WorkloadId("shop", "web")]
    assert service.depends_on == (
        WorkloadId("shop", "a"),
        WorkloadId("shop", "b"),
        WorkloadId("shop", "c"),
    )


def test_container_in_full() -> None:
    container = container_of(
        """command: "serve --name 'a b'", entrypoint: [/app], environment: {A: on, B: 8080, C: ""},
    labels: ["a.b=c=d"], user: "1000:1000", working_dir: /srv, hostname: web, init: true, read_only: true,
    tmpfs: /run, shm_size: 64m, cap_drop: [ALL], ulimits: {nofile: 1024, core: {soft: 0, hard: -1}},
    sysctls: [net.core.somaxconn=1024], extra_hosts: {a: 10.0.0.1, b: host-gateway}, dns: 10.0.0.2,
    logging: {driver: json-file, options: {max-file: 3, max-size: 10m}},
    healthcheck: {test: curl -f localhost, interval: 5s, timeout: 2s, retries: 3, start_period: 0s},
    ports: [{name: http, target: 8080}, {name: dns, target: 53, published: 53, protocol: udp}],
    volumes: [{type: volume, source: data, target: /data, read_only: true},
              {type: tmpfs, target: /tmp, tmpfs: {size: 1g}}],
    stop_grace_period: 1m30s, stop_signal: SIGINT, pull_policy: always"""
    )
    assert container == ContainerSpec(
        image="web:1",
        command=("serve", "--name", "a b"),
        entrypoint=("/app",),
        environment={"A": "on", "B": "8080", "C": ""},
        labels={"a.b": "c=d"},
        user="1000:1000",
        working_dir="/srv",
        hostname="web",
        init=True,
        read_only=True,
        tmpfs=("/run",),
        shm_size=64 * MEBIBYTE,
        cap_drop=("ALL",),
        ulimits={"nofile": (1024, 1024), "core": (0, -1)},
        sysctls={"net.core.somaxconn": "1024"},
        extra_hosts=("a:10.0.0.1", "b:host-gateway"),
        dns=("10.0.0.2",),
        logging_driver="json-file",
        logging_options={"max-file": "3", "max-size": "10m"},
        healthcheck=HealthCheck(
            test=("CMD-SHELL", "curl -f localhost"), interval=5.0, timeout=2.0, retries=3, start_period=0.0
        ),
        ports=(
            Port(name="http", target=8080),
            Port(name="dns", target=53, protocol="udp", published=53),
        ),
        volumes=(
            Mount(kind="volume", source="data", target="/data", read_only=True),
            Mount(kind="tmpfs", target="/tmp", size=1024 * MEBIBYTE),
        ),
        stop_grace_period=90.0,
        stop_signal="SIGINT",
        pull_policy="always",
    )


def test_other_forms_of_a_container() -> None:
    assert container_of("environment: [A=b=c, D=]").environment == {"A": "b=c", "D": ""}
    assert container_of("extra_hosts: ['a=::1', 'b:10.0.0.1']").extra_hosts == ("a:::1", "b:10.0.0.1")
    assert container_of("command: ''").command == ()
    disabled = container_of("healthcheck: {disable: true}").healthcheck
    assert disabled is not None
    assert disabled.disabled


def test_policy() -> None:
    day = '- {name: day, days: [mon, tue], start: "07:00", end: "20:00", replicas: {web: 50%}}'
    night = '- {name: late, days: [sun], start: "22:00", end: "24:00", priority: 5, replicas: {web: 0}}'
    (policy,) = fleet_of(web=SERVICE, p=edited(POLICY, day, f"{day}\n    {night}")).policies
    web = WorkloadId("shop", "web")
    assert (policy.zone.key, policy.base) == ("Europe/Berlin", {web: Amount(value=1)})
    assert policy.windows == (
        Window(
            name="day",
            hours=Weekly(days=frozenset({0, 1}), start=time(7), end=time(20)),
            replicas={web: Amount(value=50, percent=True)},
            source=Source("p.yaml", 8, 7),
        ),
        Window(
            name="late",
            hours=Weekly(days=frozenset({6}), start=time(22), end=None),
            replicas={web: Amount(value=0)},
            priority=5,
            source=Source("p.yaml", 9, 7),
        ),
    )


def window_of(stated: str) -> Window:
    """The only window of a policy, of these hours."""
    old = 'days: [mon, tue], start: "07:00", end: "20:00"'
    (policy,) = fleet_of(web=SERVICE, p=edited(POLICY, old, stated)).policies
    return policy.windows[0]


def test_a_window_by_schedule() -> None:
    window = window_of('schedule: "0 22 L * *", duration: 10h30m, except: {dates: [2026-12-31]}')
    assert window.hours == Scheduled(cron="0 22 L * *", duration=37800.0)
    assert (window.also_on, window.except_on) == (frozenset(), {date(2026, 12, 31)})


def test_a_window_on_stated_dates_only() -> None:
    window = window_of('start: "07:00", end: "24:00", also: {dates: ["2026-12-24", 2027-12-24]}')
    assert window.hours == Weekly(days=frozenset(), start=time(7), end=None)
    assert window.also_on == {date(2026, 12, 24), date(2027, 12, 24)}


@pytest.mark.parametrize(
    ("stated", "expected"), [("auto", None), ("0s", 0.0), ("10m", 600.0), ("6h", 21600.0), ("1h30m", 5400.0)]
)
def test_lead(stated: str, expected: float | None) -> None:
    hours = 'days: [mon, tue], start: "07:00", end: "20:00"'
    assert window_of(f"{hours}, lead: {stated}").lead == expected
    assert window_of(hours).lead is None


@pytest.mark.parametrize(("stated", "expected"), [("0", 0.0), ("2", 2.0), ("0.125", 0.125)])
def test_what_a_host_costs(stated: str, expected: float) -> None:
    fleet = fleet_of(h=edited(HOST, '2375"}', f'2375", cost: {{perHour: {stated}}}}}'))
    assert fleet.hosts["h1"].cost_per_hour == expected
    assert fleet_of(h=HOST).hosts["h1"].cost_per_hour == 0.0


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("{fill: true}", Fill()),
        ("{fill: true, min: 2}", Fill(min=2)),
        ("{fill: true, min: 2, max: 40, weight: 3, x-why: leftovers}", Fill(min=2, max=40, weight=3)),
        ("{fill: true, max: 0}", Fill(max=0)),
    ],
)
def test_fill(stated: str, expected: Fill) -> None:
    text = POLICY.replace("web: 1", f"web: {stated}").replace("web: 50%", f"web: {stated}")
    override = edited(OVERRIDE, "replicas: 3", f"replicas: {stated}")
    fleet = fleet_of(web=SERVICE, p=text, o=override)
    web = WorkloadId("shop", "web")
    assert fleet.policies[0].base == fleet.policies[0].windows[0].replicas == {web: expected}
    assert fleet.overrides[0].replicas == expected


def test_quota() -> None:
    selector = """\
  selector:
    matchLabels: {team: shop}
    matchExpressions: [{key: tier, operator: NotIn, values: [batch]}, {key: gone, operator: DoesNotExist}]
"""
    host = edited(HOST, '2375"}', '2375", resources: {gpu: 1}}')
    text = edited(QUOTA, "cpu: 24", "gpu: 0, cpu: 500m, x-agreed: 1") + selector
    labelled = edited(SERVICE, "namespace: shop}", "namespace: shop, labels: {team: shop}}")
    (quota,) = fleet_of(web=labelled, h=host, q=text).quotas
    assert quota == Quota(
        namespace="shop",
        name="all",
        hard={"cpu": 500, "memory": 96 * 1024 * MEBIBYTE, "instances": 60, "gpu": 0},
        selector=(
            Requirement(key="team", operator=Operator.IN, values=("shop",)),
            Requirement(key="tier", operator=Operator.NOT_IN, values=("batch",)),
            Requirement(key="gone", operator=Operator.DOES_NOT_EXIST),
        ),
        source=Source("q.yaml", 1),
    )


def test_a_quota_of_one_dimension() -> None:
    (quota,) = fleet_of(web=SERVICE, q=edited(QUOTA, "cpu: 24, memory: 96Gi, ", "")).quotas
    assert (quota.hard, quota.selector) == ({"instances": 60}, ())


@pytest.mark.parametrize(
    ("target", "effect", "expected"),
    [
        ("Service, name: web", "replicas: 50%", {"replicas": Amount(value=50, percent=True)}),
        ("CapacityPolicy, name: hours", "window: base", {"window": "base"}),
        ("Host, name: h1", "unschedulable: true", {"unschedulable": True}),
        ("Host, name: h1", "drain: {}", {"drain": Drain()}),
        ("Host, name: h1", "drain: {deadline: 30m}", {"drain": Drain(deadline=1800.0)}),
        ("Host, name: h1", "lost: true", {"lost": True}),
        ("Fleet, name: shop", "suspend: true", {"suspend": True}),
        ("Fleet, name: shop", "allowRemovals: 40", {"allow_removals": 40}),
    ],
)
def test_override(target: str, effect: str, expected: dict[str, object]) -> None:
    text = edited(edited(OVERRIDE, "Service, name: web", target), "replicas: 3", effect)
    text += "  from: '2026-11-27T06:00:00Z'\n"
    (override,) = fleet_of(web=SERVICE, p=POLICY, h=HOST, o=text).overrides
    kind, _, name = target.partition(", name: ")
    assert override == Override(
        namespace="shop",
        name="rush",
        target_kind=kind,
        target_name=name,
        until=datetime(2026, 11, 28, 2, tzinfo=timezone(timedelta(hours=1))),
        start=datetime(2026, 11, 27, 6, tzinfo=UTC),
        reason="rush",
        source=Source("o.yaml", 6, 10),
        **expected,  # type: ignore[arg-type]
    )


def test_the_hash_is_over_what_is_stated() -> None:
    plain = service_of(SERVICE).spec_hash
    assert plain.startswith("v1:")
    assert len(plain) == len("v1:") + 64
    # A change of this value would replace every container of every fleet.
    assert plain == "v1:ffd312d8ec9a21083dc8b07c5c6dbef0d721be8c17cff3c9c0e99807853545d3"

    def hash_with(old: str, new: str) -> str:
        return service_of(edited(SERVICE, old, new)).spec_hash

    same = [
        hash_with("spec:\n", "spec:\n  replicas: 9\n  priority: 1\n"),
        hash_with("spec:\n", "spec:\n  x-a: 1\n  update: {minHealthyTime: 1s}\n"),
        hash_with("{cpu: 1, memory: 1Gi}", "{memory: 1Gi, cpu: 1, x-why: measured}"),
        hash_with('{image: "web:1"}', "{x-a: {b: c}, image: web:1}"),
        hash_with("name: web", "name: api"),
        hash_with("spec:\n", "spec:\n  singleton: strict\n"),
        hash_with("spec:\n", "spec:\n  update: {onFailure: pause, canary: {count: 1, hold: 0s}}\n"),
    ]
    assert same == [plain] * len(same)
    other = [
        hash_with("web:1", "web:2"),
        hash_with("cpu: 1", "cpu: 2"),
        hash_with("cpu: 1", "cpu: 1000m"),
        hash_with("memory: 1Gi}", "memory: 1Gi}, limits: {memory: 2Gi}"),
        hash_with('"web:1"', '"web:1", stop_signal: SIGTERM'),
        hash_with('"web:1"', '"web:1", labels: {x-a: b}'),
    ]
    assert len({plain, *other}) == 1 + len(other)


def test_the_hash_of_a_service_that_states_nothing_new() -> None:
    # As it was before extended resources: an upgrade replaces no container.
    text = """\
apiVersion: rota/v1
kind: Service
metadata: {name: db, namespace: shop, labels: {team: shop}}
spec:
  replicas: 3
  priority: 200
  container:
    image: registry.example/shop/db:1.5.0
    command: ["serve"]
    environment: {LOG_LEVEL: info}
    ports: [{name: http, target: 8080}]
    volumes: [{type: volume, source: data, target: /data}]
    stop_grace_period: 30s
    x-note: none
  resources: {requests: {cpu: 250m, memory: 256Mi, x-why: measured}, limits: {memory: 512Mi}}
  placement: {hostSelector: {matchLabels: {disk: ssd}}, tolerations: [{key: gpu}], maxPerHost: 1}
"""
    expected = "v1:28092037590d8684c811e58c72ce6a38bf337028c29169cfd81bf3c802de5c79"
    assert service_of(text).spec_hash == expected
    rules = (
        "spread: [{key: zone}], affinity: [{service: db, scope: zone}],"
        " antiAffinity: [{service: db, required: true}], tolerations: [{key: gpu, effect: NoExecute}]"
    )
    assert service_of(edited(text, "tolerations: [{key: gpu}]", rules)).spec_hash == expected


def test_a_check_is_part_of_the_hash_where_it_is_stated() -> None:
    text = edited(SERVICE, '"web:1"', '"web:1", ports: [{name: http, target: 80}]')

    def hash_with(check: str) -> str:
        return service_of(f"{text}  check: {check}\n").spec_hash

    plain, stated = service_of(text).spec_hash, hash_with("{tcp: {port: http}}")
    # A change of this value would replace every container that is checked from outside.
    assert stated == "v1:d55a07b31174b2461e73f1dfa29b06c8dfc8be1a8fbc00cb187d203a6f065936"
    assert hash_with("{tcp: {port: http, x-why: no path}, x-since: 2026}") == stated
    other = [
        hash_with("{http: {port: http, path: /}}"),
        hash_with("{http: {port: http, path: /up}}"),
        hash_with("{tcp: {port: http}, interval: 5s}"),
        hash_with("{tcp: {port: http}, fall: 2}"),
    ]
    assert len({plain, stated, *other}) == 2 + len(other)


def test_what_comes_before_is_no_part_of_the_hash() -> None:
    text = edited(SERVICE, '"web:1"', '"web:1", ports: [{name: http, target: 80}]')
    plain = service_of(text).spec_hash
    other = edited(SERVICE, "name: web", "name: api")
    fleet = fleet_of(web=f"{text}  dependsOn: [{{service: api}}]\n", api=other)
    assert fleet.services[WorkloadId("shop", "web")].spec_hash == plain


def test_the_hash_of_a_document_is_over_all_but_its_replicas() -> None:
    plain = service_of(SERVICE).document_hash
    # A change of this value would try everything again that failed, on every fleet.
    assert plain == "v1:dd2c39570c16fb7fc1200d1812a6f037a86e804bc5b39a410db9278b82625fac"

    def hash_with(old: str, new: str) -> str:
        return service_of(edited(SERVICE, old, new)).document_hash

    same = [
        hash_with("spec:\n", "spec:\n  replicas: 9\n"),
        hash_with("spec:\n", "spec:\n  replicas: 0\n"),
        hash_with("{cpu: 1, memory: 1Gi}", "{memory: 1Gi, cpu: 0x1}"),
        hash_with("spec:\n", "spec: # a remark\n"),
    ]
    assert same == [plain] * len(same)
    other = [
        hash_with("web:1", "web:2"),
        hash_with("cpu: 1", "cpu: 1000m"),
        hash_with("name: web", "name: api"),
        hash_with("namespace: shop", "namespace: ops"),
        hash_with("namespace: shop", "namespace: shop, labels: {team: shop}"),
        hash_with("namespace: shop", "namespace: shop, annotations: {try: again}"),
        hash_with("namespace: shop", "namespace: shop, annotations: {try: 1.5}"),
        hash_with("namespace: shop", "namespace: shop, annotations: {replicas: 2}"),
        hash_with("spec:\n", "spec:\n  priority: 100\n"),
        hash_with("spec:\n", "spec:\n  x-try: again\n"),
        hash_with("spec:\n", "x-try: again\nspec:\n"),
        hash_with("spec:\n", "spec:\n  update: {minHealthyTime: 1s}\n"),
    ]
    assert len({plain, *other}) == 1 + len(other)


def test_extended_requests_are_part_of_the_hash() -> None:
    def hash_with(more: str) -> str:
        host = edited(HOST, '2375"}', '2375", resources: {gpu: 1, fpga: 1}}')
        text = edited(SERVICE, "memory: 1Gi", f"memory: 1Gi{more}")
        (service,) = fleet_of(web=text, h=host).services.values()
        return service.spec_hash

    hashes = [hash_with(more) for more in ("", ", gpu: 1", ", gpu: 2", ", fpga: 1", ", gpu: 1, fpga: 1")]
    assert len(set(hashes)) == len(hashes)
    assert hash_with(", fpga: 1, gpu: 1") == hashes[-1]


def test_order_of_everything_is_by_name() -> None:
    fleet = fleet_of(
        a=edited(SERVICE, "name: web", "name: z"),
        b=edited(HOST, "h1", "h2"),
        c=SERVICE,
        d=HOST,
        e=edited(POLICY, "name: hours", "name: z").replace("web:", "z:"),
        f=POLICY,
        g=QUOTA,
        h=edited(QUOTA, "name: all", "name: aaa"),
    )
    assert list(fleet.hosts) == ["h1", "h2"]
    assert [str(workload) for workload in fleet.services] == ["shop/web", "shop/z"]
    assert [str(policy) for policy in fleet.policies] == ["shop/hours", "shop/z"]
    assert [str(quota) for quota in fleet.quotas] == ["shop/aaa", "shop/all"]
