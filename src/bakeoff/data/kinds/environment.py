"""The kind `Environment`: a Gymnasium environment to be judged in."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import DataError, MissingPackage


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
