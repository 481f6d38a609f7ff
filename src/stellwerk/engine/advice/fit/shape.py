"""A model's shape, and how many parameters that makes, exactly.

Letters in formulas: h hidden, i intermediate, L layers, q = heads x head_dim, kv the same of key-value heads,
v vocabulary. The counts are those of transformers' model classes (modeling_<family>.py), checked against the
number that each model's card states.
"""

from msgspec import Struct


class Family(Struct, frozen=True, kw_only=True):
    """What transformers' class of a `model_type` has besides its matrices.

    `gated`: an MLP of three matrices; `norms`: norm layers in a block; `norm_bias`: LayerNorm, not RMSNorm;
    `biases`: every linear layer has one; `qk_norm`: a norm on q and on k; `decoder`: generates text.
    """

    gated: bool = True
    norms: int = 2
    norm_bias: bool = False
    qkv_bias: bool = False
    biases: bool = False
    qk_norm: bool = False
    tied: bool = False
    decoder: bool = True
    learned_positions: bool = False


_LAYER_NORM = {"gated": False, "norm_bias": True, "biases": True, "tied": True, "learned_positions": True}
FAMILIES = {
    "llama": Family(),
    "mistral": Family(),
    "mixtral": Family(),
    "phi3": Family(),
    "qwen": Family(qkv_bias=True),
    "qwen2": Family(qkv_bias=True),
    "qwen3": Family(qk_norm=True),
    "qwen3_moe": Family(qk_norm=True),
    "gemma": Family(tied=True),
    "gemma2": Family(tied=True, norms=4),
    "gpt2": Family(**_LAYER_NORM),
    "bert": Family(**_LAYER_NORM, decoder=False),
    "roberta": Family(**_LAYER_NORM, decoder=False),
    "xlm-roberta": Family(**_LAYER_NORM, decoder=False),
}


class Quantization(Struct, frozen=True):
    """How the blocks' matrices are stored: `bits` for `group` weights, constants included."""

    name: str
    bits: int
    group: int = 1

    def nbytes(self, parameters: int) -> int:
        """Bytes of that many parameters, rounded up."""
        return -(-parameters * self.bits // (8 * self.group))


# nf4 with double quantization: 64 weights share 8 bits, 256 of these constants 32 bits (QLoRA, section 3).
# int4 as GPTQ and AWQ store it: 128 weights share a 16-bit scale and a 4-bit zero point.
PRECISIONS = {
    "float32": Quantization("float32", 32),
    "bfloat16": Quantization("bfloat16", 16),
    "float16": Quantization("float16", 16),
    "fp8": Quantization("fp8", 8),
    "int8": Quantization("int8", 8 * 128 + 24, 128),
    "int4": Quantization("int4", 4 * 128 + 20, 128),
    "nf4": Quantization("nf4", 4 * 64 * 256 + 8 * 256 + 32, 64 * 256),
}
FULL_PRECISION = frozenset({"float32", "bfloat16", "float16"})


class ModelShape(Struct, frozen=True, kw_only=True):
    """What sizes a model's memory. `experts` 0: dense. `window` None: attention reads the whole context."""

    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    tied: bool
    experts: int = 0
    experts_per_token: int = 1
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    window: int | None = None
    token_types: int = 0
    dtype: str = "bfloat16"
    quantization: Quantization | None = None

    @property
    def kind(self) -> Family:
        """What its transformers class has besides matrices."""
        return FAMILIES[self.family]

    @property
    def q(self) -> int:
        """Width of the query."""
        return self.heads * self.head_dim

    @property
    def kv(self) -> int:
        """Width of the key, and of the value."""
        return self.kv_heads * self.head_dim


class Matrix(Struct, frozen=True):
    """A linear layer of a block: inputs x outputs, `copies` of it (experts)."""

    name: str
    inputs: int
    outputs: int
    copies: int = 1


def matrices(shape: ModelShape) -> tuple[Matrix, ...]:
    """The linear layers of one block that LoRA may target and quantization packs; a router stays as it is."""
    copies = max(1, shape.experts)
    up = ("gate_proj", "up_proj") if shape.kind.gated else ("up_proj",)
    return (
        Matrix("q_proj", shape.hidden, shape.q),
        Matrix("k_proj", shape.hidden, shape.kv),
        Matrix("v_proj", shape.hidden, shape.kv),
        Matrix("o_proj", shape.q, shape.hidden),
        *(Matrix(name, shape.hidden, shape.intermediate, copies) for name in up),
        Matrix("down_proj", shape.intermediate, shape.hidden, copies),
    )


def linear_parameters(shape: ModelShape) -> int:
    """Weights of the blocks' matrices: what quantization packs."""
    return shape.layers * sum(each.inputs * each.outputs * each.copies for each in matrices(shape))


def embedding_parameters(shape: ModelShape) -> int:
    """Embeddings of tokens, positions and token types, and the output head where it is not tied."""
    rows = shape.vocab * (1 if shape.tied or not shape.kind.decoder else 2)
    rows += shape.context if shape.kind.learned_positions else 0
    return (rows + shape.token_types) * shape.hidden


def small_parameters(shape: ModelShape) -> int:
    """Norms, biases, routers, and an encoder's pooler: no matrix of a block and no embedding."""
    kind, norm = shape.kind, shape.hidden * (2 if shape.kind.norm_bias else 1)
    layer = kind.norms * norm + shape.experts * shape.hidden
    layer += 2 * shape.head_dim if kind.qk_norm else 0
    layer += shape.q + 2 * shape.kv if shape.qkv_bias or kind.biases else 0
    layer += shape.hidden if shape.o_bias or kind.biases else 0
    mlp = shape.hidden + shape.intermediate * (2 if kind.gated else 1)
    layer += mlp if shape.mlp_bias or kind.biases else 0
    pooler = 0 if kind.decoder else shape.hidden * (shape.hidden + 1)
    return shape.layers * layer + norm + pooler


def parameters(shape: ModelShape) -> int:
    """All parameters, each counted once."""
    return linear_parameters(shape) + embedding_parameters(shape) + small_parameters(shape)
