"""A ResourceClaimTemplate for NVIDIA's DRA driver that asks for what the estimate needs."""

import re
from collections.abc import Iterator

from msgspec import Struct

from stellwerk.catalog.gpus import GpuModel
from stellwerk.engine.advice.fit.estimate import Estimate
from stellwerk.engine.advice.fit.verdict import GB, Verdict

GPUS_OF_A_NODE = 8  # What a node with NVLink between all its GPUs has as a rule (HGX).


class _Request(Struct, frozen=True):
    estimate: Estimate
    verdict: Verdict
    gpu: GpuModel | None

    @property
    def roomy(self) -> bool:
        """Whether the upper end of the error bar can be had at all."""
        return any(card.fits == "yes" for card in self.verdict.cards)

    @property
    def gigabytes(self) -> int:
        """Decimal GB of each device, rounded up."""
        return -(-(self.estimate.high if self.roomy else self.estimate.total) // GB)

    @property
    def count(self) -> int:
        """GPUs of one pod."""
        return min(self.estimate.plan.gpus, GPUS_OF_A_NODE)

    @property
    def name(self) -> str:
        """A DNS label of model and task."""
        plain = re.sub(r"[^a-z0-9]+", "-", f"{self.estimate.model}-{self.estimate.plan.task}".lower())
        return plain.strip("-")[:63].strip("-") or "model"


def claim_template(estimate: Estimate, verdict: Verdict, gpu: GpuModel | None = None) -> str:
    """YAML of resource.k8s.io/v1; `gpu` narrows it to one model. English, as all manifests.

    Memory is decimal ("40G"), since NVML reports less than the nominal GiB (H100 80GB: 81559Mi). The driver
    announces productName and memory, no NVLink: the node label nvidia.com/gpu.product chooses that.
    """
    request = _Request(estimate, verdict, gpu)
    return "\n".join([*_comments(request), *_head(request), *_body(request), ""])


def _comments(request: _Request) -> Iterator[str]:
    plan, found = request.estimate.plan, request.estimate
    end = "at most" if request.roomy else "estimate, since no GPU asked about holds what it is at most"
    yield f"# {found.model}: {plan.task}, {plan.seq} tokens x batch {plan.batch}"
    yield f"# {plan.gpus} GPU(s), strategy {found.strategy}"
    yield f"# GB on each GPU: about {_gb(found.total)}, at least {_gb(found.low)}, at most {_gb(found.high)}"
    yield f"# Asked for: {end}."
    for reason in request.verdict.reasons:
        yield f"# Do not share: {reason}."
    if plan.gpus > GPUS_OF_A_NODE:
        pods = -(-plan.gpus // GPUS_OF_A_NODE)
        yield f"# One claim for each pod: {pods} pods of {request.count} GPUs on a node each."
    if request.count > 1:
        yield "# NVLink: the driver announces none. Choose nodes by the label nvidia.com/gpu.product, of GPUs"
        yield "# whose NVLink reaches all of a node (NVSwitch); matchAttribute keeps them of one model."


def _gb(nbytes: int) -> str:
    tenths = -(-nbytes * 10 // GB)
    return f"{tenths // 10}.{tenths % 10}"


def _head(request: _Request) -> Iterator[str]:
    yield "apiVersion: resource.k8s.io/v1"
    yield "kind: ResourceClaimTemplate"
    yield f"metadata: {{name: {request.name}}}"
    yield "spec:"
    yield "  spec:"
    yield "    devices:"
    yield "      requests:"
    yield "      - name: gpu"


def _body(request: _Request) -> Iterator[str]:
    if request.verdict.sharing == "mig":
        yield "        firstAvailable:  # A slice first, else a whole GPU."
        yield "        - name: mig"
        yield "          deviceClassName: mig.nvidia.com"
        yield from _selectors(request, "          ")
        yield "        - name: whole"
        yield "          deviceClassName: gpu.nvidia.com"
        yield from _selectors(request, "          ")
        return
    yield "        exactly:"
    yield "          deviceClassName: gpu.nvidia.com"
    yield f"          count: {request.count}"
    yield from _selectors(request, "          ")
    if request.count > 1:
        yield "      constraints:"
        yield "      - requests: [gpu]"
        yield "        matchAttribute: gpu.nvidia.com/productName"


def _selectors(request: _Request, indent: str) -> Iterator[str]:
    memory = 'device.capacity["gpu.nvidia.com"].memory'
    yield f"{indent}selectors:"
    yield f"{indent}- cel:"
    yield f"{indent}    expression: '{memory}.compareTo(quantity(\"{request.gigabytes}G\")) >= 0'"
    if request.gpu is not None:
        # GPU feature discovery writes the product's name with dashes; so do some names themselves.
        labels = ", ".join(f'"{label}"' for label in request.gpu.gfd_product_labels)
        name = 'device.attributes["gpu.nvidia.com"].productName.replace(" ", "-")'
        yield f"{indent}- cel:"
        yield f"{indent}    expression: '{name} in [{labels}]'"
