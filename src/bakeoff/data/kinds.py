"""The kinds of data, as records with documented shapes. Letters used for shapes everywhere:

N rows or items · C channels · H, W height and width · M features · K classes · T targets or time · O observation
size · A action size · D embedding size · B batch.

Every kind has `split(seed) -> (train, test)`: the same seed gives the same split, another seed another one.
Records are checked when made; a wrong one raises `DataError` naming the field.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace

import numpy as np

from ..errors import DataError


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


def _frozen(record, **dtypes) -> None:
    for name, dtype in dtypes.items():
        try:
            array = np.array(getattr(record, name), dtype=dtype)
        except (TypeError, ValueError) as problem:
            raise DataError(f"{type(record).__name__}.{name} cannot be read as {np.dtype(dtype).name}: {problem}",
                            "Give numbers of one shape.") from None
        array.setflags(write=False)
        object.__setattr__(record, name, array)


def _require(good: bool, where: str, found: str, expected: str) -> None:
    if not good:
        raise DataError(f"{where}: found {found}", f"Expected {expected}.")


@dataclass(frozen=True)
class Images:
    """Labelled pictures of one size.

    Args:
        pixels: (N, C, H, W), values in [0, 1], C is 1 (grey) or 3 (red, green, blue).
        labels: (N,), whole numbers 0..K-1.
        classes: K names.
    """

    pixels: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self):
        _frozen(self, pixels=np.float32, labels=np.int64)
        shape = self.pixels.shape
        _require(len(shape) == 4 and shape[1] in (1, 3), "Images.pixels", f"shape {shape}", "(N, 1 or 3, H, W)")
        _require(self.labels.shape == shape[:1], "Images.labels", f"shape {self.labels.shape}", f"({shape[0]},), one a picture")
        if shape[0]:
            low, high = float(self.pixels.min()), float(self.pixels.max())
            _require(low >= 0 and high <= 1, "Images.pixels", f"values from {low:g} to {high:g}", "values in [0, 1]; divide bytes by 255")
            top = int(self.labels.max())
            _require(self.labels.min() >= 0 and top < len(self.classes), "Images.labels",
                     f"the labels {self.labels.min()} to {top} for {len(self.classes)} classes", "labels 0..K-1")

    def __len__(self):
        return len(self.labels)

    def take(self, rows) -> Images:
        """The pictures at these positions."""
        return Images(self.pixels[rows], self.labels[rows], self.classes)

    def split(self, seed: int) -> tuple[Images, Images]:
        """80 % train, 20 % test, shuffled."""
        train, test = two_parts(len(self), seed)
        return self.take(train), self.take(test)


@dataclass(frozen=True)
class Table:
    """Rows of numbers with one target.

    Args:
        features: (N, M) float; NaN where a value is missing.
        target: (N,) float; for classes the class number 0..K-1.
        names: M column names.
        classes: K class names, or () when the target is a number to be regressed.
    """

    features: np.ndarray
    target: np.ndarray
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def __post_init__(self):
        _frozen(self, features=np.float64, target=np.float64)
        shape = self.features.shape
        _require(len(shape) == 2, "Table.features", f"shape {shape}", "(N, M)")
        _require(self.target.shape == shape[:1], "Table.target", f"shape {self.target.shape}", f"({shape[0]},)")
        _require(len(self.names) == shape[1], "Table.names", f"{len(self.names)} names", f"{shape[1]}, one a column")
        _require(bool(np.isfinite(self.target).all()), "Table.target", "missing or infinite values", "a number in every row")

    def __len__(self):
        return len(self.target)

    def take(self, rows) -> Table:
        """The rows at these positions."""
        return replace(self, features=self.features[rows], target=self.target[rows])

    def split(self, seed: int) -> tuple[Table, Table]:
        """80 % train, 20 % test, shuffled."""
        train, test = two_parts(len(self), seed)
        return self.take(train), self.take(test)


@dataclass(frozen=True)
class Picture:
    """A signal to be fitted: one picture, or several of which a seed picks one.

    Args:
        pixels: (H, W, C), values in [0, 1].
        hidden: (H, W) bool; True where a pixel is kept from the learner (all False before `split`).
        side: `split` cuts a square of at most this many pixels a side, at a place the seed chooses.
    """

    pixels: np.ndarray
    hidden: np.ndarray | None = None
    side: int = 128

    def __post_init__(self):
        if self.hidden is None:
            object.__setattr__(self, "hidden", np.zeros(np.shape(self.pixels)[:2], bool))
        _frozen(self, pixels=np.float32, hidden=bool)
        shape = self.pixels.shape
        _require(len(shape) == 3 and shape[2] in (1, 3), "Picture.pixels", f"shape {shape}", "(H, W, 1 or 3)")
        _require(self.hidden.shape == shape[:2], "Picture.hidden", f"shape {self.hidden.shape}", f"{shape[:2]}")
        _require(min(shape[:2]) >= 8, "Picture.pixels", f"{shape[0]} x {shape[1]} pixels", "at least 8 x 8")
        low, high = float(self.pixels.min()), float(self.pixels.max())
        _require(low >= 0 and high <= 1, "Picture.pixels", f"values from {low:g} to {high:g}", "values in [0, 1]; divide bytes by 255")

    def split(self, seed: int) -> tuple[Picture, Picture]:
        """Train: a square cut, a tenth of its pixels hidden (set to 0). Test: the same cut, whole, same mask."""
        rng = np.random.default_rng(seed)
        height, width = (min(self.side, size) for size in self.pixels.shape[:2])
        top = rng.integers(self.pixels.shape[0] - height + 1)
        left = rng.integers(self.pixels.shape[1] - width + 1)
        cut = self.pixels[top:top + height, left:left + width]
        hidden = rng.random(cut.shape[:2]) < 0.1
        return Picture(np.where(hidden[..., None], 0, cut), hidden, self.side), Picture(cut, hidden, self.side)


@dataclass(frozen=True)
class Molecules:
    """Molecules as SMILES, with measured values where there are any.

    Args:
        smiles: N SMILES strings, each one that RDKit reads.
        targets: (N, T) float, NaN where nothing was measured; (N, 0) without measurements.
        names: T target names.
    """

    smiles: tuple[str, ...]
    targets: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "smiles", tuple(self.smiles))
        if self.targets is None:
            object.__setattr__(self, "targets", np.zeros((len(self.smiles), 0)))
        _frozen(self, targets=np.float64)
        expected = (len(self.smiles), len(self.names))
        _require(self.targets.shape == expected, "Molecules.targets", f"shape {self.targets.shape}", f"{expected}")

    def __len__(self):
        return len(self.smiles)

    def take(self, rows) -> Molecules:
        """The molecules at these positions."""
        return Molecules(tuple(self.smiles[i] for i in rows), self.targets[rows], self.names)

    def split(self, seed: int) -> tuple[Molecules, Molecules]:
        """80 % train, 20 % test, shuffled."""
        train, test = two_parts(len(self), seed)
        return self.take(train), self.take(test)


@dataclass(frozen=True)
class Environment:
    """A Gymnasium environment to be judged in.

    Args:
        name: its id, such as "InvertedDoublePendulum-v5".
        seeds: one a test episode; episode i starts from `reset(seed=seeds[i])`.
    """

    name: str
    seeds: tuple[int, ...] = ()

    def make(self):
        """A fresh environment (`gymnasium.Env`)."""
        from ..errors import MissingPackage
        try:
            import gymnasium
        except ImportError:
            raise MissingPackage("gymnasium", "rl") from None
        try:
            return gymnasium.make(self.name)
        except gymnasium.error.Error as problem:
            raise DataError(f"no environment {self.name!r}: {problem}", "Give a Gymnasium id, such as Hopper-v5.") from None
        except ImportError:
            raise MissingPackage("mujoco", "rl") from None


@dataclass(frozen=True)
class Transitions:
    """A fixed batch of experience, in the order it was made.

    Args:
        observation: (N, O).
        action: (N, A) for continuous actions.
        reward: (N,).
        next_observation: (N, O).
        terminated: (N,) bool; True where the task ended, not where a time limit cut it.
        ended: (N,) bool; True at the last step of an episode, for either reason.
        action_low, action_high: (A,) bounds of the action.
        environment: Gymnasium id of the task, or "" if there is none to be judged in.
        behaviour: facts about the policy that made the batch, as (name, value).
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_observation: np.ndarray
    terminated: np.ndarray
    ended: np.ndarray
    action_low: np.ndarray
    action_high: np.ndarray
    environment: str = ""
    behaviour: tuple[tuple[str, float], ...] = field(default=())

    def __post_init__(self):
        _frozen(self, observation=np.float32, action=np.float32, reward=np.float32, next_observation=np.float32,
                terminated=bool, ended=bool, action_low=np.float32, action_high=np.float32)
        rows = self.observation.shape[:1]
        _require(self.observation.ndim == 2, "Transitions.observation", f"shape {self.observation.shape}", "(N, O)")
        _require(self.action.ndim == 2, "Transitions.action", f"shape {self.action.shape}", "(N, A), continuous actions")
        _require(self.next_observation.shape == self.observation.shape, "Transitions.next_observation",
                 f"shape {self.next_observation.shape}", f"{self.observation.shape}")
        for name in ("action", "reward", "terminated", "ended"):
            shape = getattr(self, name).shape
            _require(shape[:1] == rows, f"Transitions.{name}", f"{shape[0]} rows", f"{rows[0]}, as many as observations")
        for name in ("observation", "action", "reward", "next_observation"):
            bad = np.flatnonzero(~np.isfinite(getattr(self, name).reshape(len(self), -1)).all(1))
            _require(not len(bad), f"Transitions.{name}", f"a missing or infinite value in row {bad[:1]}", "finite numbers")
        outside = np.flatnonzero(((self.action < self.action_low - 1e-4) | (self.action > self.action_high + 1e-4)).any(1))
        _require(not len(outside), "Transitions.action", f"{len(outside)} rows outside the bounds, first row {outside[:1]}",
                 f"actions from {self.action_low.tolist()} to {self.action_high.tolist()}")

    def __len__(self):
        return len(self.reward)

    def split(self, seed: int) -> tuple[Transitions, Environment]:
        """Train: the whole batch. Test: the environment, with ten start states that the seed picks."""
        if not self.environment:
            raise DataError("this batch does not say in which environment a policy is to be judged",
                            "Add --environment ID (a Gymnasium id), or an `environment` entry to the archive.")
        starts = np.random.default_rng(seed).integers(2**31, size=10)
        return self, Environment(self.environment, tuple(int(start) for start in starts))
