"""Trained models on disk: weights as safetensors, what they are as a model card beside them. No pickle, so nothing runs on loading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..errors import DataError, MissingPackage


def save(path: str | Path, tensors: Mapping[str, Tensor], card: dict) -> None:
    """Write the weights to `path` and the card to the same name with `.json` after it.

    Args:
        path: the file to write, such as "model.safetensors".
        tensors: the weights by name.
        card: what JSON can hold; `card["model"]` says what the weights belong to.

    Raises:
        MissingPackage: safetensors is not installed.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/a.safetensors", {"w": torch.ones(2)}, {"model": "Scale", "width": 2})
        ...     load(f"{folder}/a.safetensors", "Scale")
        ({'w': tensor([1., 1.])}, {'model': 'Scale', 'width': 2})
    """
    text = json.dumps(card, indent=1)
    own = {name: one.detach().cpu().contiguous().clone() for name, one in tensors.items()}  # safetensors refuses shared storage
    _safetensors().torch.save_file(own, str(path), {"card": text})  # the card inside as well, for when the two files are parted
    Path(f"{path}.json").write_text(text + "\n", encoding="utf-8")


def load(path: str | Path, model: str) -> tuple[dict[str, Tensor], dict]:
    """The weights and the card that `save` wrote to `path`, of the kind of model that is expected.

    Raises:
        DataError: there is no such file, it is damaged, it came without a card, or it holds another model.
        MissingPackage: safetensors is not installed.
    """
    package = _safetensors()
    if not Path(path).is_file():
        raise DataError(f"{path} is not a file", "Give the path that the model was saved to.")
    try:
        with package.safe_open(str(path), framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no dictionary
    except (package.SafetensorError, json.JSONDecodeError) as problem:
        raise DataError(f"{path} is no safetensors file with a card: {problem}", "Save the model again.") from None
    if card.get("model") != model:
        raise DataError(f"{path} holds {card.get('model', 'a model without a card')}", f"Expected {model}, as {model}.save writes it.")
    return tensors, card


def arguments(model: object, *but: str) -> dict:
    """What a model's constructor stored, by name: its attributes without those that begin with an underscore and those named in `but`.

    Example:
        >>> arguments(type("Scale", (), {"__init__": lambda self: vars(self).update(width=2, seed=0, _fitted=1)})(), "seed")
        {'width': 2}
    """
    return {name: value for name, value in vars(model).items() if not name.startswith("_") and name not in but}


def part(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `name` and a dot, by what follows.

    Example:
        >>> list(part("encoder", {"encoder.weight": None, "head.weight": None}))
        ['weight']
    """
    return {key.removeprefix(f"{name}."): one for key, one in tensors.items() if key.startswith(f"{name}.")}


def _safetensors():
    try:
        import safetensors
        import safetensors.torch
    except ImportError:
        raise MissingPackage("safetensors", "molecules") from None
    return safetensors
