"""A smaller GPU of its own: where sharing is out of the question, but most of the GPU is not used."""

from fractions import Fraction

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.gpus import GpuModel, gpu_model, gpu_models
from stellwerk.engine.advice.profile import COARSE, Profile
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.decision import Reason

OLDEST = (8, 0)  # Ampere: what data centers still sell.
NOT_FOR_SERVERS = ("consumer", "Workstation", "Superchip")


def smaller_model(profile: Profile, margins: Margins) -> tuple[str, Reason] | None:
    """The smallest server model with memory, FP16 and bandwidth for it; None where none is much smaller.

    Compute and bandwidth are converted by datasheet figures, so a model that lacks one of them is left out.
    """
    assert profile.memory is not None and profile.compute is not None, "missing() was asked before"
    try:
        now = gpu_model(profile.model)
    except InvalidInput:
        return None
    if now.fp16_tensor_dense_tflops is None or now.memory_bandwidth_gb_s is None:
        return None
    if profile.bandwidth is None and profile.compute_metric not in COARSE:
        return None
    used = profile.bandwidth or profile.compute
    memory = margins.on(profile.memory.most)
    flops = Fraction(now.fp16_tensor_dense_tflops) * margins.on(profile.compute.p99) / 1000
    bandwidth = Fraction(now.memory_bandwidth_gb_s * margins.on(used.p99), 1000)
    found = [each for each in gpu_models() if _much_smaller(each, now) and each.memory_bytes >= memory]
    found = [each for each in found if _holds(each, flops, bandwidth)]
    if not found:
        return None
    best = min(found, key=lambda each: (each.memory_bytes, each.tdp_w or 0, each.id))
    values: dict[str, str | int] = {"model": best.id, "gb": best.memory_gb}
    return best.id, Reason("SmallerModel", "a smaller GPU of its own would do: {model} with {gb} GB", values)


def _much_smaller(each: GpuModel, now: GpuModel) -> bool:
    major, minor = (int(part) for part in each.compute_capability.split("."))
    if (major, minor) < OLDEST or each.memory_bytes * 10 > now.memory_bytes * 7:
        return False
    described = f"{each.form_factor} {each.id} {' '.join(each.gfd_product_labels)}"
    return not any(word in described for word in NOT_FOR_SERVERS)


def _holds(each: GpuModel, flops: Fraction, bandwidth: Fraction) -> bool:
    if each.fp16_tensor_dense_tflops is None or each.memory_bandwidth_gb_s is None:
        return False
    return Fraction(each.fp16_tensor_dense_tflops) >= flops and each.memory_bandwidth_gb_s >= bandwidth
