"""What holds for every model and plan: bars around the estimate, and more work is never less memory."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.models import model, model_names
from stellwerk.engine.advice.fit.config import decode_config, read_shape
from stellwerk.engine.advice.fit.estimate import Estimate, estimate_memory
from stellwerk.engine.advice.fit.plan import OPTIMIZERS, STRATEGIES, TARGETS, TASKS, Plan
from stellwerk.engine.advice.fit.shape import FAMILIES, PRECISIONS, ModelShape

PLANS = st.builds(
    Plan,
    task=st.sampled_from(TASKS),
    seq=st.integers(1, 200_000),
    batch=st.integers(1, 512),
    gpus=st.integers(1, 64),
    strategy=st.sampled_from(["", *STRATEGIES]),
    dtype=st.sampled_from(["", *PRECISIONS]),
    rank=st.integers(1, 256),
    targets=st.sampled_from(sorted(TARGETS)),
    optimizer=st.sampled_from(OPTIMIZERS),
    checkpointing=st.booleans(),
    loss_chunks=st.integers(1, 16),
)


def shapes() -> list[ModelShape]:
    found = [model(name) for name in model_names()]
    return [read_shape(each.config, each.name) for each in found if each is not None]


SHAPES = st.sampled_from(shapes())


def tried(shape: ModelShape, plan: Plan) -> Estimate | None:
    """The estimate, or None for a plan that nobody can run."""
    try:
        return estimate_memory("m", shape, plan)
    except InvalidInput:
        return None


@given(SHAPES, PLANS)
def test_each_term_lies_within_its_bar_and_the_sum_is_the_sum(shape: ModelShape, plan: Plan) -> None:
    found = tried(shape, plan)
    if found is None:
        return
    assert all(0 <= term.low <= term.nbytes <= term.high for term in found.terms)
    assert found.total == sum(term.nbytes for term in found.terms)
    assert found.low <= found.allocated + found.total and found.low <= found.total <= found.high


@given(SHAPES, PLANS, st.sampled_from(["seq", "batch", "rank"]))
def test_more_of_anything_never_needs_less(shape: ModelShape, plan: Plan, field: str) -> None:
    more = msgspec.structs.replace(plan, **{field: getattr(plan, field) + 1})
    small, large = tried(shape, plan), tried(shape, more)
    if small is not None and large is not None:
        assert small.total <= large.total


@given(SHAPES, PLANS)
def test_checkpointing_and_a_higher_zero_stage_never_need_more_states(shape: ModelShape, plan: Plan) -> None:
    training = msgspec.structs.replace(plan, task="full", dtype="", gpus=8)
    stages = [tried(shape, msgspec.structs.replace(training, strategy=f"zero{stage}")) for stage in (1, 2, 3)]
    sizes = [each.of("weights", "gradients", "optimizer") for each in stages if each is not None]
    assert sizes == sorted(sizes, reverse=True)
    kept = tried(shape, msgspec.structs.replace(training, strategy="ddp", checkpointing=False))
    again = tried(shape, msgspec.structs.replace(training, strategy="ddp", checkpointing=True))
    if kept is not None and again is not None and shape.layers > 1:
        assert again.of("activations") <= kept.of("activations")


NAMES = """
hidden_size num_hidden_layers num_attention_heads num_key_value_heads intermediate_size vocab_size head_dim
max_position_embeddings tie_word_embeddings sliding_window torch_dtype num_local_experts num_experts_per_tok
quantization_config attention_bias num_experts moe_intermediate_size mlp_only_layers decoder_sparse_step
"""
FIELDS = st.sampled_from(NAMES.split())
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**20),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
)


# A busy machine makes slow examples, which says nothing of the reader.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(FAMILIES)), st.dictionaries(FIELDS, VALUES))
def test_any_config_is_read_or_refused_with_a_next_step(family: str, fields: dict[str, object]) -> None:
    base = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
            "vocab_size": 1000, "max_position_embeddings": 512}  # fmt: skip
    try:
        read_shape(base | {"model_type": family} | fields, "config.json")
    except InvalidInput as error:
        assert error.fix and str(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_config_or_refused(text: bytes) -> None:
    try:
        decode_config(text, "config.json")
    except InvalidInput as error:
        assert error.fix
