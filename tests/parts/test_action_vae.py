"""The VAE of a batch's actions: its loss and divergence in closed form, and the latents it draws from."""

import pytest
import torch

from bakeoff.parts.action_vae import ActionVAE, divergence
from bakeoff.parts.seeding import seeded


def test_the_divergence_is_the_closed_form_and_the_loss_adds_its_mean():
    with seeded(0):
        mean, log_deviation, model = torch.randn(5, 4), torch.randn(5, 4), ActionVAE(3, 2, hidden=(8,))
    normal = torch.distributions.Normal
    known = torch.distributions.kl_divergence(normal(mean, log_deviation.exp()), normal(0.0, 1.0))
    torch.testing.assert_close(divergence(mean, log_deviation), known.sum(1))

    x, action = torch.ones(5, 3), torch.full((5, 2), 0.5)
    mean, log_deviation = model.encode(x, action)
    noise = torch.randn(5, 4, generator=torch.Generator().manual_seed(7))
    found = (model.decode(x, mean + log_deviation.exp() * noise) - action).square().mean()
    expected = found + 0.5 * torch.distributions.kl_divergence(normal(mean, log_deviation.exp()), normal(0.0, 1.0)).mean()
    torch.testing.assert_close(model.loss(x, action, torch.Generator().manual_seed(7)), expected)


def test_actions_are_drawn_from_latents_cut_at_half_a_deviation():
    model, rng = ActionVAE(3, 2, hidden=(8,)), torch.Generator().manual_seed(0)
    model.decoder = torch.nn.Identity()  # an observation and the latent itself
    latent = model.sample_raw(torch.zeros(20_000, 3), rng)[:, 3:]
    assert latent.abs().max() == 0.5
    assert (latent == 0.5).double().mean().item() == pytest.approx(0.3085, abs=0.01)  # the chance of a normal above 0.5


def test_drawn_actions_are_raw_ones_squashed():
    model, x = ActionVAE(3, 2, hidden=(8,)), torch.ones(5, 3)
    drawn, raw = (draw(x, torch.Generator().manual_seed(1)) for draw in (model.sample, model.sample_raw))
    torch.testing.assert_close(drawn, raw.tanh())
