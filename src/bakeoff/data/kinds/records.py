"""What every kind shares: read-only arrays, checks that name the field, the shuffled split, a hash of the whole content."""

from __future__ import annotations

import hashlib
from dataclasses import fields

import numpy as np

from ...errors import DataError


def content_hash(record) -> str:
    """SHA-256 over the bytes of every field of a record (nested records, arrays, tuples, plain values)."""
    digest = hashlib.sha256()

    def add(value):
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes() if value.dtype != object else repr(value.tolist()).encode())
        elif hasattr(value, "__dataclass_fields__"):
            for one in fields(value):
                add(getattr(value, one.name))
        elif isinstance(value, (tuple, list)):
            digest.update(f"({len(value)}".encode())
            for one in value:
                add(one)
        else:
            digest.update(repr(value).encode())

    add(record)
    return digest.hexdigest()


def two_parts(count: int, seed: int, test_share: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Shuffled row numbers for train and test; each has at least one row."""
    if count < 2:
        raise DataError(f"there are {count} rows", "At least two are needed: one to learn from, one to test on.")
    order = np.random.default_rng(seed).permutation(count)
    cut = min(max(1, round(count * test_share)), count - 1)
    return order[cut:], order[:cut]


def frozen(record, **dtypes) -> None:
    for name, dtype in dtypes.items():
        try:
            array = np.array(getattr(record, name), dtype=dtype)
        except (TypeError, ValueError) as problem:
            raise DataError(f"{type(record).__name__}.{name} cannot be read as {np.dtype(dtype).name}: {problem}",
                            "Give numbers of one shape.") from None
        array.setflags(write=False)
        object.__setattr__(record, name, array)


def require(good: bool, where: str, found: str, expected: str) -> None:
    if not good:
        raise DataError(f"{where}: found {found}", f"Expected {expected}.")
