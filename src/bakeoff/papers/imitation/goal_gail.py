"""goalGAIL: hindsight and a discriminator of demonstrations that knows the goal, so that a few demonstrations teach every goal.

Ding, Florensa, Phielipp, Abbeel. Goal-conditioned Imitation Learning. NeurIPS 2019. arXiv:1906.05838.

Method: any state that a demonstration reaches later was a valid goal of each earlier step, so its steps (s, a) are relabelled with
later achieved goals g, as the learner's own are in hindsight replay. A discriminator tells the two apart, both relabelled,

    D: max mean_demonstrations log D(s, a, g) + mean_learner log (1 - D(s, a, g)),     D = sigmoid(f),                            (1)

with Gaussian noise of 0.15 on its inputs. A step is worth

    r = w [s' reaches g] + delta log D(s, a, g),     y = r + gamma (1 - [s' reaches g]) Q'(s', pi'(s', g), g),                    (2)

with goal weight w; both terms are computed anew for a replaced goal. Actor and critic are those of DDPG with hindsight, which this is
with delta = 0 and w = 1. Letting delta fall leaves pure reaching at the end, so that the demonstrator can be exceeded. Variants:
D(s, s', g) where nothing is known of the demonstrator's actions, and a cloning loss on relabelled demonstrations,

    actor: max mean Q(s, pi(s, g), g) - beta mean_demonstrations |a - pi(s, g)|^2.                                                (3)

Departures: the rooms are a square from -1 to 1 with steps of 0.1 and goals of radius 0.1, where the paper's planner walks for up to 300
steps; demonstrators err, with 20 % of their actions random. Networks are 64-64 (256-256 at `full`), 4,000 updates in 20,000 steps. Ten
copies of the world act together. Actions have a price, without which DDPG's actions soon lie at their bounds and stay there, in
either arm. The release adds a penalty of 10 on slopes of f other than 1; the paper has none, and with it D does not find 1/2 on equal
data, so it is an option here; so is w = 0, the release's choice for four rooms. Tuned on seeds 100 to 103, one or two
a setting, with 1,800 updates: for the control four learning rates from 0.001 to 0.008, the price of actions, the discount and the targets'
rate; for goalGAIL three learning rates, w (0 and 1 alike), delta (0.02 worse than 0.1); the penalty was not compared on equal seeds.

Out of reach: Fetch's tasks, block pushing, images. The mean over the curve rewards early learning, which is where the difference lies: in
9,000 steps on two of these seeds goalGAIL had 42 % on average and the control 29 %, but 56 % and 55 % at the end. And four rooms say little
for acting at all: goal-conditioned cloning with relabelling, without a step in the world, has 64 % (56 % without relabelling).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.baselines.hindsight_ddpg import HindsightDDPG
from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.data.kinds.goal_environment import GoalEnvironment
from bakeoff.parts.goal_episodes import GoalEpisodes, Steps, episodes, success
from bakeoff.parts.plan_pictures import against, ground, walks

PAPER = Paper(title="Goal-conditioned Imitation Learning", authors=("Ding", "Florensa", "Phielipp", "Abbeel"), year=2019, venue="NeurIPS",
              arxiv="1906.05838", also=("goalGAIL", "goal GAIL", "goal-conditioned GAIL", "goal-conditioned imitation learning"))
CLAIM = Claim(
    says="With 20 demonstrations goalGAIL learns to reach any goal of four rooms faster than hindsight replay does.",
    data="four-rooms-demonstrations", metric="success while learning", unit="%", better="higher", margin=5.0,
    equal="environment steps", steps={"smoke": 600, "quick": 20_000, "full": 1_000_000})
__all__ = ["Discriminator", "GoalGAIL"]


class Discriminator(nn.Module):
    """The logit f of whether (s, a, g), or (s, s', g), is a demonstration's.

    Args:
        inputs: the size of the three together.
        hidden: widths of the hidden layers.
        noise: deviation of the Gaussian noise on the inputs while learning.
        penalty: lambda, of slopes other than 1.

    Example:
        >>> import torch
        >>> from bakeoff.papers.imitation.goal_gail import Discriminator
        >>> discriminator = Discriminator(5, hidden=(8,))
        >>> discriminator(torch.zeros(5, 5)).shape
        torch.Size([5])
    """

    def __init__(self, inputs: int, hidden: tuple[int, ...], noise: float = 0.15, penalty: float = 0.0):
        super().__init__()
        self.noise, self.penalty = noise, penalty
        widths = [inputs, *hidden, 1]
        layers = [part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b), nn.Tanh())]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:  # (..., size) -> (...)
        return self.net(x).squeeze(-1)

    def loss(self, demonstrated: Tensor, own: Tensor, rng: torch.Generator) -> Tensor:  # (B, size) each -> ()
        """What eq. 1 maximises, negative, on the inputs of `demonstrated` and `own` steps; noise and slopes' places come from `rng`."""
        shown, made = (x + self.noise * torch.randn(x.shape, generator=rng) for x in (demonstrated, own))
        loss = F.softplus(-self(shown)).mean() + F.softplus(self(made)).mean()
        if not self.penalty:
            return loss
        between = torch.lerp(shown, made, torch.rand(len(shown), 1, generator=rng)).requires_grad_()
        slope, = torch.autograd.grad(self(between).sum(), between, create_graph=True)
        return loss + self.penalty * (slope.norm(dim=1) - 1).square().mean()


class GoalGAIL(HindsightDDPG):
    """A goal-conditioned policy learned by acting, rewarded for reaching goals and for acting as in demonstrations.

    Args:
        delta: weight of the discriminator's reward.
        goal_weight: w, weight of reaching the goal.
        annealing: the share of delta that is gone at the last step; it falls evenly.
        state_only: discriminate (s, s', g), and leave the demonstrations' actions unread.
        cloning: beta_BC, weight of the cloning loss.
        penalty: lambda, of the discriminator's slopes.
        discriminator_noise: deviation of the noise on its inputs, in units of theirs.
        discriminator_updates: of it, for each of the other networks'.
        discriminator_rate: of its Adam.
        discount, hidden, learning_rate, batch_size, demonstration_batch, hindsight: as for `HindsightDDPG`.
        rate, noise, random_share, effort, updates, moments, seed: as for it.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.demonstrations import Demonstrations
        >>> from bakeoff.data.kinds.goal_environment import GoalEnvironment
        >>> from bakeoff.papers.imitation.goal_gail import GoalGAIL
        >>> x = np.linspace([-0.9, -0.9], [0.0, 0.9], 19)
        >>> walk = Demonstrations(x[:-1], np.tile([0.5, 1.0], (18, 1)), x[1:], x[1:], np.tile(x[-1], (18, 1)), np.arange(18) == 17,
        ...                       [-1, -1], [1, 1], "four-rooms")
        >>> worlds = GoalEnvironment("four-rooms").worlds(copies=2)
        >>> policy = GoalGAIL(hidden=(8, 8)).fit(worlds, walk, steps=60)
        >>> policy.act(x[:4], x[1:5]).shape
        torch.Size([4, 2])
    """

    def __init__(self, delta=0.1, goal_weight=1.0, annealing=0.0, state_only=False, cloning=0.0, penalty=0.0, discriminator_noise=0.15,
                 discriminator_updates=0.5, discriminator_rate=1e-3, discount=0.98, hidden=(64, 64), learning_rate=1e-3, batch_size=256,
                 demonstration_batch=96, hindsight=0.8, rate=0.05, noise=0.15, random_share=0.3, effort=0.1, updates=0.2, moments=20,
                 seed=0):
        super().__init__(discount, hidden, learning_rate, batch_size, demonstration_batch, hindsight, rate, noise, random_share,
                         effort, updates, moments, seed)
        self.delta, self.goal_weight, self.annealing, self.state_only, self.cloning = delta, goal_weight, annealing, state_only, cloning
        self.penalty, self.discriminator_noise, self.discriminator_updates = penalty, discriminator_noise, discriminator_updates
        self.discriminator_rate = discriminator_rate

    def likeness(self, steps: Steps) -> Tensor:
        """D: how much steps (..., size) are like demonstrated ones, from 0 to 1."""
        with torch.no_grad():
            return self._fitted._discriminator(self._told(steps)).sigmoid()

    def reward(self, steps: Steps, reached: Tensor) -> Tensor:
        """What `steps` are worth (eq. 2), given where they `reached` their goal."""
        return self.goal_weight * reached + self._delta * (self.likeness(steps) + 1e-8).log()

    @property
    def _returns(self) -> tuple[float, float]:
        return self.delta * math.log(1e-8) / (1 - self.discount), self.goal_weight

    @property
    def _beside(self) -> int:
        return 0 if self.state_only else self.demonstration_batch

    def _prepare(self) -> None:
        if self.cloning and not self._beside:
            raise ValueError("there are no demonstrated actions to clone: cloning needs demonstration_batch, and state_only=False")
        inputs = self._told(self._shown.draw((1,), 0.0, torch.Generator())).shape[1]
        self._discriminator = Discriminator(inputs, self.hidden, self.discriminator_noise, self.penalty)
        self._discriminator_optimiser = torch.optim.Adam(self._discriminator.parameters(), self.discriminator_rate, fused=True)
        self._own_rng = torch.Generator().manual_seed(2**20 + self.seed)  # apart from the seeds of the learner's own draws
        self._delta, self._due = self.delta, 0.0

    def _before(self, own: GoalEpisodes, count: int, share: float) -> None:
        self._delta = self.delta * (1 - self.annealing * share)
        self._due += count * self.discriminator_updates
        for _ in range(int(self._due)):
            both = [self._told(store.draw((self.batch_size,), self.hindsight, self._own_rng)) for store in (self._shown, own)]
            loss = self._discriminator.loss(*both, self._own_rng)
            self._discriminator_optimiser.zero_grad()
            loss.backward()
            self._discriminator_optimiser.step()
        self._due -= int(self._due)

    def _cloning(self, shown: Steps) -> Tensor | float:
        if not self.cloning:
            return 0.0
        return self.cloning * (self._actor(self._sight(shown.observation, shown.goal)) - shown.action).square().sum(-1).mean()

    def _told(self, steps: Steps) -> Tensor:
        """What the discriminator sees of steps (..., size)."""
        seen = self._sight(steps.observation, steps.goal)
        other = self._sight(steps.following, steps.goal)[..., :steps.following.shape[-1]] if self.state_only else steps.action
        return torch.cat([seen, other], -1)


COPIES = 10  # of the world, that act together
SIZES = {"smoke": {"moments": 2}, "quick": {}, "full": {"hidden": (256, 256)}}
TUNED = {"treatment": {"learning_rate": 2e-3}, "control": {"learning_rate": 4e-3}}


def treatment(train, budget, seed):
    """goalGAIL."""
    worlds = GoalEnvironment(train.environment).worlds(COPIES)
    return GoalGAIL(**SIZES[budget.name], **TUNED["treatment"], seed=seed).fit(worlds, train, budget.steps, budget.spend)


def control(train, budget, seed):
    """DDPG with hindsight, the demonstrations in its replay."""
    worlds = GoalEnvironment(train.environment).worlds(COPIES)
    return HindsightDDPG(**SIZES[budget.name], **TUNED["control"], seed=seed).fit(worlds, train, budget.steps, budget.spend)


def score(model, test):
    """Success on goals of their own, on average over the moments of learning (judged) and at the end; the value at the start."""
    worlds = test.worlds()
    curve = [success(worlds, policy.act, test.seed) for _, policy in model.history]
    estimate, came = model.estimates(worlds, test.seed)
    return {"success while learning": float(np.mean(curve)), "success at the end": curve[-1], "value at the start": float(estimate.mean()),
            "overestimate": float((estimate - came).mean())}


def draw(model, test):
    """Walks to fixed goals, the values of all places for one goal, and estimates against what came."""
    pairs = against(*model.estimates(test.worlds(), test.seed))
    drawn = [Drawing.picture("value at the start (upwards) against the return that came (to the right)", pairs)]
    worlds = GoalEnvironment(test.name, seed=0, episodes=12).worlds()
    if not hasattr(worlds, "walls"):
        return drawn
    observation, *_, achieved, goal, ended = episodes(worlds, lambda now, goal: model.act(now, goal).numpy(), 0)
    ends = np.flatnonzero(ended)
    starts = [0, *ends[:-1] + 1]
    paths = [np.concatenate([observation[a:a + 1], achieved[a:b + 1]]) for a, b in zip(starts, ends, strict=True)]
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-0.98, 0.98, 60)]), -1).reshape(-1, 2)
    towards = np.full_like(grid, 0.5)
    values = model.value(grid, model.act(grid, towards), towards).numpy().reshape(60, 60)
    pages = (walks(ground(), worlds.walls, paths, goal[ends]), walks(ground(values=values), worlds.walls, [], towards[:1]))
    return [Drawing.picture("walks to twelve goals", pages[0]), Drawing.picture("values for one goal", pages[1]), *drawn]
