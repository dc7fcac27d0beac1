"""The kind `Environment`: a Gymnasium environment to be judged in."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from ...errors import DataError, MissingPackage
from .. import arcade


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
        """A fresh environment (`gymnasium.Env`).

        Raises:
            DataError: there is none of this name, or a package that it needs is missing.
            MissingPackage: a package that one of bakeoff's extras brings is missing.
        """
        try:
            import gymnasium
        except ImportError:
            raise MissingPackage("gymnasium", "rl") from None
        if self.name.startswith(arcade.NAMESPACES):
            return arcade.make(self.name)
        try:
            if "mujoco" in str(getattr(gymnasium.registry.get(self.name), "entry_point", "")):
                _silence_mujoco()
            return gymnasium.make(self.name)
        except (gymnasium.error.DependencyNotInstalled, ImportError) as problem:
            if "mujoco" in str(problem).lower() and find_spec("mujoco") is None:
                raise MissingPackage("mujoco", "rl") from None
            raise DataError(f"the environment {self.name!r} needs a package that is not installed: {problem}",
                            "Install it, or give a newer version of the environment.") from None
        except gymnasium.error.Error as problem:
            raise DataError(f"no environment {self.name!r}: {problem}", "Give a Gymnasium id, such as Hopper-v5.") from None


def _silence_mujoco() -> None:
    """Else it writes a file MUJOCO_LOG.TXT where one stands, saying that Gymnasium's own models are outdated."""
    import mujoco
    mujoco.set_mju_user_warning(lambda told: None)
