"""The estimate: all terms of a model and a plan, and their sum on each GPU."""

from msgspec import Struct

from stellwerk.engine.advice.fit.plan import Plan, check_plan, weight_precision
from stellwerk.engine.advice.fit.shape import ModelShape, parameters
from stellwerk.engine.advice.fit.terms import Term, adapter_parameters, terms

AROUND = frozenset({"fragmentation", "cuda context", "nccl"})


class Estimate(Struct, frozen=True, kw_only=True):
    """Memory in bytes on each of `plan.gpus` GPUs: as estimated, at least, at most (all terms at once)."""

    model: str
    family: str
    parameters: int
    trained_parameters: int
    precision: str
    strategy: str
    plan: Plan
    terms: tuple[Term, ...]
    total: int
    low: int
    high: int

    def of(self, *names: str) -> int:
        """The sum of the terms of these names, in bytes."""
        return sum(term.nbytes for term in self.terms if term.name in names)

    @property
    def allocated(self) -> int:
        """Bytes of tensors: what torch.cuda.max_memory_allocated counts, no context or fragmentation."""
        return sum(term.nbytes for term in self.terms if term.name not in AROUND)


def estimate_memory(model: str, shape: ModelShape, plan: Plan) -> Estimate:
    """The memory that a model of that shape needs for a plan. Raises InvalidInput if nobody can run it."""
    check_plan(shape, plan)
    found = terms(shape, plan)
    trained = {"inference": 0, "full": parameters(shape)}.get(plan.task, adapter_parameters(shape, plan))
    return Estimate(
        model=model,
        family=shape.family,
        parameters=parameters(shape),
        trained_parameters=trained,
        precision=weight_precision(shape, plan).name,
        strategy=plan.divided_as,
        plan=plan,
        terms=found,
        total=sum(term.nbytes for term in found),
        low=sum(term.low for term in found),
        high=sum(term.high for term in found),
    )
