"""What a layer does with an object: its verdict, the field, versions, source, and what helps."""

from collections.abc import Mapping

from msgspec import Struct

from stellwerk.api.checks.refusal import Refusal
from stellwerk.catalog.versions import DRIVER, KARPENTER, KUEUE, OPERATOR, Component, gates, release, releases
from stellwerk.engine.decision import Reason

ACCEPTS, IGNORES, WAITS, PENDS, REFUSES = "accepts", "ignores", "waits", "pends", "refuses"
API_SERVER, SCHEDULER = "kube-apiserver", "kube-scheduler"
LAYERS = (API_SERVER, SCHEDULER, KUEUE, KARPENTER, OPERATOR, DRIVER)
# In the order in which they stop a claim: no device is published, so none is found; a node that is not there.
ACTING = (API_SERVER, KUEUE, OPERATOR, KARPENTER, SCHEDULER, DRIVER)
DEVICE_PLUGIN, DRA = "device-plugin", "dra"
# What hands out NVIDIA's devices: extended resources, GPUs in ResourceSlices, ComputeDomains in them.
PLUGIN, GPUS, DOMAINS = "plugin", "gpus", "compute-domains"
RESOURCE_VALIDATION = "pkg/apis/resource/validation/validation.go"


class Row(Struct, frozen=True, kw_only=True):
    """One answer of one layer about one object, and the field that it is about ("": the whole object).

    `verdict`: accepts; ignores (a field has no effect, or the layer does not act); waits (others have what it
    needs, and give it back); pends (it waits for ever); refuses. `versions` and `source` say what was read
    for it; `fix` is the smallest change or command.
    """

    layer: str
    verdict: str
    object: str
    field: str
    reason: Reason
    versions: str
    source: str
    fix: Reason | None = None


class Cluster(Struct, frozen=True, kw_only=True):
    """The cluster that is asked about: a Kubernetes release, changed gates, and what runs on it.

    `kueue` and `karpenter`: None where it is not there. `karpenter_dra`: --ignore-dra-requests=false.
    `providers`: of Karpenter, one or all that are known. `operator_mode`: device-plugin or dra.
    Of a live cluster: `scheduler_changed`, where the scheduler's gates are not those of the API server;
    `parts`: which of PLUGIN, GPUS and DOMAINS are there (None: by the mode); `mapped`: the DeviceClasses of
    Kueue's deviceClassMappings (None: not read).
    """

    kubernetes: str
    changed: Mapping[str, bool]
    kueue: Component | None
    karpenter: Component | None
    karpenter_dra: bool
    providers: tuple[Component, ...]
    operator: Component
    operator_mode: str
    driver: Component
    scheduler_changed: Mapping[str, bool] | None = None
    parts: frozenset[str] | None = None
    mapped: frozenset[str] | None = None

    def on(self, gate: str) -> bool:
        """Whether a gate of the API server is on; one that the release does not know is off."""
        state = gates(self.kubernetes).get(gate)
        return state is not None and self.changed.get(gate, state.default)

    def scheduler_on(self, gate: str) -> bool:
        """Whether a gate of the scheduler is on."""
        changed = self.changed if self.scheduler_changed is None else self.scheduler_changed
        state = gates(self.kubernetes).get(gate)
        return state is not None and changed.get(gate, state.default)

    def serves(self, part: str) -> bool:
        """Whether PLUGIN, GPUS or DOMAINS is there."""
        if self.parts is not None:
            return part in self.parts
        return (part == PLUGIN) == (self.operator_mode == DEVICE_PLUGIN)

    def component_on(self, component: Component, gate: str) -> bool:
        """Whether a gate of Kueue or of NVIDIA's driver is on."""
        state = component.gates.get(gate)
        return state is not None and self.changed.get(gate, state.default)

    def driver_gates(self) -> frozenset[str]:
        """The gates of NVIDIA's driver that are on."""
        return frozenset(gate for gate in self.driver.gates if self.component_on(self.driver, gate))

    def versions(self) -> str:
        """The Kubernetes that a row is about."""
        return f"Kubernetes {self.kubernetes} ({release(self.kubernetes).version})"

    def source(self, file: str) -> str:
        """A file of Kubernetes at the patch that was read."""
        return f"k8s.io/kubernetes@{release(self.kubernetes).version} {file}"

    def gate_fix(self, gate: str) -> Reason:
        """How a gate of Kubernetes that is off can be had."""
        if gate not in gates(self.kubernetes):
            later = next((name for name in releases() if gate in gates(name)), releases()[-1])
            return Reason(
                "newer-release",
                "it needs Kubernetes {release} with the feature gate {gate}: try --kubernetes {release} "
                "--gate {gate}=true",
                {"release": later, "gate": gate},
            )
        return Reason(
            "gate",
            "set the feature gate {gate} on the API server and the scheduler, then check: --gate {gate}=true",
            {"gate": gate},
        )


class Wrong(Struct, frozen=True, kw_only=True):
    """A field that is refused or dropped, and why; layers make rows of it; `file`: where it is said."""

    path: str
    reason: Reason
    fix: Reason | None = None
    file: str = ""


def wrong_of(refusal: Refusal) -> Wrong:
    """A rule's answer as a row has it."""
    return Wrong(
        path=refusal.path,
        reason=Reason(refusal.code, refusal.problem, refusal.values),
        fix=Reason(refusal.code, refusal.fix, refusal.values),
    )


class Seen(Struct, frozen=True):
    """The versions that a row is about, and the file that says it."""

    versions: str
    source: str


def row(layer: str, verdict: str, name: str, wrong: Wrong, seen: Seen) -> Row:
    """The row of one layer about the object `name`."""
    return Row(
        layer=layer,
        verdict=verdict,
        object=name,
        field=wrong.path,
        reason=wrong.reason,
        versions=seen.versions,
        source=seen.source,
        fix=wrong.fix,
    )
