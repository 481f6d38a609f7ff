"""A Fleet manifest, or v1 Nodes, priced: known answers, what stays unknown, what is refused with its path."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.core import Node
from stellwerk.api.quantity import Quantity, parse_quantity
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.money.bill import month_cost_cents
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.money.fleet_cost import LIST_PRICES, price_fleet
from stellwerk.engine.money.node_fleet import price_nodes
from stellwerk.engine.snapshot import Faults, Fleet

H100 = {"provider": "scaleway", "name": "H100-1-80G", "region": "fr-par-2/pl-waw-2"}
P5 = {"provider": "aws", "name": "p5.48xlarge"}
PRICE = {"amount": "5.04", "currency": "EUR", "date": "2026-08-28", "source": "quote of X"}
OWNED = {
    "capex": {"amount": "95000", "currency": "EUR", "date": "2026-05-01", "source": "invoice"},
    "years": "4",
    "residualPercent": "25",
    "powerWatts": "2000",
    "energyPrice": {"amount": "0.183", "currency": "EUR", "date": "2025", "source": "voltvera.de"},
    "pue": "1.63",
    "staffPerYear": {"amount": "6000", "currency": "EUR", "date": "2026", "source": "payroll"},
}


def manifest(*nodes: dict[str, Any], **spec: Any) -> api.Fleet:
    document = {
        "apiVersion": "stellwerk.dev/v1alpha1",
        "kind": "Fleet",
        "metadata": {"name": "demo"},
        "spec": {"nodes": [{"name": f"n{i}"} | node for i, node in enumerate(nodes)], **spec},
    }
    return msgspec.convert(document, api.Fleet)


def priced(*nodes: dict[str, Any], **spec: Any) -> Fleet:
    return price_fleet(manifest(*nodes, **spec))


def test_two_rented_nodes_cost_the_catalogs_price_with_its_date_and_source() -> None:
    fleet = priced({"name": "gpu", "count": 2, "instanceType": H100})
    assert [(n.name, n.gpu_model, n.gpus) for n in fleet.nodes] == [
        ("gpu-0", "H100-PCIE-80GB", 1),
        ("gpu-1", "H100-PCIE-80GB", 1),
    ]
    assert fleet.nodes[0].gpu_memory_bytes == 81_559 * 1024**2
    (term,) = fleet.nodes[0].cost.terms
    assert (term.name, term.per_hour, term.formula, term.date) == (
        "rent",
        Decimal("2.8665"),
        "2.8665 EUR",
        "2026-08-28",
    )
    assert "Scaleway API" in term.source
    assert month_cost_cents(fleet) == 418_509  # 2 * 2.8665 * 730 = 4185.09
    assert fleet.notes == (str(LIST_PRICES), "The catalog on scaleway H100-1-80G: older value 2.73 / 2.52.")


def test_a_quote_is_taken_as_it_is() -> None:
    fleet = priced({"gpuModel": "H100-PCIE-80GB", "gpus": 2, "price": PRICE})
    assert (fleet.name, fleet.currency, fleet.gpus, fleet.notes) == ("demo", "EUR", 2, ())
    assert fleet.nodes[0].cost.per_hour == Decimal("5.04")
    assert fleet.nodes[0].cost.terms[0].source == "quote of X"


@pytest.mark.parametrize(
    ("stated", "per_kwh"),
    [
        ({}, Decimal("0.29829")),  # 0.183 * 1.63
        ({"pue": "1"}, Decimal("0.183")),
        ({"energyPrice": OWNED["energyPrice"] | {"amount": "0"}, "powerWatts": "0"}, None),  # In colocation.
        (
            {"energyPrice": OWNED["energyPrice"] | {"amount": "0.20", "currency": "USD"}},
            Decimal("0.3260000000"),
        ),
    ],
)
def test_a_kwh_at_the_gpu_costs_its_price_times_pue(stated: dict[str, Any], per_kwh: Decimal | None) -> None:
    group = {"gpuModel": "NVIDIA-H100-PCIe", "gpus": 2, "owned": OWNED | stated}
    rates = (parse_rate("EURUSD=1.00@2026-01-01"),)
    assert price_fleet(manifest(group), rates).nodes[0].cost.energy_per_kwh == per_kwh
    assert priced({"name": "gpu", "instanceType": H100}).nodes[0].cost.energy_per_kwh is None


def test_an_own_server_has_a_term_for_each_of_its_costs() -> None:
    fleet = priced({"gpuModel": "NVIDIA-H100-PCIe", "gpus": 2, "owned": OWNED})
    # 95000 * 0.75 / 35040 = 2.0333904110; 2 * 1.63 * 0.183 = 0.59658; 6000 / 8760 = 0.6849315068
    assert {t.name: t.per_hour for t in fleet.nodes[0].cost.terms} == {
        "depreciation": Decimal("2.0333904110"),
        "energy": Decimal("0.59658"),
        "staff": Decimal("0.6849315068"),
    }
    assert fleet.nodes[0].cost.per_hour == Decimal("3.3149019178")
    assert [t.date for t in fleet.nodes[0].cost.terms] == ["2026-05-01", "2025", "2026"]


def test_a_price_in_dollars_takes_the_catalogs_old_rate_and_says_so() -> None:
    fleet = priced({"instanceType": P5})
    (term,) = fleet.nodes[0].cost.terms
    assert term.formula == "55.04 USD / 1.0411 USD per EUR"
    assert term.per_hour == Decimal("52.8671597349")  # 55.04 / 1.0411 = 52.86715973489...
    assert "1 EUR = 1.0411 USD on 2025-02-28" in term.source
    (old,) = [note for note in fleet.notes if "old" in note]
    assert "2025-02-28" in old and "--rate EURUSD=RATE@DATE" in old


def test_a_users_rate_comes_before_the_fleets_and_that_before_the_catalogs() -> None:
    own_rate = {"base": "EUR", "quote": "USD", "rate": "2", "date": "2026-11-01", "source": "bank"}
    group = manifest({"instanceType": P5}, exchangeRates=[own_rate])
    by_fleet = price_fleet(group).nodes[0].cost
    by_user = price_fleet(group, [parse_rate("EURUSD=4@2026-11-02")]).nodes[0].cost
    assert (by_fleet.per_hour, by_user.per_hour) == (Decimal("27.52"), Decimal("13.76"))
    assert "(--rate)" in by_user.terms[0].source
    assert not [note for note in price_fleet(group).notes if "old" in note]


def test_a_fleet_in_dollars_needs_no_rate_for_dollars() -> None:
    fleet = priced({"instanceType": P5}, currency="USD")
    assert (fleet.currency, fleet.nodes[0].cost.per_hour) == ("USD", Decimal("55.04"))


@pytest.mark.parametrize(
    ("node", "option"),
    [
        ({"gpuModel": "A30", "gpus": 1}, "spec.nodes[0].price of Fleet demo"),
        ({"instanceType": H100, "capacityType": "spot"}, "spec.nodes[0].price of Fleet demo"),
        (
            {"instanceType": {"provider": "gcp", "name": "a4-highgpu-8g"}},
            "spec.nodes[0].price of Fleet demo",
        ),
        ({"gpuModel": "A30", "gpus": 1, "price": PRICE | {"currency": "GBP"}}, "--rate EURGBP=RATE@DATE"),
        (
            {"gpuModel": "A30", "gpus": 1, "owned": {k: v for k, v in OWNED.items() if k != "powerWatts"}},
            "spec.nodes[0].owned.powerWatts of Fleet demo",
        ),
        (
            {"gpuModel": "A30", "gpus": 1, "owned": {k: v for k, v in OWNED.items() if k != "energyPrice"}},
            "spec.nodes[0].owned.energyPrice of Fleet demo",
        ),
    ],
)
def test_an_unknown_cost_names_the_option_that_sets_it(node: dict[str, Any], option: str) -> None:
    fleet = priced(node)
    assert fleet.nodes[0].cost.unknown.startswith(option)
    assert fleet.nodes[0].cost.per_hour is None
    assert month_cost_cents(fleet) is None
    assert any(f"The cost of n0 is unknown: set {option}" in note for note in fleet.notes)


def test_a_rows_own_caveat_is_passed_on() -> None:
    fleet = priced({"instanceType": {"provider": "gcp", "name": "a3-highgpu-1g", "region": "us-central1"}})
    assert any("Spot/Flex-start only" in note for note in fleet.notes)


def test_faults_are_read_in_thousandths_and_nanoseconds() -> None:
    fleet = priced({"instanceType": H100}, faults={"lossesPerNodeMonth": "0.5", "repair": "1h30m"})
    assert fleet.faults == Faults(losses_per_node_month_milli=500, repair_ns=5_400_000_000_000)
    assert priced({"instanceType": H100}).faults == Faults()


A30 = {"gpuModel": "A30", "gpus": 1}
BAD_RATE = {"base": "EUR", "quote": "USD", "rate": "0"}
GOOD_RATE = BAD_RATE | {"rate": "1.1"}


@pytest.mark.parametrize(
    ("nodes", "spec", "path"),
    [
        ([], {}, "spec.nodes"),
        ([{"count": 0, "instanceType": H100}], {}, "spec.nodes[0].count"),
        ([A30, {"count": 2_000_000_000} | A30], {}, "spec.nodes[1].count"),
        ([{"instanceType": H100, "price": PRICE}], {}, "spec.nodes[0]"),
        ([{"instanceType": H100 | {"name": "H1000"}}], {}, "spec.nodes[0].instanceType"),
        ([{"instanceType": {"provider": "aws", "name": "g6f.large"}}], {}, "spec.nodes[0].instanceType"),
        ([{"instanceType": H100, "gpuModel": "A30"}], {}, "spec.nodes[0].gpuModel"),
        ([{"instanceType": H100, "gpus": 2}], {}, "spec.nodes[0].gpus"),
        ([{"instanceType": H100, "capacityType": "sport"}], {}, "spec.nodes[0].capacityType"),
        ([{"gpus": 1}], {}, "spec.nodes[0].gpuModel"),
        ([{"gpuModel": "H1000", "gpus": 1}], {}, "spec.nodes[0].gpuModel"),
        ([{"gpuModel": "A30"}], {}, "spec.nodes[0].gpus"),
        ([{"gpuModel": "A30", "gpus": -1}], {}, "spec.nodes[0].gpus"),
        ([A30 | {"price": PRICE | {"amount": "-1"}}], {}, "spec.nodes[0].price.amount"),
        ([A30 | {"price": PRICE | {"amount": "NaN"}}], {}, "spec.nodes[0].price.amount"),
        ([A30 | {"price": PRICE | {"amount": "1e999999"}}], {}, "spec.nodes[0].price.amount"),
        ([A30 | {"price": PRICE | {"currency": "euro"}}], {}, "spec.nodes[0].price.currency"),
        ([A30 | {"owned": OWNED | {"years": "0"}}], {}, "spec.nodes[0].owned.years"),
        ([A30 | {"owned": OWNED | {"residualPercent": "101"}}], {}, "spec.nodes[0].owned.residualPercent"),
        ([A30 | {"owned": OWNED | {"pue": "0.9"}}], {}, "spec.nodes[0].owned.pue"),
        ([A30 | {"owned": OWNED | {"powerWatts": "-5"}}], {}, "spec.nodes[0].owned.powerWatts"),
        ([A30], {"currency": "Euro"}, "spec.currency"),
        ([A30], {"exchangeRates": [BAD_RATE]}, "spec.exchangeRates[0].rate"),
        ([A30], {"exchangeRates": [GOOD_RATE, GOOD_RATE]}, "spec.exchangeRates[1]"),
        ([A30], {"faults": {"lossesPerNodeMonth": "-1"}}, "spec.faults.lossesPerNodeMonth"),
        ([A30], {"faults": {"lossesPerNodeMonth": "0.0001"}}, "spec.faults.lossesPerNodeMonth"),
        ([A30], {"faults": {"repair": "-1h"}}, "spec.faults.repair"),
        ([A30], {"faults": {"repair": "soon"}}, "spec.faults.repair"),
        ([A30 | {"name": "a"}, A30 | {"name": "a"}], {}, "spec.nodes"),
        ([A30 | {"name": "a", "count": 2}, A30 | {"name": "a-1"}], {}, "spec.nodes"),
    ],
)
def test_a_wrong_fleet_is_refused_with_its_path_and_one_next_step(
    nodes: list[dict[str, Any]], spec: dict[str, Any], path: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        priced(*nodes, **spec)
    error = refused.value
    assert error.path == path
    assert str(error) and error.fix.format(**error.values)


def node(name: str, labels: dict[str, str], gpus: str = "", provider_id: str = "") -> Node:
    document = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": provider_id},
        "status": {"capacity": {"nvidia.com/gpu": gpus} if gpus else {}},
    }

    def quantity(kind: type, value: str) -> Quantity:
        assert kind is Quantity
        return parse_quantity(value)

    return msgspec.convert(document, Node, dec_hook=quantity)


TYPE, REGION, PRODUCT = (
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "nvidia.com/gpu.product",
)
CAPACITY = "karpenter.sh/capacity-type"
NC24 = {TYPE: "Standard_NC24ads_A100_v4", PRODUCT: "NVIDIA-A100-80GB-PCIe"}


def test_nodes_of_a_cluster_are_priced_by_provider_type_and_region() -> None:
    nodes = [
        node("big", {TYPE: "p5.48xlarge", REGION: "us-east-1"}, "8", "aws:///us-east-1a/i-0"),
        node("cpu", {TYPE: "m7i.large"}),
        node("small", NC24 | {REGION: "westeurope"}, "1", "azure:///subscriptions/x"),
    ]
    fleet = price_nodes(
        nodes, rates=[ExchangeRate(base="EUR", quote="USD", rate=Decimal(1), date="d", source="s")]
    )
    assert [(n.name, n.gpu_model, n.gpus) for n in fleet.nodes] == [
        ("big", "H100-SXM5-80GB", 8),
        ("small", "A100-PCIE-80GB", 1),
    ]
    assert fleet.nodes[0].cost.per_hour == Decimal("55.04")
    assert fleet.nodes[1].cost.per_hour is not None
    assert "Nodes without a GPU, left out: 1." in fleet.notes


def test_a_node_without_a_price_is_unknown_and_not_free() -> None:
    labels = NC24 | {REGION: "mars-1"}
    (unknown,) = price_nodes([node("n", labels, "1", "azure://x")]).nodes
    assert unknown.cost.per_hour is None and "Fleet" in unknown.cost.unknown
    reserved = NC24 | {REGION: "westeurope", CAPACITY: "reserved"}
    assert price_nodes([node("n", reserved, "1", "azure://x")]).nodes[0].cost.unknown


@pytest.mark.parametrize(
    ("labels", "capacity", "gpus"),
    [
        ({PRODUCT: "NVIDIA-L4"}, "2", 2),
        ({PRODUCT: "NVIDIA-L4-SHARED", "nvidia.com/gpu.count": "2", "nvidia.com/gpu.replicas": "4"}, "8", 2),
        (NC24 | {PRODUCT: "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb", "nvidia.com/gpu.count": "7"}, "7", 1),
    ],
)
def test_shared_gpus_are_counted_once(labels: dict[str, str], capacity: str, gpus: int) -> None:
    (only,) = price_nodes([node("n", labels | {REGION: "westeurope"}, capacity, "azure://x")]).nodes
    assert only.gpus == gpus


@pytest.mark.parametrize(
    ("labels", "gpus", "problem"),
    [
        ({}, "", "None of 1 Nodes has a GPU"),
        ({}, "1", "does not say which GPUs"),
        ({PRODUCT: "NVIDIA-L4-MIG-1g.10gb"}, "7", "does not say how many"),
        ({PRODUCT: "NVIDIA-L4-SHARED"}, "8", "does not say how many"),
        ({PRODUCT: "NVIDIA-L4", "nvidia.com/gpu.replicas": "4"}, "8", "does not say how many"),
        ({PRODUCT: "NVIDIA-L400"}, "1", "not in the catalog"),
        ({TYPE: "g6f.large", REGION: "us-east-1"}, "1", "None of 1 Nodes has a GPU"),
    ],
)
def test_nodes_that_do_not_say_enough_are_refused(labels: dict[str, str], gpus: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        price_nodes([node("n", labels, gpus)])
    assert problem in str(refused.value)
    assert refused.value.fix.format(**refused.value.values)
