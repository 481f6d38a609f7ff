"""Kueue's feature gates, as far as a decision depends on them; defaults and dependencies are in the catalog.

A gate's name is Kueue's, in snake case: `tas_balanced_placement` is TASBalancedPlacement.
"""

from collections.abc import Mapping
from functools import cache

from msgspec import Struct

from stellwerk.catalog.kueue import kueue_facts

_ALL_OF = {"alpha": "AllAlpha", "beta": "AllBeta"}
ALL = frozenset(_ALL_OF.values())  # They set all gates of a stage that are not set by name.
_WRITTEN = {"tas": "TAS", "dra": "DRA"}


class FeatureGates(Struct, frozen=True, kw_only=True):
    """Which behaviour is on; `feature_gates()` gives the defaults."""

    admission_fair_sharing: bool
    admission_gated_by: bool
    concurrent_admission: bool
    disable_wait_for_pods_ready: bool
    elastic_jobs_via_workload_slices: bool
    elastic_jobs_via_workload_slices_with_tas: bool
    fair_sharing_preempt_within_nominal: bool
    fair_sharing_prioritize_non_borrowing: bool
    flavor_fungibility: bool
    flavor_fungibility_preserve_scan_progress: bool
    kueue_dra_integration: bool
    kueue_dra_integration_consumable_capacity: bool
    kueue_dra_integration_extended_resource: bool
    kueue_dra_integration_partitionable_devices: bool
    kueue_dra_reject_workloads_when_dra_disabled: bool
    multi_kueue_orchestrated_preemption: bool
    partial_admission: bool
    prioritize_preemptor_workloads: bool
    priority_boost: bool
    priority_sorting_within_cohort: bool
    quota_check_strategy: bool
    reclaimable_pods: bool
    recompute_assignment_upon_preemption_targets_overlap: bool
    scheduler_library_integration: bool
    scheduling_equivalence_hashing: bool
    skip_reassignment_for_pod_owned_workloads: bool
    tas_balanced_placement: bool
    tas_failed_node_replacement: bool
    tas_failed_node_replacement_fail_fast: bool
    tas_handle_overlapping_flavors: bool
    tas_multi_layer_topology: bool
    tas_profile_mixed: bool
    tas_recompute_assignment_within_scheduling_cycle: bool
    tas_replace_node_on_node_taints: bool
    tas_replace_node_on_pod_termination: bool
    tas_respect_node_affinity_preferred: bool
    topology_aware_scheduling: bool
    unadmitted_workloads_explicit_status: bool
    unadmitted_workloads_observability: bool


def feature_gates(changes: Mapping[str, bool] | None = None) -> FeatureGates:
    """The gates with these changed, by Kueue's names; a gate is off where one is off that it needs.

    Raises ValueError with the name as its text for a gate that Kueue does not have.
    """
    return _gates(tuple(sorted((changes or {}).items())))


def written_values(changes: Mapping[str, bool]) -> dict[str, bool]:
    """Each gate as it is set, whatever it needs: by its own name, by all of its stage, or by default."""
    return {
        gate.name: changes.get(gate.name, changes.get(_ALL_OF.get(gate.stage, ""), gate.default))
        for gate in kueue_facts().gates
    }


@cache
def _gates(changes: tuple[tuple[str, bool], ...]) -> FeatureGates:
    known = {gate.name: gate for gate in kueue_facts().gates}
    for name, _ in changes:
        if name not in known and name not in ALL:
            raise ValueError(name)
    on = written_values(dict(changes))

    def enabled(name: str) -> bool:
        return on[name] and all(map(enabled, known[name].needs))

    return FeatureGates(**{field: enabled(kueue_name(field)) for field in FeatureGates.__struct_fields__})


def kueue_name(field: str) -> str:
    """Kueue's name of a gate: PartialAdmission for `partial_admission`."""
    return "".join(_WRITTEN.get(word, word.capitalize()) for word in field.split("_"))
