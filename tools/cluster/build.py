"""Builds etcd, Kubernetes, KWOK, Kueue and Karpenter from their Go modules, into a cache outside the project.

Each folder beside this file is one Go module: its go.mod says the versions. What a version needs besides its
program (CRDs, webhooks, KWOK's stages) is copied from the module beside it. Instant when all is there.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

HERE = Path(__file__).parent
KUBERNETES = "k8s.io/kubernetes"
KUEUE = "sigs.k8s.io/kueue"
KARPENTER = "sigs.k8s.io/karpenter"
KWOK = "sigs.k8s.io/kwok"
# What Kueue's main.go says where its internal certificate management is off, and what is said instead: the
# folder that its configuration names. The module has no option for it.
_METRICS_CERTIFICATES = 'metricsCertPath := "/etc/kueue/metrics/certs"'
_CONFIGURED = "metricsCertPath := cfg.Webhook.CertDir"
_STAGES = ("node/fast/node-initialize", "pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete")
# A Job's pod of KWOK is complete at once; with this annotation after its time ("20s").
RUN_FOR = "stellwerk.dev/run-for"


class BuildFailed(Exception):
    """What is missing, or Go's last words."""


class Program(Struct, frozen=True):
    """A program: the folder of its Go module, its package, and what stamps its version into it."""

    module: str
    package: str
    name: str
    stamped: bool = False


PROGRAMS = (
    Program("kube", "go.etcd.io/etcd/server/v3", "etcd"),
    Program("kube", f"{KUBERNETES}/cmd/kube-apiserver", "kube-apiserver", stamped=True),
    Program("kube", f"{KUBERNETES}/cmd/kube-scheduler", "kube-scheduler", stamped=True),
    Program("kube", f"{KUBERNETES}/cmd/kube-controller-manager", "kube-controller-manager", stamped=True),
    Program("kube", f"{KUBERNETES}/cmd/kubectl", "kubectl", stamped=True),
    Program("kwok", f"{KWOK}/cmd/kwok", "kwok"),
    Program("kueue", "./gen", "kueue"),
    Program("karpenter", f"{KARPENTER}/kwok", "karpenter-kwok"),
)


def kept() -> Path:
    """Where programs and what they need are put: STELLWERK_CLUSTER, else ~/.cache/stellwerk/cluster."""
    if named := os.environ.get("STELLWERK_CLUSTER"):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "stellwerk" / "cluster"


def missing() -> list[str]:
    """The programs that are not there in the version of their go.mod."""
    return [one.name for one in PROGRAMS if not _is_there(one)]


def build() -> None:
    """Build what is missing. Raises BuildFailed, with Go's last words."""
    if not missing():
        return
    if shutil.which("go") is None:
        raise BuildFailed(
            "the cluster is built with Go, and there is no go in PATH; fix: install Go 1.26.6 or newer"
        )
    (kept() / "bin").mkdir(parents=True, exist_ok=True)
    with _alone():
        for one in PROGRAMS:
            if not _is_there(one):
                _build(one)


