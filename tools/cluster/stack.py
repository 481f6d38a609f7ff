"""Starts and stops the control plane: etcd, API server, controllers, scheduler, KWOK, Kueue, Karpenter.

Plain processes on 127.0.0.1, on ports that are free; certificates, data and logs lie in one folder. The API
server writes an audit log of what user `stellwerk` asks. Nothing outlives `stop`.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.build import kept
from tools.cluster.certificates import make_authority, make_client, make_server

HOST = "127.0.0.1"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
READY_S = 120.0
# Kubernetes 1.36's gates of DRA that are off by default, on: what NVIDIA's driver publishes needs them.
GATES = {"DRADeviceTaintRules": True, "DRAResourcePoolStatus": True, "DRAListTypeAttributes": True}
USERS = {
    "admin": ("admin", "system:masters"),
    "scheduler": ("system:kube-scheduler", ""),
    "controllers": ("system:kube-controller-manager", ""),
    # Who reads: has no right but what a test binds to it.
    "stellwerk": ("stellwerk", ""),
}
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": ["stellwerk"]}, {"level": "None"}],
}


class NotStarted(Exception):
    """A part died or is not ready; with the last lines of its log."""


class Stack:
    """One control plane in a folder. `kueue` and `karpenter` are started on their own, after it."""

    def __init__(self, folder: Path, gates: dict[str, bool] | None = None) -> None:
        self.folder, self.gates = folder.absolute(), {**GATES, **(gates or {})}
        self.ports: dict[str, int] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, tuple[list[str], dict[str, str]]] = {}
        for name in ("pki", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{HOST}:{self.ports['api']}"

    @property
    def audit_log(self) -> Path:
        """What user `stellwerk` asked, a JSON object a line."""
        return self.folder / "log" / "audit.log"

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of one of USERS."""
        return self.folder / f"{user}.kubeconfig"

    def start(self, kwok: bool = True) -> None:
        """The control plane, ready. Raises NotStarted."""
        if (self.folder / "pids.json").exists() and any(_alive(*each) for each in _recorded(self.folder)):
            raise NotStarted(f"{self.folder} has a cluster that runs; fix: make cluster-down")
        names = ("etcd", "peer", "api", "controllers", "scheduler", "kwok")
        self.ports.update(zip(names, free_ports(len(names)), strict=True))
        self._certify()
        (self.folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT))
        self.run("etcd", self._etcd())
        self._await("etcd", f"http://{HOST}:{self.ports['etcd']}/health")
        self.run("kube-apiserver", self._api_server())
        self._await("kube-apiserver", f"{self.server}/readyz")
        self.run("kube-controller-manager", self._controllers())
        self.run("kube-scheduler", self._scheduler())
        self._await("kube-controller-manager", f"https://{HOST}:{self.ports['controllers']}/healthz")
        self._await("kube-scheduler", f"https://{HOST}:{self.ports['scheduler']}/healthz")
        if kwok:
            self.run("kwok", self._kwok())
            self._await("kwok", f"http://{HOST}:{self.ports['kwok']}/healthz")

    def stop(self) -> None:
        """Everything, the last first, at once: its data are of no use to anybody."""
        for name in reversed(list(self._running)):
            self.kill(name)

    def kill(self, name: str, how: int = signal.SIGKILL) -> None:
        """End one part, as a fault does it."""
        process = self._running.pop(name)
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._record()

    def again(self, name: str) -> None:
        """Start a part that was killed, as it was started."""
        words, environment = self._commands[name]
        self.run(name, words, environment)
        if name == "kube-apiserver":
            self._await(name, f"{self.server}/readyz")

    def run(self, name: str, words: Sequence[str], environment: dict[str, str] | None = None) -> None:
        """A part as a process of its own, its output in the folder's log."""
        self._commands[name] = list(words), dict(environment or {})
        with (self.folder / "log" / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                words,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._record()

    def await_part(self, name: str, url: str) -> None:
        """Until a part answers at its URL. Raises NotStarted."""
        self._await(name, url)

    def kubectl(self, *words: str, stdin: str = "", user: str = "admin") -> str:
        """What kubectl prints. Raises NotStarted with its last words."""
        done = subprocess.run(
            [kept() / "bin" / "kubectl", "--kubeconfig", self.kubeconfig(user), *words],
            input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NotStarted(f"kubectl {words[0]}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def apply(self, objects: Sequence[dict[str, Any]]) -> None:
        """Create or change objects, by server-side apply."""
        text = yaml.safe_dump_all(objects, sort_keys=False)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def pki(self, name: str) -> str:
        """The path of a certificate or key."""
        return str(self.folder / "pki" / name)

    def _certify(self) -> None:
        folder = self.folder / "pki"
        if not (folder / "ca.crt").exists():
            make_authority(folder)
            make_server(folder, "server")
            for name, (user, group) in USERS.items():
                make_client(folder, name, user, group)
        for name in USERS:
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {
                        "name": "local",
                        "cluster": {"server": self.server, "certificate-authority": self.pki("ca.crt")},
                    }
                ],
                "users": [
                    {
                        "name": name,
                        "user": {
                            "client-certificate": self.pki(f"{name}.crt"),
                            "client-key": self.pki(f"{name}.key"),
                        },
                    }
                ],
                "contexts": [{"name": "local", "context": {"cluster": "local", "user": name}}],
                "current-context": "local",
            }
            self.kubeconfig(name).write_text(yaml.safe_dump(config))

    def _etcd(self) -> list[str]:
        client, peer = (f"http://{HOST}:{self.ports[name]}" for name in ("etcd", "peer"))
        return [
            program("etcd"), "--name=default", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync",
            "--log-level=warn", f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]  # fmt: skip

    def _api_server(self) -> list[str]:
        return [
            program("kube-apiserver"), f"--etcd-servers=http://{HOST}:{self.ports['etcd']}",
            f"--bind-address={HOST}", f"--advertise-address={HOST}", f"--secure-port={self.ports['api']}",
            "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC", f"--client-ca-file={self.pki('ca.crt')}", *self._serving(),
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.pki('sa.pub')}",
            f"--service-account-signing-key-file={self.pki('sa.key')}",
            "--runtime-config=api/all=true", self._gates(), "--profiling=false",
            f"--audit-policy-file={self.folder / 'audit.yaml'}", f"--audit-log-path={self.audit_log}",
        ]  # fmt: skip

    def _controllers(self) -> list[str]:
        return [
            program("kube-controller-manager"), *self._client("controllers"), *self._serving(),
            f"--bind-address={HOST}", f"--secure-port={self.ports['controllers']}", "--leader-elect=false",
            "--use-service-account-credentials=true", f"--root-ca-file={self.pki('ca.crt')}",
            f"--service-account-private-key-file={self.pki('sa.key')}", self._gates(),
            "--node-monitor-grace-period=1h", "--profiling=false",
        ]  # fmt: skip

    def _scheduler(self) -> list[str]:
        return [
            program("kube-scheduler"), *self._client("scheduler"), *self._serving(),
            f"--bind-address={HOST}", f"--secure-port={self.ports['scheduler']}", "--leader-elect=false",
            self._gates(), "--profiling=false",
        ]  # fmt: skip

    def _kwok(self) -> list[str]:
        return [
            program("kwok"), f"--config={kept() / 'share' / 'kwok' / 'kwok.yaml'}",
            f"--kubeconfig={self.kubeconfig('admin')}", "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--node-lease-duration-seconds=40", "--cidr=10.0.0.1/24", f"--node-ip={HOST}",
            f"--node-port={self.ports['kwok']}", f"--server-address={HOST}:{self.ports['kwok']}",
        ]  # fmt: skip

    def _serving(self) -> tuple[str, str]:
        return f"--tls-cert-file={self.pki('server.crt')}", f"--tls-private-key-file={self.pki('server.key')}"

    def _client(self, user: str) -> list[str]:
        path = self.kubeconfig(user)
        names = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
        return [f"--{name}={path}" for name in names]

    def _gates(self) -> str:
        return "--feature-gates=" + ",".join(f"{name}={str(on).lower()}" for name, on in self.gates.items())

    def read(self, port: str, path: str) -> bytes:
        """What a part (`api`, `controllers`, `scheduler`) answers to the admin at a path."""
        with self._opener().open(f"https://{HOST}:{self.ports[port]}{path}", timeout=10) as answer:
            return bytes(answer.read())

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=self.pki("ca.crt"))
        context.load_cert_chain(self.pki("admin.crt"), self.pki("admin.key"))
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def _await(self, name: str, url: str) -> None:
        opener = self._opener()
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            if self._running[name].poll() is not None:
                raise NotStarted(f"{name} ended:\n{self._last(name)}")
            try:
                with opener.open(url, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise NotStarted(f"{name} is not ready after {READY_S:g} s:\n{self._last(name)}")

    def _last(self, name: str) -> str:
        lines = (self.folder / "log" / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(f"    {line[:300]}" for line in lines[-8:])

    def _record(self) -> None:
        pids = [[name, process.pid] for name, process in self._running.items()]
        (self.folder / "pids.json").write_text(json.dumps(pids))


def stop_recorded(folder: Path) -> Iterator[str]:
    """Stop the processes that a Stack recorded in its folder, the last first; a line for each."""
    for name, pid in reversed(_recorded(folder)):
        if not _alive(name, pid):
            yield f"{name} {pid} was gone"
            continue
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + 15
        while _alive(name, pid) and time.monotonic() < until:
            time.sleep(0.1)
        if _alive(name, pid):
            os.kill(pid, signal.SIGKILL)
        yield f"{name} {pid} stopped"
    if folder.is_dir():
        (folder / "pids.json").write_text("[]")


def _recorded(folder: Path) -> list[tuple[str, int]]:
    try:
        found = json.loads((folder / "pids.json").read_text())
    except FileNotFoundError:
        return []
    return [(str(name), int(pid)) for name, pid in found]


def _alive(name: str, pid: int) -> bool:
    """Whether this process runs, and is that part and not another that got its number since."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return Path(line).name == name


def program(name: str) -> str:
    """The path of a program that was built."""
    return str(kept() / "bin" / name)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all are held until the last is found."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind((HOST, 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
