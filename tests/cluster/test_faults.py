"""doctor, check, why and admit on a real Kubernetes that is slow, cut, killed, or lets them in too little."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import Struct

from stellwerk.cli.cluster import EVERYTHING, READ_BY
from stellwerk.engine.diagnosis.live.role import cluster_role
from tests.cluster.commands import settled, stellwerk, wait_for
from tests.cluster.fixtures import need_programs
from tests.cluster.relay import Relay
from tools.cluster.certificates import make_client
from tools.cluster.parts import start_kueue
from tools.cluster.stack import Stack

SPACE, READER = "faults", "stellwerk-read-only"
CLAIM = """
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: one, namespace: default}
spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu.example.com}}]}}
"""
VERBS: dict[str, tuple[str, ...]] = {
    "doctor": ("doctor",),
    # Kueue runs out of cluster here, so nothing shows its version.
    "check": ("check", "--kueue", "0.19", "-f"),
    "why": ("why", "waits"),
    "admit": ("admit",),
}
READ_BY_VERB = {**READ_BY, "doctor": EVERYTHING}
# Times, how long an answer took, and the server's port are others in each run.
_CHANGING = re.compile(
    r"(?<=answers in )\d+(?= ms)|(?<=seconds\": )\d+|(?<=Ms\": )\d+|(?<=127.0.0.1:)\d+|\d{4}-\d\d-\d\dT[^\"]*"
)
Reader = Callable[..., Path]


class Ran(Struct, frozen=True):
    """What a verb did: exit code, its document without what changes, standard error, and how long it took."""

    code: int
    text: str
    stderr: str
    took_s: float

    @property
    def complaint(self) -> str:
        """Standard error without what was asked again."""
        return "\n".join(line for line in self.stderr.splitlines() if not line.startswith("asked again: "))


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


def queue(kind: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    version = "kueue.x-k8s.io/v1beta2"
    return {"apiVersion": version, "kind": kind, "metadata": meta(name, **more), "spec": spec}


def job(name: str, cpu: str) -> dict[str, Any]:
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": cpu}}}
    labels = {"kueue.x-k8s.io/queue-name": "team"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta(name, namespace=SPACE, labels=labels),
        "spec": {
            "suspend": True,
            "template": {"spec": {"containers": [container], "restartPolicy": "Never"}},
        },
    }


CPU = {
    "coveredResources": ["cpu"],
    "flavors": [{"name": "faults", "resources": [{"name": "cpu", "nominalQuota": "2"}]}],
}
OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": meta(SPACE)},
    queue("ResourceFlavor", "faults", {}),
    queue("ClusterQueue", "faults", {"namespaceSelector": {}, "resourceGroups": [CPU]}),
    queue("LocalQueue", "team", {"clusterQueue": "faults"}, namespace=SPACE),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A control plane with Kueue of this module's own, as its API server is killed; the reader may read."""
    need_programs()
    started = Stack(Path(tmp_path_factory.mktemp("faulty")))
    try:
        started.start(kwok=False)
        start_kueue(started)
        role, binding = yaml.safe_load_all(stellwerk("doctor", "--kubeconfig", "--rbac").stdout)
        binding["subjects"][0]["name"] = "stellwerk"
        started.apply([role, binding, *OBJECTS])
        for each in (job("runs", "2"), job("waits", "1")):
            started.apply([each])
            settled(started, SPACE)
        (started.folder / "claim.yaml").write_text(CLAIM)
        yield started
    finally:
        started.stop()


def ran(stack: Stack, verb: str, kubeconfig: Path) -> Ran:
    words = (*VERBS[verb], *([str(stack.folder / "claim.yaml")] if verb == "check" else []))
    began = time.monotonic()
    done = stellwerk(*words, "--kubeconfig", str(kubeconfig), "-o", "json")
    return Ran(done.returncode, _CHANGING.sub("0", done.stdout), done.stderr, time.monotonic() - began)


def all_ran(stack: Stack, of: Mapping[str, Path]) -> dict[str, Ran]:
    """All verbs at once, each with a kubeconfig."""
    with ThreadPoolExecutor(len(of)) as pool:
        return dict(zip(of, pool.map(lambda verb: ran(stack, verb, of[verb]), of), strict=True))


@pytest.fixture(scope="module")
def straight(faulty: Stack) -> dict[str, Ran]:
    """What the verbs say when nothing is wrong."""
    found = all_ran(faulty, dict.fromkeys(VERBS, faulty.kubeconfig("stellwerk")))
    # doctor and check say 1 as well: Kueue's version must be told, and no class is mapped to its quota.
    assert {verb: each.code for verb, each in found.items()} == dict.fromkeys(VERBS, 1)
    assert {verb for verb, each in found.items() if each.stderr} == {"check"}
    assert "WaitingForQuota" in found["why"].text
    return found


