"""How far a policy pi is from a behaviour b, state by state, from draws: KL in its primal and dual forms, and Wasserstein's distance.

Wu, Tucker, Nachum. Behavior Regularized Offline Reinforcement Learning. arXiv:1911.11361 (section 3.2).

    primal KL           E_pi[log pi(a|s) - log b(a|s)]
    dual KL             sup_g  E_pi[log softplus(g) + 1] - E_b[softplus(g)]         reached where softplus(g) = pi / b
    dual Wasserstein    sup_g  E_pi[g] - E_b[g],   g of slope at most 1

Whatever the witness g(s, a), a dual form is no more than the divergence; a network learns g by ascent, and a penalty on slopes
above 1 between draws of pi and of b holds it down. The third kernel of the paper, the MMD, is in `discrepancy`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TINY = 1e-8  # keeps the logarithm of a vanished softplus and the root of a vanished slope finite


def primal_kl(raw: Tensor, policy: tuple[Tensor, Tensor], behaviour: tuple[Tensor, Tensor]) -> Tensor:
    """E_pi[log pi - log b] of two Gaussians from draws of pi; the same for what any one-to-one function, such as tanh, makes of both.

    Args:
        raw: (B, n, A) draws of pi.
        policy, behaviour: mean and log deviation, (B, A) each.

    Returns:
        (B,).

    Example:
        >>> raw, unit = torch.tensor([[[0.0], [1.0]]]), (torch.zeros(1, 1), torch.zeros(1, 1))
        >>> primal_kl(raw, unit, unit), primal_kl(raw, unit, (torch.ones(1, 1), torch.zeros(1, 1)))
        (tensor([0.]), tensor([0.]))
    """
    (ours, wide), (theirs, apart) = ([one[:, None] for one in pair] for pair in (policy, behaviour))  # (B, 1, A) each
    squares = ((raw - theirs) * (-apart).exp()).square() - ((raw - ours) * (-wide).exp()).square()
    return (squares / 2 + apart - wide).sum(-1).mean(1)


def dual_kl(at_policy: Tensor, at_behaviour: Tensor) -> Tensor:
    """The dual form of KL(pi || b) from the witness at draws of pi (..., n) and of b (..., m), the draws on the last axis.

    Example:
        >>> one = torch.tensor(1.0).expm1().log().expand(3)  # softplus 1 everywhere: pi and b are told apart nowhere
        >>> dual_kl(one, one).abs() < 1e-6
        tensor(True)
    """
    return (F.softplus(at_policy) + TINY).log().mean(-1) + 1 - F.softplus(at_behaviour).mean(-1)


def dual_wasserstein(at_policy: Tensor, at_behaviour: Tensor) -> Tensor:
    """The dual form of Wasserstein's distance from the witness at draws of pi (..., n) and of b (..., m).

    Example:
        >>> dual_wasserstein(torch.tensor([1.0, 2.0]), torch.tensor([0.5]))
        tensor(1.)
    """
    return at_policy.mean(-1) - at_behaviour.mean(-1)


def steepness(witness: nn.Module, observation: Tensor, one: Tensor, other: Tensor, rng: torch.Generator) -> Tensor:
    """max(|dg/da| - 1, 0)^2 at a point drawn between each pair of actions.

    Args:
        witness: g, a module of observations (..., O) and actions (..., A), whose values end in (...).
        observation: (..., O).
        one, other: (..., A), the ends between which rng draws.

    Returns:
        (...), differentiable in the witness's parameters.

    Example:
        >>> slope = lambda observation, action: 3 * action.sum(-1)
        >>> ends = torch.zeros(2, 1), torch.ones(2, 1)
        >>> steepness(slope, torch.zeros(2, 4), *ends, torch.Generator())
        tensor([4.0000, 4.0000])
    """
    share = torch.rand(one.shape[:-1], generator=rng)[..., None]
    between = torch.lerp(one.detach(), other.detach(), share).requires_grad_()
    (slope,) = torch.autograd.grad(witness(observation, between).sum(), between, create_graph=True)
    return ((slope.square().sum(-1) + TINY).sqrt() - 1).clamp(min=0).square()
