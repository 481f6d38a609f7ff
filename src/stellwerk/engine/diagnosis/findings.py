"""Every finding that a diagnosis may have: its layer, what it says, the next step, and which verbs it stops.

Texts are templates; `names` are the first names of what is meant.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from stellwerk.engine.decision import Reason

DATABASE, EXPORTER, KUBE, KUEUE, OWN = "database", "exporter", "kube-state-metrics", "kueue", "stellwerk"
LAYERS = (DATABASE, EXPORTER, KUBE, KUEUE, OWN)
OK, WARNING, MISSING = "ok", "warning", "missing"
VERDICTS = (OK, WARNING, MISSING)  # From good to bad.
ADVISE, BILL, WHATIF = "advise", "bill", "whatif"
VERBS = (ADVISE, BILL, WHATIF)
_NAMES_SHOWN = 5


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was found. `stops`: verbs that cannot work with it; `metrics`: what it is about."""

    layer: str
    verdict: str
    reason: Reason
    step: Reason | None = None
    stops: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """For programs; each is in the reference."""
        return self.reason.code


class Kind(Struct, frozen=True):
    """A row of the table: `text` and `fix` are templates."""

    layer: str
    verdict: str
    text: str
    fix: str = ""
    stops: tuple[str, ...] = ()


def _said(template: str) -> str:
    """Mark a text that a user may read."""
    return template


_COUNTERS = _said("stellwerk export monitoring -o DIR writes the exporter's counters: {metrics}")
_KUBE_STATE = _said("scrape kube-state-metrics, and let it show {metrics} (--metric-allowlist)")