class Relays:
    """A relay for each verb, so that the answers of each can be counted."""

    def __init__(self, stack: Stack, folder: Path, delay_s: float) -> None:
        self._stack, self._folder = stack, folder
        self.of = {verb: Relay(stack.ports["api"], delay_s) for verb in VERBS}

    def __enter__(self) -> "Relays":
        for each in self.of.values():
            each.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for each in self.of.values():
            each.__exit__()

    def kubeconfigs(self) -> dict[str, Path]:
        text = self._stack.kubeconfig("stellwerk").read_text()
        paths = {verb: self._folder / verb for verb in self.of}
        for verb, path in paths.items():
            path.write_text(text.replace(f":{self._stack.ports['api']}", f":{self.of[verb].port}"))
        return paths


def test_a_server_that_takes_two_seconds_for_each_answer_is_told_the_same(
    faulty: Stack, straight: dict[str, Ran], tmp_path: Path
) -> None:
    with Relays(faulty, tmp_path, 2.0) as relays:
        found = all_ran(faulty, relays.kubeconfigs())
        answers = {verb: each.answers for verb, each in relays.of.items()}
    for verb, one in found.items():
        quick = straight[verb]
        print(f"{verb}: {answers[verb]} answers of 2 s: {one.took_s:.0f} s, not {quick.took_s:.0f} s")
        assert (one.code, one.text, one.stderr) == (quick.code, quick.text, quick.stderr)
        # Four at once; a handshake more a connection, and what comes before the lists one after the other.
        assert one.took_s < 2.0 * (answers[verb] / 4 + 15) + quick.took_s


def test_connections_that_are_cut_are_made_anew(
    faulty: Stack, straight: dict[str, Ran], tmp_path: Path
) -> None:
    """Each verb's connections are cut three times while it reads."""
    cuts = dict.fromkeys(VERBS, 0)
    with Relays(faulty, tmp_path, 0.5) as relays:
        over = threading.Event()

        def cut() -> None:
            while not over.wait(0.1):
                for verb, each in relays.of.items():
                    if cuts[verb] < 3 and each.answers >= 6 + 7 * cuts[verb]:
                        cuts[verb] += 1
                        each.cut()

        cutter = threading.Thread(target=cut)
        cutter.start()
        found = all_ran(faulty, relays.kubeconfigs())
        over.set()
        cutter.join()
    for verb, one in found.items():
        assert (one.code, one.text) == (straight[verb].code, straight[verb].text), one.stderr
        assert cuts[verb] >= 2 and "asked again: " in one.stderr
        assert one.complaint == straight[verb].stderr.strip()


def killed_in_the_middle(stack: Stack, folder: Path, down_s: float) -> dict[str, Ran]:
    """The verbs, while the API server is killed, and started again after so long (0: once all have ended)."""
    with Relays(stack, folder, 0.5) as relays:
        kubeconfigs = relays.kubeconfigs()
        found: dict[str, Ran] = {}
        running = threading.Thread(target=lambda: found.update(all_ran(stack, kubeconfigs)))
        running.start()
        wait_for(lambda: all(each.answers >= 6 for each in relays.of.values()))
        stack.kill("kube-apiserver")
        if down_s:
            time.sleep(down_s)
            stack.again("kube-apiserver")
        running.join()
        if not down_s:
            stack.again("kube-apiserver")
    return found


def test_an_api_server_that_is_killed_and_comes_back_is_waited_for(
    faulty: Stack, straight: dict[str, Ran], tmp_path: Path
) -> None:
    found = killed_in_the_middle(faulty, tmp_path, 1.0)
    for verb, one in found.items():
        print(f"{verb}: exit code {one.code} after {one.took_s:.0f} s")
        assert "asked again: " in one.stderr
        if one.code == 3:  # It was away for longer than is waited for.
            assert "then repeat the command" in one.complaint
        else:
            assert (one.code, one.text) == (straight[verb].code, straight[verb].text), one.stderr


def test_an_api_server_that_stays_away_is_named_with_how_to_go_on(
    faulty: Stack, straight: dict[str, Ran], tmp_path: Path
) -> None:
    for verb, one in killed_in_the_middle(faulty, tmp_path, 0).items():
        print(f"{verb}: gave up after {one.took_s:.0f} s")
        assert (one.code, one.text) == (3, ""), one.stderr
        (complaint,) = one.complaint.splitlines()
        assert "the API server https://127.0.0.1:" in complaint and "does not answer" in complaint
        # 0.5, 1, 2, 4, 8 and 10 s between seven tries, once.
        assert one.took_s < straight[verb].took_s + 45
        assert "then repeat the command" in complaint