@contextmanager
def _alone() -> Iterator[None]:
    """Two at once: the second waits, then finds the work done."""
    with (kept() / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp(module: str) -> str:
    """Another go.mod is another version; what this file does to the sources belongs to it."""
    parts = [(HERE / module / name).read_bytes() for name in ("go.mod", "go.sum")]
    return hashlib.sha256(b"\0".join([*parts, _CONFIGURED.encode(), RUN_FOR.encode()])).hexdigest()


def _is_there(one: Program) -> bool:
    program, stamp = kept() / "bin" / one.name, kept() / "bin" / f"{one.name}.stamp"
    there = program.is_file() and os.access(program, os.X_OK) and stamp.is_file()
    return there and stamp.read_text() == _stamp(one.module)


def _build(one: Program) -> None:
    began = time.monotonic()
    print(f"stellwerk: building {one.name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=kept(), prefix=".work.") as work:
        module = Path(work) / one.module
        shutil.copytree(HERE / one.module, module)
        _PREPARED.get(one.module, _nothing)(module)
        built = Path(work) / "built"
        flags = f"-s -w {_version_flags(module)}" if one.stamped else "-s -w"
        _go(
            module,
            "build",
            "-trimpath",
            "-tags",
            "grpcnotrace",
            "-ldflags",
            flags,
            "-o",
            str(built),
            one.package,
        )
        # Beside the old one, so that one step replaces it: a test may be running it.
        built.replace(kept() / "bin" / one.name)
    (kept() / "bin" / f"{one.name}.stamp").write_text(_stamp(one.module))
    print(f"stellwerk: {one.name} after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _go(module: Path, *words: str) -> str:
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false -mod=readonly -p=2",
        "GOWORK": "off",
    }
    done = subprocess.run(
        ["nice", "-n", "5", "go", *words],
        cwd=module,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(f"    {line}" for line in done.stderr.strip().splitlines()[-5:])
        raise BuildFailed(f"go {words[0]} in {module.name} failed:\n{last}")
    return done.stdout.strip()


def _folder(module: Path, path: str) -> Path:
    """Where Go keeps a module's source."""
    _go(module, "mod", "download", path)
    return Path(_go(module, "list", "-m", "-f", "{{.Dir}}", path))


def _version_flags(module: Path) -> str:
    version = _go(module, "list", "-m", "-f", "{{.Version}}", KUBERNETES)
    found = re.fullmatch(r"v(\d+)\.(\d+)\.\d+.*", version)
    if found is None:
        raise BuildFailed(f"the version {version} of {KUBERNETES} is not understood")
    named = {"gitVersion": version, "gitMajor": found[1], "gitMinor": found[2], "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in named.items())


def _nothing(_module: Path) -> None:
    return


def _kueue(module: Path) -> None:
    source = _folder(module, KUEUE)
    text = (source / "cmd" / "kueue" / "main.go").read_text()
    if _METRICS_CERTIFICATES not in text:
        raise BuildFailed("Kueue's main.go has changed: the line of its metrics certificates is not there")
    (module / "gen").mkdir()
    (module / "gen" / "main.go").write_text(text.replace(_METRICS_CERTIFICATES, _CONFIGURED))
    _share("kueue", source / "config" / "components", ("crd/bases/*.yaml", "webhook/manifests.yaml"))


def _karpenter(module: Path) -> None:
    _share("karpenter", _folder(module, KARPENTER) / "kwok", ("charts/crds/*.yaml", "apis/crds/*.yaml"))


def _kwok(module: Path) -> None:
    """KWOK's own stages; pods of Jobs complete after the time that an annotation asks for."""
    source = _folder(module, KWOK) / "kustomize" / "stage"
    found = {name: (source / f"{name}.yaml").read_text() for name in _STAGES}
    last = "pod/fast/pod-complete"
    delay = (
        "\n  delay:\n    durationMilliseconds: 0\n    durationFrom:\n"
        f"      expressionFrom: '.metadata.annotations[\"{RUN_FOR}\"]'\n  next:"
    )
    if found[last].count("\n  next:") != 1:
        raise BuildFailed("KWOK's stage pod-complete has changed: it has no single spec.next")
    found[last] = found[last].replace("\n  next:", delay)
    target = kept() / "share" / "kwok"
    target.mkdir(parents=True, exist_ok=True)
    (target / "kwok.yaml").write_text("\n---\n".join(found.values()))


def _share(name: str, source: Path, patterns: tuple[str, ...]) -> None:
    target = kept() / "share" / name
    shutil.rmtree(target, ignore_errors=True)
    for pattern in patterns:
        for file in sorted(source.glob(pattern)):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())


_PREPARED: dict[str, Callable[[Path], None]] = {"kueue": _kueue, "karpenter": _karpenter, "kwok": _kwok}