KINDS: Mapping[str, Kind] = {
    "database-answers": Kind(DATABASE, OK, _said("{product} answers in {milliseconds} ms")),
    "history-there": Kind(
        DATABASE,
        OK,
        _said("GPUs are there since {since}, {samples} samples a day, counted in {milliseconds} ms"),
    ),
    "retention-known": Kind(DATABASE, OK, _said("its retention is {value}")),
    "history-short": Kind(
        DATABASE,
        WARNING,
        _said("GPUs are there since {since}: {found} of the {days} days that are asked for"),
        _said("ask for fewer (--days {found}); to have more, raise the database's retention"),
    ),
    "samples-old": Kind(
        DATABASE,
        WARNING,
        _said("the newest sample of a GPU is {minutes} minutes old: nothing is scraped now"),
        _said("look at the exporter's target, and at its log"),
    ),
    "samples-future": Kind(
        DATABASE,
        WARNING,
        _said("samples of GPUs are stamped after now: a clock is wrong, here or where they are scraped"),
        _said("set both clocks by NTP: what is stamped later than now is not read"),
    ),
    "clock-differs": Kind(
        DATABASE,
        WARNING,
        _said("the database's clock and this machine's differ by {seconds} s"),
        _said("set both clocks by NTP: the end of what is read is off by as much"),
    ),
    "interval-long": Kind(
        DATABASE,
        WARNING,
        _said("GPUs are scraped every {seconds} s: pods shorter than that are missed, and peaks too"),
        _said("scrape the exporter every 30 s"),
    ),
    "limit-low": Kind(
        DATABASE,
        WARNING,
        _said("its limit {name} is {value}, and a query may need {needed}"),
        _said("raise it; until then days are asked in parts, which takes longer, or fail"),
    ),
    "count-refused": Kind(
        DATABASE,
        WARNING,
        _said("it refuses to count a day's samples at once: {words}"),
        _said("days are asked in parts then, which takes longer; higher limits help"),
    ),
    "answers-partial": Kind(
        DATABASE,
        WARNING,
        _said("its answers may lack something, by its own word: {words}"),
        _said("see which of its parts do not answer: figures may be too low"),
    ),
    "history-none": Kind(
        EXPORTER,
        MISSING,
        _said("no series of DCGM exporter in the last {days} days: {metrics}"),
        _said(
            "scrape the exporter: stellwerk export monitoring -o DIR writes ServiceMonitor "
            "and VMServiceScrape"
        ),
        VERBS,
    ),
    "gpus-measured": Kind(
        EXPORTER,
        OK,
        _said("{gpus} GPUs or instances on {nodes} nodes, {fields} fields, every {seconds} s"),
    ),
    "driver-known": Kind(EXPORTER, OK, _said("NVIDIA driver {version}")),
    "pods-split": Kind(EXPORTER, OK, _said("values of {things} shared GPUs are per pod")),
    "compute-missing": Kind(
        EXPORTER,
        MISSING,
        _said(
            "no compute activity ({metrics}): advise has no verdict, whatif shares nothing, bill no idle time"
        ),
        _COUNTERS,
        (ADVISE,),
    ),
    "memory-missing": Kind(
        EXPORTER,
        MISSING,
        _said("no GPU memory ({metrics}): advise has no verdict, and whatif shares nothing"),
        _COUNTERS,
        (ADVISE,),
    ),
    "profiling-missing": Kind(
        EXPORTER,
        WARNING,
        _said(
            "only GPU_UTIL tells of compute ({metrics} are missing): it is an upper bound, "
            "so shares are larger"
        ),
        _COUNTERS,
    ),
    "bandwidth-missing": Kind(
        EXPORTER,
        WARNING,
        _said("no memory bandwidth ({metrics}): advise cannot tell who would disturb whom"),
        _COUNTERS,
    ),
    "tensor-missing": Kind(
        EXPORTER,
        WARNING,
        _said("no tensor activity ({metrics}): advise cannot tell who is bound by compute"),
        _COUNTERS,
    ),
    "nvlink-missing": Kind(
        EXPORTER,
        WARNING,
        _said(
            "no NVLink traffic ({metrics}): advise does not know which GPUs talk; right "
            "where there is no NVLink"
        ),
        _COUNTERS,
    ),
    "power-missing": Kind(
        EXPORTER, WARNING, _said("no power ({metrics}): bill and advise know no energy"), _COUNTERS
    ),
    "energy-missing": Kind(
        EXPORTER,
        WARNING,
        _said("no energy counter ({metrics}): jumps of a clock and restarts stay unseen"),
        _COUNTERS,
    ),
    "alerts-missing": Kind(
        EXPORTER,
        WARNING,
        _said("alerts on XID, throttling and full memory stay silent: {metrics} are missing"),
        _COUNTERS,
    ),
    "pods-missing": Kind(
        EXPORTER,
        MISSING,
        _said("no series names the pod that holds a GPU: nothing can be said of a workload"),
        _said("set DCGM_EXPORTER_KUBERNETES=true on the exporter, and mount the kubelet's pod-resources"),
        VERBS,
    ),
    "pods-unnamed": Kind(
        EXPORTER,
        WARNING,
        _said("{things} of {count} running pods with GPUs are named by no series: {names}"),
        _said(
            "where pods share a GPU set KUBERNETES_VIRTUAL_GPUS=true on the exporter: "
            "without it, it names one of them"
        ),
    ),
    "pods-repeated": Kind(
        EXPORTER,
        WARNING,
        _said("{things} GPUs are shared, and the exporter repeats their values on each pod: {names}"),
        _said(
            "a newer exporter gives GPU_UTIL and FB_USED per process; until then they are split among nobody"
        ),
    ),
    "pods-zero": Kind(
        EXPORTER,
        WARNING,
        _said("{things} GPUs are busy while {metrics} of each of their pods is 0: {names}"),
        _said(
            "set hostPID: true on the exporter, so that it sees the processes of pods; a pod "
            "alone on a GPU is read right all the same"
        ),
    ),
    "labels-renamed": Kind(
        EXPORTER,
        WARNING,
        _said("the scrape has honorLabels: false, so the pod is in exported_pod: it is read all the same"),
        _said(
            "set honorLabels: true for dashboards and rules of others; stellwerk export "
            "monitoring -o DIR has it"
        ),
    ),
    "clusters-merged": Kind(
        EXPORTER,
        WARNING,
        _said("GPUs of {things} clusters are here and are read as one: {names}"),
        _said("name a database, or a tenant's path, that holds one cluster: --prometheus URL"),
    ),
    "hostname-mixed": Kind(
        EXPORTER,
        WARNING,
        _said(
            "nodes are spelled as Hostname and as hostname: exporters before and after 4.5.3 run side by side"
        ),
        _said("let all nodes run one version of the exporter; both are read"),
    ),
    "node-unnamed": Kind(
        EXPORTER,
        WARNING,
        _said("{things} GPUs have no Hostname: their node is taken from the scrape's address: {names}"),
        _said("set NODE_NAME on the exporter, or relabel the scrape with the node's name"),
    ),
    "uuid-missing": Kind(
        EXPORTER,
        WARNING,
        _said("{things} GPUs have no UUID, so they are told apart by node and index: {names}"),
        _said("keep the label UUID in the scrape's relabeling"),
    ),
    "model-missing": Kind(
        EXPORTER,
        WARNING,
        _said("{things} GPUs have no modelName: what they cost and hold is unknown: {names}"),
        _said("keep the label modelName in the scrape's relabeling"),
    ),
    "model-unknown": Kind(
        EXPORTER,
        WARNING,
        _said("{things} GPU models are not in the catalog: {names}"),
        _said("see which are: stellwerk catalog gpus"),
    ),
    "mig-compute": Kind(
        EXPORTER,
        WARNING,
        _said(
            "{things} MIG instances have no GR_ENGINE_ACTIVE, and GPU_UTIL is not reported for MIG: {names}"
        ),
        _COUNTERS,
    ),
    "values-blank": Kind(
        EXPORTER,
        WARNING,
        _said("{things} GPUs show a value that DCGM writes for none: {names}"),
        _said("such samples are left out; the exporter's log says why the field has no value"),
    ),
    "pods-known": Kind(
        KUBE, OK, _said("{pods} pods with GPUs run, {nodes} nodes, {kinds} pods say their kind")
    ),
    "kube-missing": Kind(
        KUBE,
        MISSING,
        _said(
            "no series of kube-state-metrics: owners, kinds, requests, starts and ends of pods are unknown"
        ),
        _said("install kube-state-metrics, and scrape it: bill and whatif become exact with it"),
    ),
    "owner-missing": Kind(
        KUBE,
        WARNING,
        _said("no owners of pods ({metrics}): each pod is a workload of its own"),
        _KUBE_STATE,
    ),
    "requests-missing": Kind(
        KUBE,
        WARNING,
        _said("no requests ({metrics}): pods that no scrape saw, and pods that wait for GPUs, are unknown"),
        _KUBE_STATE,
    ),
    "start-missing": Kind(
        KUBE,
        WARNING,
        _said("no starts of pods ({metrics}): whatif and bill take the first sample"),
        _KUBE_STATE,
    ),
    "end-missing": Kind(
        KUBE,
        WARNING,
        _said(
            "no ends of pods ({metrics}) now: whatif and bill take the last sample; right "
            "where none has ended"
        ),
        _KUBE_STATE,
    ),
    "pending-missing": Kind(
        KUBE,
        WARNING,
        _said("no phases of pods ({metrics}): bill cannot tell idle GPUs that somebody waits for"),
        _KUBE_STATE,
    ),
    "kind-missing": Kind(
        KUBE,
        WARNING,
        _said("no pod shows stellwerk.dev/workload-kind: advise judges by use alone"),
        _said(
            "set metricLabelsAllowlist: [pods=[stellwerk.dev/workload-kind]] in "
            "kube-state-metrics' chart, and the "
            "label on pods"
        ),
    ),
    "node-life-missing": Kind(
        KUBE,
        WARNING,
        _said("no lives of nodes ({metrics}): bill takes all nodes of the fleet to be there all the time"),
        _KUBE_STATE,
    ),
    "cordon-missing": Kind(
        KUBE, WARNING, _said("no cordons ({metrics}): bill takes cordoned GPUs as idle"), _KUBE_STATE
    ),
    "node-unmatched": Kind(
        KUBE,
        WARNING,
        _said("{things} nodes with GPUs have another name here than in DCGM's series: {names}"),
        _said("set NODE_NAME on the exporter to spec.nodeName: lives and cordons are matched by name"),
    ),
    "queues-known": Kind(KUEUE, OK, _said("{count} series of pending workloads")),
    "kueue-missing": Kind(
        KUEUE,
        WARNING,
        _said(
            "no kueue_pending_workloads: workloads that wait for quota count as nobody "
            "waiting; right without Kueue"
        ),
        _said("with Kueue, scrape its controller: bill then knows who waits before there are pods"),
    ),
    "rules-run": Kind(OWN, OK, _said("{rules} rules and {series} series of Stellwerk")),
    "rules-none": Kind(
        OWN,
        OK,
        _said("no rules of Stellwerk: no verb needs them; stellwerk export monitoring -o DIR writes them"),
    ),
    "rules-failing": Kind(
        OWN,
        WARNING,
        _said("{things} rules of Stellwerk fail: {names}: {words}"),
        _said("load the rules again: stellwerk export monitoring -o DIR"),
    ),
}


def finding(code: str, metrics: tuple[str, ...] = (), /, **values: str | int) -> Finding:
    """The finding of a code with its values; `metrics` fill the place of that name, too."""
    return found_of(KINDS[code], code, metrics, values)


def found_of(kind: Kind, code: str, metrics: tuple[str, ...], values: Mapping[str, str | int]) -> Finding:
    """A finding of any table of kinds."""
    given = {"metrics": ", ".join(metrics), **values} if metrics else values
    return Finding(
        layer=kind.layer,
        verdict=kind.verdict,
        reason=Reason(code, kind.text, given),
        step=Reason(code, kind.fix, given) if kind.fix else None,
        stops=kind.stops,
        metrics=metrics,
    )


def named(names: Iterable[str]) -> dict[str, str | int]:
    """How many names there are, and the first of them."""
    # A label may hold what a terminal must not obey.
    clean = sorted({"".join(c if c.isprintable() else "?" for c in name) or "-" for name in names})
    more = ", ..." if len(clean) > _NAMES_SHOWN else ""
    return {"things": len(clean), "names": ", ".join(clean[:_NAMES_SHOWN]) + more}