@pytest.fixture
def reader(faulty: Stack, tmp_path: Path) -> Reader:
    """Makes a service account with a role, and gives a kubeconfig for its token."""

    def make(name: str, role: dict[str, Any]) -> Path:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(name, namespace=SPACE)}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": SPACE}
        group = "rbac.authorization.k8s.io"
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta(name),
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [subject],
        }
        faulty.apply([account, {**role, "metadata": meta(name)}, binding])
        token = faulty.kubectl("create", "token", name, "-n", SPACE).strip()
        return with_user(faulty, tmp_path / name, {"token": token})

    return make


def with_user(stack: Stack, path: Path, user: dict[str, str]) -> Path:
    config = yaml.safe_load(stack.kubeconfig("stellwerk").read_text())
    config["users"][0]["user"] = user
    path.write_text(yaml.safe_dump(config))
    return path


def lacking(kind: str) -> dict[str, Any]:
    """The role that doctor prints, without one kind."""
    return cluster_role([each for each in EVERYTHING if each[1] != kind])


LACKING = [
    ("doctor", "DaemonSet", "list daemonsets.apps in all namespaces"),
    ("doctor", "ConfigMap", "get configmaps kueue-manager-config in namespace kueue-system"),
    ("check", "DeviceClass", "list deviceclasses.resource.k8s.io"),
    ("check", "ConfigMap", "get configmaps kueue-manager-config in namespace kueue-system"),
    ("why", "Event", "list events in all namespaces"),
    ("why", "ReplicaSet", "list replicasets.apps in all namespaces"),
    ("why", "ConfigMap", "get configmaps kueue-manager-config in namespace kueue-system"),
    ("admit", "Workload", "list workloads.kueue.x-k8s.io in all namespaces"),
    ("admit", "Node", "list nodes"),
]


@pytest.mark.parametrize(("verb", "kind", "rule"), LACKING)
def test_a_role_without_one_rule_is_told_that_rule_and_no_other(
    faulty: Stack, reader: Reader, verb: str, kind: str, rule: str
) -> None:
    one = ran(faulty, verb, reader(f"no-{verb}-{kind}".lower(), lacking(kind)))
    assert one.code == 3
    if verb == "doctor":
        document = json.loads(one.text)
        role = next(each for each in document["layers"] if each["layer"] == "role")
        finding = next(each for each in role["findings"] if each["code"] == "role-lacks")
        assert finding["text"] == f"the role may not: {rule}"
        assert "stellwerk doctor --kubeconfig --rbac" in finding["next"]
    else:
        (complaint,) = one.stderr.splitlines()
        assert f"the role of context local may not: {rule} (" in complaint
        assert "stellwerk doctor --kubeconfig --rbac" in complaint


@pytest.mark.parametrize("verb", ["check", "why", "admit"])
def test_the_rules_that_a_verb_is_said_to_need_are_enough_for_it(
    faulty: Stack, straight: dict[str, Ran], reader: Reader, verb: str
) -> None:
    one = ran(faulty, verb, reader(f"enough-{verb}", cluster_role(READ_BY_VERB[verb])))
    assert (one.code, one.text) == (straight[verb].code, straight[verb].text), one.stderr


def test_a_role_that_may_not_even_see_what_is_served_is_told_so(faulty: Stack, reader: Reader) -> None:
    """Some clusters take away what Kubernetes gives to everybody who is logged in."""
    path = reader("nothing", {**cluster_role([]), "rules": []})
    faulty.kubectl("delete", "clusterrolebinding", "system:discovery", "system:public-info-viewer")
    for verb, one in all_ran(faulty, dict.fromkeys(VERBS, path)).items():
        assert (one.code, one.text) == (3, ""), verb
        (complaint,) = one.stderr.splitlines()
        assert "may not: get /api, /apis, /version (" in complaint
        assert "stellwerk doctor --kubeconfig --rbac" in complaint


@pytest.mark.parametrize("how", ["token", "certificate"])
def test_credentials_that_are_over_are_told_once_and_not_tried_again(
    faulty: Stack, tmp_path: Path, how: str
) -> None:
    user = {"token": "over"}
    if how == "certificate":
        make_client(faulty.folder / "pki", "expired", "stellwerk", days=-1)
        user = {
            "client-certificate": faulty.pki("expired.crt"),
            "client-key": faulty.pki("expired.key"),
        }
    path = with_user(faulty, tmp_path / "over", user)
    for one in all_ran(faulty, dict.fromkeys(VERBS, path)).values():
        assert (one.code, one.text) == (3, "")
        (complaint,) = one.stderr.splitlines()
        assert "does not accept the credentials of context local" in complaint
        assert "log in again, then: kubectl --context local auth whoami" in complaint


def test_in_all_of_it_nothing_but_get_list_and_watch_was_asked(
    faulty: Stack, straight: dict[str, Ran]
) -> None:
    assert straight
    seen = [json.loads(line) for line in faulty.audit_log.read_text().splitlines()]
    assert len(seen) > 100 and {each["verb"] for each in seen} <= {"get", "list", "watch"}
    assert {each["user"]["username"] for each in seen} == {"stellwerk"}
