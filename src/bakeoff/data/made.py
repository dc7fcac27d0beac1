"""Batches that `collect` makes, made once and kept: under a hash of the procedure, in `BAKEOFF_DATA/batches` or the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import places
from . import collect, logs
from .kinds.environment import Environment

NUMBERS = {"learning_steps": int, "step_size": float, "noise": float, "survival_bonus": float, "directions": int, "kept": int,
           "products": int}


def batch(procedure: str, environment: str, load: Callable, **asked):
    """What the function of that name in `collect` makes of the options, texts among them those of `collect.learn`."""
    asked = {name: NUMBERS.get(name, lambda value: value)(value) for name, value in asked.items()}
    Environment(environment).make().close()  # a missing package is told before anything else is asked of it
    text = Path(collect.__file__).read_text(encoding="utf-8")
    made_by = (procedure, environment, sorted(asked.items()), *map(_version, ("gymnasium", "mujoco")), text)
    file = f"{environment}-{hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]}.npz"
    given = places.given_data()
    for folder in ([given] if given else []) + [places.cache()]:
        if (path := folder / "batches" / file).is_file():
            return load(path)
    record = getattr(collect, procedure)(environment, **asked)
    logs.save(record, places.cache() / "batches" / file)
    return record


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
