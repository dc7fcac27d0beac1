"""Games as Gymnasium environments: MinAtar's own, and Atari's as learners of it see them.

- `MinAtar/<Game>-v1` of the package MinAtar: images (10, 10, C) of 0 and 1, the actions that the game uses, each of which sticks with 0.1;
  the games grow harder with time.
- `Atari/<Game>-v0`, made here from the package ale-py: frames (84, 84, 4), gray, the last four; an action lasts four frames, of the last
  two of which the larger pixels are seen; an action sticks with 0.25; 27,000 actions at most. (Machado et al. 2018, arXiv:1709.06009.)
"""

from __future__ import annotations

import logging
from functools import cache

import numpy as np

from ..errors import DataError, MissingPackage

NAMESPACES = ("MinAtar/", "Atari/")
SIDE, STACKED, LASTS, STICKS, LONGEST = 84, 4, 4, 0.25, 27_000


def make(name: str):
    """A fresh environment of one of these names (`gymnasium.Env`).

    Raises:
        DataError: there is no such game.
        MissingPackage: the game's package is not installed.
    """
    import gymnasium
    if name.startswith("MinAtar/"):
        _register_minatar()
    elif name not in gymnasium.registry:
        game = name.removeprefix("Atari/").rpartition("-v")[0]
        gymnasium.register(name, entry_point=lambda: _atari(game), max_episode_steps=LONGEST)
    try:
        return gymnasium.make(name)
    except gymnasium.error.Error as problem:
        raise DataError(f"no environment {name!r}: {problem}", "Give a game, such as MinAtar/Breakout-v1 or Atari/Breakout-v0.") from None


@cache
def shares(size: int, into: int) -> np.ndarray:
    """(into, size): what part of each of `into` equal stretches of a line every one of its `size` pixels is.

    Example:
        >>> shares(3, 2)
        array([[0.66666667, 0.33333333, 0.        ],
               [0.        , 0.33333333, 0.66666667]])
    """
    edges, pixels = np.linspace(0, size, into + 1), np.arange(size)
    common = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return common.clip(0) * into / size


def _register_minatar() -> None:
    import gymnasium
    if "MinAtar/Breakout-v1" in gymnasium.registry:
        return
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it tells of packages that only its drawing needs
    try:
        from minatar.gym import register_envs
    except ImportError:
        raise MissingPackage("MinAtar", "rl") from None
    finally:
        logging.disable(before)
    register_envs()


def _atari(game: str):
    """The game with its frames made small and stacked."""
    import gymnasium
    try:
        import ale_py
    except ImportError:
        raise MissingPackage("ale-py", "rl") from None
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)
    raw = gymnasium.make(f"ALE/{game}-v5", frameskip=1, repeat_action_probability=STICKS, obs_type="grayscale", max_episode_steps=-1)

    class Frames(gymnasium.Wrapper):
        def __init__(self):
            super().__init__(raw)
            self.observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE, STACKED), np.uint8)

        def reset(self, *, seed=None, options=None):
            frame, info = self.env.reset(seed=seed, options=options)
            self._seen = np.repeat(_small(frame)[..., None], STACKED, -1)
            return self._seen, info

        def step(self, action):
            total, before, frame = 0.0, None, None
            for _ in range(LASTS):
                before, (frame, reward, terminated, truncated, info) = frame, self.env.step(action)
                total += reward
                if terminated or truncated:
                    break
            larger = frame if before is None else np.maximum(before, frame)
            self._seen = np.concatenate([self._seen[..., 1:], _small(larger)[..., None]], -1)
            return self._seen, total, terminated, truncated, info

    return Frames()


def _small(frame: np.ndarray) -> np.ndarray:  # (210, 160) -> (84, 84)
    down, across = (shares(size, SIDE).astype(np.float32) for size in frame.shape)
    return (down @ frame.astype(np.float32) @ across.T).round().astype(np.uint8)
