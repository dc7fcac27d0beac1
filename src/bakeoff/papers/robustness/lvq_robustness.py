"""Robust LVQ: a classifier by the nearest of labelled prototypes, trained for a wide margin between them, takes a large change to fool.

Saralajew, Holdijk, Rees, Villmann. WSOM+ 2019. arXiv:1902.00577.

Method: each class c has k prototypes w; an input belongs to the class of its nearest one. With d+ the distance to the nearest
prototype of the right class and d- to the nearest of any other, generalised LVQ minimises the mean of

    phi(mu),  mu = (d+ - d-) / (d+ + d-) in [-1, 1],

by gradient descent on all that makes up d; phi is the identity or a sigmoid. Three distances:

    GLVQ    d = |x - w|^2
    GMLVQ   d = |Omega (x - w)|^2,       Omega learned, of Frobenius norm 1 after every step
    GTLVQ   d = |(I - W W^T)(x - w)|^2,  each prototype an affine subspace w + W t, W (D x r) made orthonormal after every step

They start at the k means of each class; Omega as a multiple of the identity, W at the principal axes of each cluster. By the
triangle inequality an x keeps its label under every change of L2 length below

    (sqrt d- - sqrt d+) / (2 L),  L = |Omega|_2 for GMLVQ and 1 for the others  (`certify`).

As a network the model gives -d of each class's nearest prototype: the difference of two outputs is d- - d+ itself, so attacks on
logit differences attack the margin, not the saturating mu.

Departures: Adam for a few hundred steps. The judged GTLVQ has 4 prototypes a class of rank 12 (the paper: 1 and 10). The control is a
plain CNN of as many steps; adversarially trained networks and ABS are left out. Attacked by DeepFool, Carlini-Wagner and DDN: for each
image the nearest wrong answer of the three, after bisecting its line to the boundary, so that nothing hangs on an attack's last step. The
adaptive attacker is the one on d- - d+: DeepFool and Carlini-Wagner on these outputs. Tuned on 1,000 training images of MNIST kept aside,
400 steps (accuracy, median distance): CNN at rates 0.001, 0.003 and weight decays 0, 0.3, 1 (93.6 to 97.1 %, 0.88 to 1.10; the control, at
0.003 without decay, then had 1.1 to 1.2 on the test images); GTLVQ at rates 0.003, 0.01 (95.9, 95.1 %, 2.06, 1.96). Seen beside: GLVQ of
16 prototypes 93.6 %, 1.54 (300 steps), GMLVQ of 2 85.3 %, 0.55 (150 steps).

Out of reach: the published networks of Madry et al. and of Schott et al.; black-box and pointwise attacks. Distances found by
attacks are upper bounds in either arm; only the certificates are proofs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts.attacks import accuracy, carlini_wagner, decoupled, deepfool, lengths, margin_loss, pgd, right
from bakeoff.parts.learning import inputs, learn, tensor
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn_classes

PAPER = Paper(title="Robustness of Generalized Learning Vector Quantization Models against Adversarial Attacks",
              authors=("Saralajew", "Holdijk", "Rees", "Villmann"), year=2019, venue="WSOM+", arxiv="1902.00577",
              also=("GTLVQ", "GMLVQ", "GLVQ", "Generalized Tangent LVQ", "generalized learning vector quantization"))
CLAIM = Claim(says="Generalised tangent LVQ is by its nature about as robust as the best defended networks: it takes a larger change in L2 "
                   "(the median over images) to fool it than to fool a plain CNN.",
              data="mnist", metric="median L2 distance to the nearest wrong answer", unit="L2 distance", better="higher", margin=0.1,
              equal="steps", steps={"smoke": 20, "quick": 400, "full": 20_000})
__all__ = ["GLVQ"]

VARIANTS = ("euclidean", "matrix", "tangent")


class GLVQ(nn.Module):
    """Generalised learning vector quantisation: a classifier by the nearest prototype, with a margin that certifies its answers.

    It is a network of logits, (B, ...) -> (B, K): minus the distance to the nearest prototype of each class. Attacks and everything else
    that takes an `nn.Module` take it. What was learned is saved and loaded as of any module: `GLVQ(...).load_state_dict(state)`, of the
    same variant and prototypes_per_class, needs no `fit` before.

    Args:
        prototypes_per_class: k.
        variant: "euclidean" (GLVQ), "matrix" (GMLVQ: one learned linear map before the distance) or "tangent" (GTLVQ: prototypes
            are affine subspaces).
        rank: dimensions r of a tangent prototype's subspace, or rows of the matrix; by default 12, and D (the matrix square).
        slope: steepness of the sigmoid phi(mu) = 1 / (1 + exp(-slope mu)); None for phi(mu) = mu.
        learning_rate: Adam's, for prototypes, matrix and subspaces.
        batch_size: images a step.
        seed: decides the first means, the axes and the order of images.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.lvq_robustness import GLVQ
        >>> images = torch.tensor([[0.0, 0.5], [0.2, 0.5], [0.8, 0.5], [1.0, 0.5]])
        >>> model = GLVQ(prototypes_per_class=1, batch_size=4, learning_rate=1e-4).fit(images, torch.tensor([0, 0, 1, 1]), steps=10)
        >>> labels, radii = model.certify(torch.tensor([[0.2, 0.5], [0.7, 0.5]]))
        >>> labels.tolist(), [round(float(radius), 2) for radius in radii]
        ([0, 1], [0.3, 0.2])
    """

    def __init__(self, prototypes_per_class: int = 10, variant: str = "euclidean", *, rank: int | None = None, slope: float | None = None,
                 learning_rate: float = 0.003, batch_size: int = 128, seed: int = 0):
        super().__init__()
        self.prototypes_per_class, self.variant, self.rank, self.slope = prototypes_per_class, variant, rank, slope
        self.learning_rate, self.batch_size, self.seed = learning_rate, batch_size, seed
        for name in ("prototypes", "omega", "axes"):  # (K, k, D); (m, D); (K k, D, r)
            self.register_parameter(name, None)

    def fit(self, images, labels, *, steps: int = 1000, on_step=None) -> GLVQ:
        """Place the prototypes at the means of each class's clusters, then move them (and what else makes the distance) to lower the loss.

        Args:
            images: (N, ...) finite floats of any range; a tensor or an array.
            labels: (N,) class numbers 0..K-1, each at least `prototypes_per_class` times.
            steps: minibatches to learn from.
            on_step: called with the loss after every step.

        Returns:
            self.

        Raises:
            ValueError: an unknown variant, a rank out of range, images that are not finite floats, labels that are not class numbers, one
                an image, or a class with too few images.
        """
        x, labels = inputs(images, bounds=None).float().flatten(1), tensor(labels)  # (N, D), (N,)
        self._start(x, labels)

        def after(loss):
            self._constrain()
            if on_step is not None:
                on_step(loss)

        return learn(self, x, labels, lambda _, x, y, rng, done: self.phi(self.relative_distance(x, y)).mean(), steps=steps,
                     learning_rate=self.learning_rate, batch_size=self.batch_size, seed=self.seed, on_step=after)

    def forward(self, x: Tensor) -> Tensor:
        """Minus the distance to the nearest prototype of each class: x (B, ...) -> (B, K), all <= 0."""
        if self.prototypes is None:
            raise NotFitted
        x, w = x.flatten(1), self.prototypes.flatten(0, 1).to(x.dtype)  # (B, D), (P, D) with P = K k
        if self.omega is not None:
            x, w = (rows @ self.omega.T.to(x.dtype) for rows in (x, w))  # (B, m), (P, m)
        distances = squared_distances(x, w)  # (B, P)
        if self.axes is not None:
            axes = self.axes.to(x.dtype)
            along = torch.einsum("bd,pdr->bpr", x, axes) - torch.einsum("pd,pdr->pr", w, axes)  # W^T (x - w)
            distances = distances - along.square().sum(2)
        return -distances.clamp_min(0).unflatten(1, self.prototypes.shape[:2]).amin(2)

    def relative_distance(self, x: Tensor, y: Tensor) -> Tensor:
        """mu = (d+ - d-) / (d+ + d-) of each input x (B, ...) with the label y (B,): (B,) in [-1, 1], below 0 where it is right."""
        distances = -self(x)  # (B, K)
        mine = distances.gather(1, y[:, None])[:, 0]  # d+
        other = distances.scatter(1, y[:, None], torch.inf).amin(1)  # d-
        return (mine - other) / (mine + other).clamp_min(1e-12)

    def phi(self, mu: Tensor) -> Tensor:
        """What is minimised the mean of, by mu: mu itself, or a sigmoid of it."""
        return mu if self.slope is None else torch.sigmoid(self.slope * mu)

    @torch.no_grad()
    def predict(self, images) -> Tensor:
        """The class of the nearest prototype, (B,).

        Args:
            images: (B, ...), as in `fit`.

        Raises:
            NotFitted: before `fit`.
        """
        return torch.cat([self(x).argmax(1) for x in inputs(images, bounds=None).float().split(1000)])

    @torch.no_grad()
    def certify(self, images) -> tuple[Tensor, Tensor]:
        """The label of each image, and the L2 radius within which no change alters it.

        Args:
            images: (B, ...), as in `fit`.

        Returns:
            labels (B,) and radii (B,), in the unit of the images.

        Raises:
            NotFitted: before `fit`.
        """
        distances = torch.cat([-self(x) for x in inputs(images, bounds=None).double().split(1000)])  # (B, K)
        stretch = 1.0 if self.omega is None else torch.linalg.matrix_norm(self.omega.double(), 2)  # the most that a change can grow
        first, second = distances.sqrt().topk(2, largest=False).values.T  # each (B,)
        return distances.argmin(1), (second - first) / (2 * stretch)

    def _start(self, x: Tensor, y: Tensor) -> None:
        """Prototypes, matrix and axes as they are before the first step."""
        if self.variant not in VARIANTS:
            raise ValueError(f"variant={self.variant!r}; expected one of {', '.join(VARIANTS)}")
        if y.shape != x.shape[:1] or not len(y) or y.is_floating_point() or int(y.min()) < 0:
            raise ValueError(f"expected whole numbers from 0 as labels, one for each of {len(x)} images; found {y.dtype} {tuple(y.shape)}")
        if self.prototypes_per_class < 1:
            raise ValueError(f"prototypes_per_class={self.prototypes_per_class}; expected 1 or more")
        size, tangent = x.shape[1], self.variant == "tangent"
        rank = self.rank if self.rank is not None else 12 if tangent else size
        if not (0 <= rank < size if tangent else 0 < rank <= size):
            raise ValueError(f"rank {rank} for images of {size} numbers; expected "
                             + ("fewer dimensions, else every distance is 0" if tangent else "1 or more rows, and at most those"))
        if int(y.max()) < 1:
            raise ValueError("expected labels of two classes or more")
        if (few := int(torch.bincount(y).min())) < self.prototypes_per_class:
            raise ValueError(f"a class has {few} images; expected at least prototypes_per_class={self.prototypes_per_class} of each")
        rng = torch.Generator().manual_seed(self.seed)
        groups = [x[y == label] for label in range(int(y.max()) + 1)]
        means = [k_means(group, self.prototypes_per_class, rng) for group in groups]
        self.prototypes, self.omega, self.axes = nn.Parameter(torch.stack(means)), None, None
        if self.variant == "matrix":
            self.omega = nn.Parameter(torch.eye(x.shape[1]) if self.rank is None else principal_axes(x - x.mean(0), self.rank, rng).T)
        if tangent:
            clusters = [group[squared_distances(group, mean).argmin(1) == k] - mean[k]
                        for group, mean in zip(groups, means, strict=True) for k in range(len(mean))]
            self.axes = nn.Parameter(torch.stack([principal_axes(one, rank, rng) for one in clusters]))
        self._constrain()

    def _load_from_state_dict(self, state, prefix, metadata, strict, missing, unexpected, errors):
        """As of any module, but parameters of the saved shapes are made first: those follow from the data."""
        kept = {name: state[prefix + name] for name in ("prototypes", "omega", "axes") if prefix + name in state}
        if "prototypes" in kept:
            kind, each = "matrix" if "omega" in kept else "tangent" if "axes" in kept else "euclidean", kept["prototypes"].shape[1]
            if (kind, each) != (self.variant, self.prototypes_per_class):
                errors.append(f"saved was the variant {kind!r} with prototypes_per_class={each}, this model is {self.variant!r} with "
                              f"{self.prototypes_per_class}")
                return
            for name, saved in kept.items():
                if getattr(self, name) is None or getattr(self, name).shape != saved.shape:
                    setattr(self, name, nn.Parameter(torch.empty_like(saved)))
        super()._load_from_state_dict(state, prefix, metadata, strict, missing, unexpected, errors)

    @torch.no_grad()
    def _constrain(self) -> None:
        """Omega back to Frobenius norm 1; every W to the nearest matrix with orthonormal columns."""
        if self.omega is not None:
            self.omega /= self.omega.norm()
        if self.axes is not None:
            values, vectors = torch.linalg.eigh(self.axes.mT @ self.axes)  # W (W^T W)^(-1/2)
            self.axes.copy_(self.axes @ (vectors * values.clamp_min(1e-12).rsqrt()[:, None]) @ vectors.mT)


def squared_distances(x: Tensor, w: Tensor) -> Tensor:
    """|x - w|^2 of every pair of rows, by one product of matrices: (B, D), (P, D) -> (B, P)."""
    return x.square().sum(1, keepdim=True) - 2 * x @ w.T + w.square().sum(1)


def k_means(points: Tensor, count: int, rng: torch.Generator, rounds: int = 10) -> Tensor:
    """`count` means (count, D) of clusters of the points (N, D), by Lloyd's rounds from random points."""
    means = points[torch.randperm(len(points), generator=rng)[:count]]
    for _ in range(rounds):
        nearest = squared_distances(points, means).argmin(1)
        sizes = torch.bincount(nearest, minlength=count)[:, None]
        means = torch.where(sizes > 0, torch.zeros_like(means).index_add_(0, nearest, points) / sizes.clamp_min(1), means)
    return means


