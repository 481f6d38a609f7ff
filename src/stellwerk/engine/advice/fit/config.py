"""Hugging Face's config.json to a ModelShape: every field checked, since whoever wrote it is not trusted."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.advice.fit.shape import (
    FAMILIES,
    FULL_PRECISION,
    PRECISIONS,
    ModelShape,
    Quantization,
)

SHORT = 80  # Of a user's text in an error.
# Above the largest model known by a wide margin: what is larger is a mistake, not a model.
MOST_LAYERS, MOST_WIDTH, MOST_VOCAB, MOST_CONTEXT, MOST_EXPERTS = 2_000, 1 << 18, 1 << 24, 1 << 27, 4_096


class _Reader(Struct, frozen=True):
    """A config with the name of its file."""

    raw: Mapping[str, Any]
    source: str

    def count(self, names: tuple[str, ...], most: int, default: int | None = None) -> int:
        """The whole number under the first of `names` that is there and not null; 1 to `most`."""
        name = next((name for name in names if self.raw.get(name) is not None), None)
        if name is None and default is not None:
            return default
        value = None if name is None else self.raw[name]
        if name is None:
            raise InvalidInput(
                "{field} is missing",
                fix="take the model's own config.json, as Hugging Face publishes it",
                source=self.source,
                path=names[0],
                field=names[0],
            )
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise InvalidInput(
                "{field} is {found}, not a whole number from 1 to {most}",
                fix="take the model's own config.json, as Hugging Face publishes it",
                source=self.source,
                path=name,
                field=name,
                found=str(value)[:SHORT],
                most=most,
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """The truth value under `name`; null and absent are the default."""
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InvalidInput(
                "{field} is {found}, not true or false",
                fix="take the model's own config.json, as Hugging Face publishes it",
                source=self.source,
                path=name,
                field=name,
                found=str(value)[:SHORT],
            )
        return value


def decode_config(text: bytes, source: str) -> Mapping[str, Any]:
    """The JSON object in a file. Raises InvalidInput for anything else."""
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise InvalidInput(
            "{name} is not a JSON object, as a model's config.json is",
            fix="take the model's own config.json, as Hugging Face publishes it",
            source=source,
            name=source,
        )
    return raw


def read_shape(raw: Mapping[str, Any], source: str) -> ModelShape:
    """The shape that a config.json describes. Raises InvalidInput naming the field."""
    family = raw.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        raise InvalidInput(
            "model_type {found} is not one whose parameters are counted here",
            fix="use a model of one of: {known}",
            source=source,
            path="model_type",
            found=str(family)[:SHORT],
            known=", ".join(FAMILIES),
        )
    read = _Reader(raw, source)
    hidden = read.count(("hidden_size", "n_embd"), MOST_WIDTH)
    heads = read.count(("num_attention_heads", "n_head"), MOST_WIDTH)
    if not read.raw.get("head_dim") and hidden % heads:
        raise InvalidInput(
            "hidden_size {hidden} is not a multiple of num_attention_heads {heads}",
            fix="take the model's own config.json, as Hugging Face publishes it",
            source=source,
            path="num_attention_heads",
            hidden=hidden,
            heads=heads,
        )
    kv_heads = read.count(("num_key_value_heads",), MOST_WIDTH, heads)
    if heads % kv_heads:
        raise InvalidInput(
            "num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}",
            fix="take the model's own config.json, as Hugging Face publishes it",
            source=source,
            path="num_key_value_heads",
            heads=heads,
            kv_heads=kv_heads,
        )
    experts = _experts(read, family)
    kind = FAMILIES[family]
    biased = not kind.biases and read.flag("attention_bias", False)
    return ModelShape(
        family=family,
        layers=read.count(("num_hidden_layers", "n_layer"), MOST_LAYERS),
        hidden=hidden,
        intermediate=_intermediate(read, family, hidden),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=read.count(("head_dim",), MOST_WIDTH, hidden // heads),
        vocab=read.count(("vocab_size",), MOST_VOCAB),
        context=read.count(("max_position_embeddings", "n_positions"), MOST_CONTEXT),
        tied=read.flag("tie_word_embeddings", kind.tied),
        experts=experts,
        experts_per_token=read.count(("num_experts_per_tok",), experts) if experts else 1,
        qkv_bias=kind.qkv_bias or biased,
        o_bias=biased,
        mlp_bias=not kind.biases and read.flag("mlp_bias", False),
        window=_window(read),
        token_types=0 if kind.decoder else read.count(("type_vocab_size",), MOST_WIDTH, 2),
        dtype=_dtype(read),
        quantization=_quantization(read),
    )


def _experts(read: _Reader, family: str) -> int:
    if family == "mixtral":
        return read.count(("num_local_experts",), MOST_EXPERTS)
    if family != "qwen3_moe":
        return 0
    if read.raw.get("mlp_only_layers") or read.count(("decoder_sparse_step",), MOST_LAYERS, 1) != 1:
        raise InvalidInput(
            "layers without experts between layers with experts are not counted here",
            fix="use a model with experts in every layer",
            source=read.source,
            path="decoder_sparse_step",
        )
    return read.count(("num_experts",), MOST_EXPERTS)


def _intermediate(read: _Reader, family: str, hidden: int) -> int:
    """Width of the MLP; of one expert where there are several. Qwen's first config states two together."""
    if family == "qwen3_moe":
        return read.count(("moe_intermediate_size",), MOST_WIDTH)
    default = 4 * hidden if family == "gpt2" else None
    width = read.count(("intermediate_size", "n_inner"), 2 * MOST_WIDTH, default)
    return width // 2 if family == "qwen" else width


def _window(read: _Reader) -> int | None:
    if read.raw.get("sliding_window") is None or not read.flag("use_sliding_window", True):
        return None
    # Gemma 2 has it in every second layer only: there the whole context is counted.
    return None if read.raw["model_type"] == "gemma2" else read.count(("sliding_window",), MOST_CONTEXT)


def _dtype(read: _Reader) -> str:
    found = read.raw.get("torch_dtype") or read.raw.get("dtype") or "bfloat16"
    if isinstance(found, str) and found in FULL_PRECISION:
        return found
    raise InvalidInput(
        "torch_dtype {found} is not one of {known}",
        fix="take the model's own config.json, as Hugging Face publishes it",
        source=read.source,
        path="torch_dtype",
        found=str(found)[:SHORT],
        known=", ".join(sorted(FULL_PRECISION)),
    )


def _quantization(read: _Reader) -> Quantization | None:
    """How the checkpoint itself is packed, from quantization_config; None: not packed."""
    packed = read.raw.get("quantization_config")
    if packed is None:
        return None
    method = packed.get("quant_method") if isinstance(packed, dict) else packed
    if isinstance(packed, dict):
        four, bits = packed.get("load_in_4bit") is True, str(packed.get("bits", 4))
        known = {
            "fp8": "fp8",
            "fbgemm_fp8": "fp8",
            "bitsandbytes": "nf4" if four else "int8",
            "gptq": {"4": "int4", "8": "int8"}.get(bits),
            "awq": {"4": "int4"}.get(bits),
        }
        name = known.get(method) if isinstance(method, str) else None
        if name is not None:
            return PRECISIONS[name]
    raise InvalidInput(
        "quantization_config with quant_method {found} is not known here",
        fix="use --dtype with one of: {known}, and the config.json of the model that was quantized",
        source=read.source,
        path="quantization_config",
        found=str(method)[:SHORT],
        known=", ".join(PRECISIONS),
    )
