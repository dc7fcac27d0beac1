"""A conditional VAE of a batch's actions: the model of the behaviour that BCQ, BEAR and their kin stay near.

Fujimoto, Meger, Precup. Off-Policy Deep Reinforcement Learning without Exploration. ICML 2019. arXiv:1812.02900.

    E(s, a) = (mu, sigma),     D(s, z) = a^,     loss = mean (a - D(s, mu + sigma e))^2 + KL / (4A),
    KL = sum_z (mu^2 + sigma^2 - 1 - log sigma^2) / 2,     G(s) = D(s, clip(z, -0.5, 0.5)), z ~ N(0, I) of size 2A.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mlp import mlp


class ActionVAE(nn.Module):
    """A conditional VAE of actions in [-1, 1], given observations.

    Args:
        observation_dim, action_dim: O and A.
        hidden: widths of the hidden layers of encoder and decoder.
        clip: the size at which latents are cut when actions are drawn.

    Example:
        >>> model, rng = ActionVAE(3, 2, hidden=(16, 16)), torch.Generator().manual_seed(0)
        >>> model.loss(torch.zeros(5, 3), torch.zeros(5, 2), rng).shape, model.sample(torch.zeros(5, 3), rng).shape
        (torch.Size([]), torch.Size([5, 2]))
    """

    def __init__(self, observation_dim: int, action_dim: int, hidden=(750, 750), clip: float = 0.5):
        super().__init__()
        self.latent, self.clip = 2 * action_dim, clip
        self.encoder = mlp(observation_dim + action_dim, *hidden, 2 * self.latent)
        self.decoder = mlp(observation_dim + self.latent, *hidden, action_dim)

    def encode(self, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:  # (B, 2A) each
        """mu and log sigma at each observation (B, O) and action (B, A); log sigma is kept in [-4, 15], as by the authors."""
        mean, log_deviation = self.encoder(torch.cat([observation, action], -1)).chunk(2, -1)
        return mean, log_deviation.clamp(-4, 15)

    def decode(self, observation: Tensor, latent: Tensor) -> Tensor:
        """The action (..., A) of each observation (..., O) and latent (..., 2A)."""
        return self.decode_raw(observation, latent).tanh()

    def decode_raw(self, observation: Tensor, latent: Tensor) -> Tensor:
        """The action before the tanh that brings it into [-1, 1]."""
        return self.decoder(torch.cat([observation, latent], -1))

    def loss(self, observation: Tensor, action: Tensor, rng: torch.Generator) -> Tensor:
        """The loss above, the mean over each observation (B, O) and action (B, A); rng draws e."""
        mean, log_deviation = self.encode(observation, action)
        noise = torch.randn(mean.shape, generator=rng)
        decoded = self.decode(observation, mean + log_deviation.exp() * noise)
        return F.mse_loss(decoded, action) + divergence(mean, log_deviation).mean() / (2 * self.latent)

    @torch.no_grad()
    def sample(self, observation: Tensor, rng: torch.Generator) -> Tensor:
        """An action (..., A) for each observation (..., O), from latents that rng draws and `clip` cuts."""
        return self.sample_raw(observation, rng).tanh()

    @torch.no_grad()
    def sample_raw(self, observation: Tensor, rng: torch.Generator) -> Tensor:
        """The same before the tanh."""
        latent = torch.randn(*observation.shape[:-1], self.latent, generator=rng).clamp(-self.clip, self.clip)
        return self.decode_raw(observation, latent)


def divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """KL(N(mean, deviation^2) || N(0, 1)) summed over the last axis: (B, Z) -> (B,).

    Example:
        >>> divergence(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))
        tensor([2.5000])
    """
    return (mean.square() + (2 * log_deviation).exp() - 1 - 2 * log_deviation).sum(-1) / 2