def principal_axes(points: Tensor, count: int, rng: torch.Generator, rounds: int = 5) -> Tensor:
    """The `count` directions (D, count), orthonormal, in which centred points (N, D) vary most, by subspace iteration."""
    axes = torch.linalg.qr(torch.randn(points.shape[1], count, generator=rng))[0]
    for _ in range(rounds):
        axes = torch.linalg.qr(points.T @ (points @ axes))[0]
    return axes


def nearest_wrong(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """By each attack, the wrongly answered images (B, ...) it finds nearest to x, pulled back to the boundary; x where it finds none."""
    found = {"DeepFool": deepfool(model, x, y), "decoupled": decoupled(model, x, y, steps=100),
             "Carlini-Wagner": carlini_wagner(model, x, y, steps=60, binary_searches=3, learning_rate=0.05, constant=1.0)}
    return {name: pulled_back(model, x, attacked, y) for name, attacked in found.items()}


def pulled_back(model: nn.Module, x: Tensor, attacked: Tensor, y: Tensor, halvings: int = 12) -> Tensor:
    """The last wrong answer found by bisecting the line from the attacked image (B, ...) to x."""
    step, best = (attacked - x), attacked
    low, high = torch.zeros(len(x)), torch.ones(len(x))  # share of the change: right at low, wrong at high
    for _ in range(halvings):
        middle = (low + high) / 2
        between = (x + _rows(middle, x) * step).clamp(0, 1)
        fooled = ~right(model, between, y)
        best = torch.where(_rows(fooled, x), between, best)
        low, high = torch.where(fooled, low, middle), torch.where(fooled, middle, high)
    return best


def distances_to_wrong(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """By each attack, the L2 distance (B,) to the nearest wrong answer: 0 where x has one already, infinite where none was found."""
    distances = {}
    for name, attacked in nearest_wrong(model, x, y).items():
        length = lengths(attacked - x, 2)
        distances[name] = torch.where(right(model, attacked, y), torch.inf, length).where(right(model, x, y), torch.zeros(()))
    return distances


def _rows(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.ndim - 1))


TESTED = {"smoke": 10, "quick": 100, "full": 500}


def treatment(train, budget, seed):
    """Tangent prototypes."""
    x, y = torch.tensor(train.pixels), torch.tensor(train.labels)
    model = GLVQ(min(4, int(torch.bincount(y).min())), "tangent", seed=seed)
    return model.fit(x, y, steps=budget.steps, on_step=budget.spend), TESTED[budget.name]


def control(train, budget, seed):
    """A plain CNN."""
    network = small_cnn(train.pixels.shape[1:], len(train.classes), seed=seed)
    return learn_classes(network, torch.tensor(train.pixels), torch.tensor(train.labels), steps=budget.steps, learning_rate=3e-3,
                         batch_size=128, seed=seed, on_step=budget.spend), TESTED[budget.name]


def score(model, test):
    network, images = model
    x, y = torch.tensor(test.pixels[:images]), torch.tensor(test.labels[:images])
    found = distances_to_wrong(network, x, y)
    shortest = torch.stack(list(found.values())).amin(0)  # (B,)
    proofs = network.certify(x)[1] * right(network, x, y) if isinstance(network, GLVQ) else torch.zeros(len(x))  # (B,)
    within = pgd(network, x, y, radius=0.1, steps=20, loss=margin_loss)
    return {CLAIM.metric: float(shortest.clamp_max(x[0].numel() ** 0.5).median()),
            **{f"the same by {name} alone": float(one.clamp_max(x[0].numel() ** 0.5).median()) for name, one in found.items()},
            "right within L2 1.5": 100 * float((shortest > 1.5).double().mean()),
            "right within L-infinity 0.1": 100 * accuracy(network, within, y),
            "accuracy": 100 * accuracy(network, torch.tensor(test.pixels), torch.tensor(test.labels)),
            "median radius proved": float(proofs.median()),
            "proofs broken": float((shortest < proofs - 1e-4).sum())}


def draw(model, test):
    network, _ = model
    x, y = torch.tensor(test.pixels[:8]), torch.tensor(test.labels[:8])
    found, distances = nearest_wrong(network, x, y), distances_to_wrong(network, x, y)
    best = torch.stack(list(distances.values())).argmin(0)  # (8,)
    nearest = torch.stack(list(found.values()))[best, torch.arange(len(x))]
    said = ", ".join(test.classes[int(label)] for label in network(nearest).argmax(1))
    rows = [x, nearest] + ([network.prototypes[:8, 0].detach().view_as(x[:len(network.prototypes)])] if isinstance(network, GLVQ) else [])
    tiles = [torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in rows]  # each (H, 8 W, C)
    width = max(tile.shape[1] for tile in tiles)
    picture = torch.cat([nn.functional.pad(tile, (0, 0, 0, width - tile.shape[1])) for tile in tiles])
    return [Drawing.picture(f"Test images; the nearest found that are taken for {said}; prototypes, if any", picture.clamp(0, 1).numpy())]
