"""A stochastic policy: a Gaussian whose mean and deviation a network gives, squashed into the action's bounds by tanh.

Haarnoja, Zhou, Hartikainen, Tucker, Ha, Tan, et al. Soft Actor-Critic Algorithms and Applications. arXiv:1812.05905 (appendix C).

    u = mu(s) + sigma(s) e,  e ~ N(0, 1)        a = tanh(u)        log pi(a|s) = sum_i [log N(u_i; mu_i, sigma_i^2) - log(1 - a_i^2)]

log(1 - tanh(u)^2) is written 2 (log 2 - u - softplus(-2 u)), which stays finite where tanh(u) rounds to 1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mlp import mlp

EDGE = 1 - 1e-6  # actions are cut here before they are unsquashed: the bounds themselves would be infinitely far out


class SquashedGaussian(nn.Module):
    """A density over actions in [-1, 1], given observations.

    Args:
        observation_dim, action_dim: O and A.
        hidden: widths of the hidden layers.
        log_deviation: the least and the greatest log sigma; beyond them it is cut, and gives no gradient.

    Example:
        >>> policy, rng = SquashedGaussian(3, 2, hidden=(16,)), torch.Generator().manual_seed(0)
        >>> action, log_density = policy.sample(torch.zeros(5, 3), rng)
        >>> action.shape, log_density.shape
        (torch.Size([5, 2]), torch.Size([5]))
        >>> torch.allclose(policy.log_density(torch.zeros(5, 3), action), log_density, atol=1e-4)
        True
    """

    def __init__(self, observation_dim: int, action_dim: int, hidden: tuple[int, ...], log_deviation: tuple[float, float] = (-20.0, 2.0)):
        super().__init__()
        self.network = mlp(observation_dim, *hidden, 2 * action_dim)
        self.log_deviation = log_deviation

    def gaussian(self, observation: Tensor) -> tuple[Tensor, Tensor]:  # (..., O) -> (..., A) each
        """mu and log sigma of the Gaussian before it is squashed."""
        mean, log_deviation = self.network(observation).chunk(2, -1)
        return mean, log_deviation.clamp(*self.log_deviation)

    def mean(self, observation: Tensor) -> Tensor:  # (..., O) -> (..., A)
        """tanh(mu), the action without noise: the median, which is not quite the mean of a squashed Gaussian."""
        return self.network(observation).chunk(2, -1)[0].tanh()

    def sample(self, observation: Tensor, rng: torch.Generator, count: int | None = None) -> tuple[Tensor, Tensor]:
        """A draw and its log-density, as `sample_raw` gives them."""
        return self.sample_raw(observation, rng, count)[1:]

    def sample_raw(self, observation: Tensor, rng: torch.Generator, count: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """A reparameterised draw at each observation (..., O).

        Args:
            observation: (..., O).
            rng: draws e.
            count: draws at each observation, for which the network works but once; None for one without an axis of its own.

        Returns:
            u and a (..., A), log pi (...); with a count (..., count, A) and (..., count).
        """
        mean, log_deviation = self.gaussian(observation)
        if count is not None:
            mean, log_deviation = mean.unsqueeze(-2), log_deviation.unsqueeze(-2)  # (..., 1, A)
        shape = mean.shape if count is None else (*mean.shape[:-2], count, mean.shape[-1])
        noise = torch.randn(shape, generator=rng)
        raw = mean + log_deviation.exp() * noise
        return raw, raw.tanh(), _log_density(noise, log_deviation, raw)

    def log_density(self, observation: Tensor, action: Tensor) -> Tensor:
        """log pi(a|s) (...) of actions (..., A) at observations (..., O), whose leading axes may broadcast."""
        mean, log_deviation = self.gaussian(observation)
        raw = torch.atanh(action.clamp(-EDGE, EDGE))
        return _log_density((raw - mean) * (-log_deviation).exp(), log_deviation, raw)


def _log_density(noise: Tensor, log_deviation: Tensor, raw: Tensor) -> Tensor:  # (..., A) each -> (...)
    squeezed = 2 * (math.log(2) - raw - F.softplus(-2 * raw))  # log(1 - tanh(raw)^2)
    return (-0.5 * (noise.square() + math.log(2 * math.pi)) - log_deviation - squeezed).sum(-1)
