"""Trained models on disk: weights as safetensors, what they are as a card. No pickle, so nothing runs on loading.

The card is kept three times: inside the weights' file, which is the one that is read back; beside it as JSON; and beside it as
a page of Markdown for people.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from ..errors import DataError, MissingPackage

SHOWN = 8  # of a long list, on the page
JSON_TYPES = {bool: (bool,), int: (int,), float: (float, int), str: (str,), tuple: (tuple, list)}  # as which one comes back


def save(path: str | Path, tensors: Mapping[str, Tensor], card: dict) -> None:
    """Write the weights to `path`, and the card to the same name with `.json` and with `.md` after it.

    Args:
        path: the file to write, such as "model.safetensors".
        tensors: the weights by name.
        card: what JSON can hold, or NumPy's numbers and arrays; `card["model"]` says what the weights belong to. The versions in
            use are added.

    Raises:
        DataError: the card has something else in it, or the file cannot be written.
        MissingPackage: safetensors is not installed.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/a.safetensors", {"w": torch.ones(2)}, {"model": "Scale", "width": 2})
        ...     tensors, card = load(f"{folder}/a.safetensors", "Scale")
        >>> tensors, card["width"], list(card["versions"])
        ({'w': tensor([1., 1.])}, 2, ['bakeoff', 'numpy', 'python', 'rdkit', 'safetensors', 'torch'])
    """
    try:
        text = json.dumps({**card, "versions": _versions()}, indent=1, default=_plain)
    except (TypeError, ValueError, RecursionError) as problem:
        raise DataError(f"the card cannot be written: {problem}", "Give texts, numbers, and lists and dictionaries of them.") from None
    own = {name: one.detach().cpu().contiguous().clone() for name, one in tensors.items()}  # safetensors refuses shared storage
    package = _safetensors()
    try:
        package.torch.save_file(own, str(path), {"card": text})
        Path(f"{path}.json").write_text(text + "\n", encoding="utf-8")
        Path(f"{path}.md").write_text(page(json.loads(text)), encoding="utf-8")
    except (package.SafetensorError, OSError) as problem:
        raise DataError(f"{path} cannot be written: {problem}", "Give the path of a file, in a folder that is there.") from None


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
    except (package.SafetensorError, OSError, ValueError, RecursionError) as problem:
        raise DataError(f"{path} is no safetensors file with a card: {problem}", "Save the model again.") from None
    found = card.get("model", "a model without a card") if isinstance(card, dict) else "a card that is none"
    if found != model:
        raise DataError(f"{path} holds {found}", f"Expected {model}, as {model}.save writes it.")
    if broken := [name for name, one in tensors.items() if one.is_floating_point() and not one.isfinite().all()]:
        raise DataError(f"{path}: {broken[0]} has values that are no numbers", "Train and save the model again.")
    return tensors, card


@contextmanager
def rebuilding(path: str | Path) -> Iterator[None]:
    """What goes wrong inside, where a model is built from a card and its weights put in, is told as an error of the file.

    Raises:
        DataError: the card lacks something or has something unknown; weights are missing, too many, or of another shape; in short,
            whatever is an ordinary error inside, such as a ValueError of `built` or `filled`.

    Example:
        >>> with rebuilding("a.safetensors"):
        ...     {}["arguments"]
        Traceback (most recent call last):
        bakeoff.errors.DataError: a.safetensors does not fit together: KeyError: 'arguments'
        Expected the card and the weights of one model, as its save writes them.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as problem:
        reason = " ".join(str(problem).split())
        raise DataError(f"{path} does not fit together: {type(problem).__name__}: {reason[:300]}",
                        "Expected the card and the weights of one model, as its save writes them.") from None


def built(kind: type, given: Mapping):
    """`kind(**given)`, where each of the arguments has its default's type, as JSON has it (a list for a tuple, also 0 for 0.0).

    Raises:
        TypeError: an argument is unknown, or of another type.

    Example:
        >>> built(nn.ReLU, {"inplace": "no"})
        Traceback (most recent call last):
        TypeError: inplace='no'; expected bool
    """
    defaults = {name: one.default for name, one in inspect.signature(kind).parameters.items()}
    for name, value in given.items():
        expected = type(defaults.get(name))
        if type(value) not in JSON_TYPES.get(expected, (type(value),)):
            raise TypeError(f"{name}={value!r}; expected {expected.__name__}")
    return kind(**given)


def filled(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The module with these weights in it, all that it has and no others, ready to be used.

    Raises:
        ValueError, RuntimeError: a weight has another shape or type of number, is missing or unknown.

    Example:
        >>> import torch
        >>> filled(nn.Linear(1, 1), {"weight": torch.ones(1, 1), "bias": torch.ones(1).long()})
        Traceback (most recent call last):
        ValueError: bias: torch.int64 of shape (1,); expected torch.float32 of shape (1,)
    """
    for name, own in module.state_dict().items():
        if name in tensors:
            like(own, tensors[name], name)
    module.load_state_dict(tensors)
    return module.eval()


def expect(own, found, name: str) -> None:
    """A ValueError that names what was found, unless it is what was expected."""
    if found != own:
        raise ValueError(f"{name}: {found!r}; expected {own!r}")


def like(own: Tensor, found: Tensor, name: str) -> Tensor:
    """What was found, if it has the shape and the type of number of one's own; otherwise a ValueError that names it."""
    if (found.dtype, found.shape) != (own.dtype, own.shape):
        raise ValueError(f"{name}: {found.dtype} of shape {tuple(found.shape)}; expected {own.dtype} of shape {tuple(own.shape)}")
    return found


def page(card: Mapping) -> str:
    """A card as Markdown: its texts and lists first, then a section for every part of it. Of long lists the first are shown.

    Example:
        >>> print(page({"model": "Scale", "predicts": ["logS"], "arguments": {"width": 2}}), end="")
        # Scale
        <BLANKLINE>
        - predicts: logS
        <BLANKLINE>
        ## arguments
        <BLANKLINE>
        - width: 2
    """
    sections = {key: value for key, value in card.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in card.items() if key not in sections and key != "model"}
    parts = [f"# {card['model']}", _bullets(plain)]
    for name, values in sections.items():
        parts += [f"## {name}", _bullets(values)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _bullets(values: Mapping) -> str:
    return "\n".join(f"- {name}: {_shown(value)}" for name, value in values.items())


def _shown(value) -> str:
    if isinstance(value, Mapping):
        return _shown([f"{name} {_shown(one)}" for name, one in value.items()])
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value[:SHOWN])) + f", ... ({len(value):,} in all)" * (len(value) > SHOWN)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def origin(file: str | Path | None) -> dict[str, str]:
    """What a card says of the file that the data came from: its name and SHA-256; nothing without a file."""
    return {"file": Path(file).name, "SHA-256 of the file": hashlib.sha256(Path(file).read_bytes()).hexdigest()} if file else {}


def digest(texts: Iterable[str]) -> str:
    """The SHA-256 of texts, one a line: what `sha256sum` says of the file that holds them."""
    return hashlib.sha256("".join(f"{one}\n" for one in texts).encode()).hexdigest()


def _plain(value):
    """NumPy's numbers and arrays as JSON has them."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{value!r} is {type(value).__name__}")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("bakeoff", "numpy", "rdkit", "safetensors", "torch"):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return dict(sorted(found.items()))


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
