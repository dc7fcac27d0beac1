"""FreeLB: train on word vectors that are pushed uphill in the loss, and learn from every point on the way up.

Zhu, Cheng, Gan, Sun, Goldstein, Liu. ICLR 2020. arXiv:1909.11764.

Method: X (L, D) are the word vectors of a sentence of n words, d a change of them, of Frobenius norm eps at most and 0 on padding.

    d_0 = U(-eps, eps) / sqrt(n D)                              a random start, each entry by itself
    g <- g + 1/K grad_theta loss(X + d_t)                       each of K passes gives slopes of the parameters ...
    d_t+1 = P_eps(d_t + a grad_d / |grad_d|)                    ... and, for nothing more, of the change
    theta <- theta - rate g                                     one update after K passes

P_eps shortens what is longer than eps. The parameters stay put during the ascent, so g is the slope of the mean loss over a batch
K times as large, and the units that dropout hides are the same in all K passes. Plain training is K = 1 with eps = 0; with the
slopes of the last pass alone (`learn_from="last"`) it is adversarial training by projected gradient descent (PGD).

Departures: a small convolutional classifier learns its word vectors from scratch on 7,690 sentences of SST-2, where the paper goes
on training BERT and RoBERTa. Word vectors that are learnt would grow until eps is nothing to them: here each is brought to mean 0 and
length sqrt(D) before it is changed. Both arms have as many passes, so plain training makes K times as many updates (the paper
compares at equal epochs), keep aside a tenth of the training texts and end with the network that did best on it. A pass here counts one
forward and one backward; the slopes of the change come with those of the parameters. eps = 0.6 and a = 0.3 for vectors of length
5.7: with eps = 2 FreeLB learnt nothing at this scale at any rate tried (54 % against 75 %).
Of the rates 0.001, 0.003, 0.005 and 0.01 the last was best for plain training. Against 0.02, right among a fifth of the training texts
kept aside, means of seeds 100 and 101: plain training 75.1 % at 0.01 and 73.2 at 0.02, FreeLB 74.7 and 71.9, so both have 0.01. In an
earlier trial of two seeds PGD, the paper's other opponent, had 71.2 % at the same eps, a, passes and rate, FreeLB 74.6 %.

Out of reach: pretrained networks, where the paper's gains are, GLUE and ARC; gains of half a point need many pairs. Robustness
against changed words is not measured; the attack beside the judged number changes word vectors, by ten steps of ascent from no change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import DataError, NotFitted
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import minibatches
from bakeoff.parts.words import END, Vocabulary

PAPER = Paper(title="FreeLB: Enhanced Adversarial Training for Natural Language Understanding",
              authors=("Zhu", "Cheng", "Gan", "Sun", "Goldstein", "Liu"), year=2020, venue="ICLR", arxiv="1909.11764",
              also=("Free Large-Batch", "free large-batch adversarial training"))
CLAIM = Claim(says="Learning from every point of an ascent in the word vectors raises the mean test score of BERT-base on GLUE from 78.3 "
                   "to 79.4, above plain training.",
              data="sst2", metric="test accuracy", unit="percentage points", better="higher", margin=0.5,
              equal="steps", steps={"smoke": 12, "quick": 1800, "full": 30_000})
__all__ = ["FreeLB", "freelb_step"]


def freelb_step(model: Callable[[Tensor, Tensor], Tensor], vectors: Tensor, mask: Tensor, labels: Tensor, *, radius: float,
                step_size: float, k: int = 3, learn_from: str = "all", seed: int = 0,
                pushed: Callable[[Tensor], None] | None = None) -> float:
    """K passes over a batch: leaves in `.grad`, added to what is there, the slopes of the mean loss over the points of the ascent.

    Args:
        model: (vectors (B, L, D), mask (B, L)) -> (B, K) logits; its dropout, if any, should draw from torch's global generator.
        vectors: (B, L, D) word vectors; where they come from parameters, these get their slopes too.
        mask: (B, L), true on words, false on padding.
        labels: (B,) class numbers.
        radius: the longest change of a sentence, as the norm of its (L, D) numbers; the paper's epsilon.
        step_size: length of a step of the ascent; the paper's alpha.
        k: passes.
        learn_from: "all" passes, or only the "last", which is adversarial training by PGD.
        seed: decides start and dropout; the global generator is left as it was.
        pushed: called with the change (B, L, D) of every pass.

    Returns:
        The mean loss over the passes learnt from.

    Raises:
        ValueError: a number is out of range, or learn_from is neither.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.free_lb import freelb_step
        >>> vectors, mask = torch.ones(2, 3, 4, requires_grad=True), torch.tensor([[True, True, False]] * 2)
        >>> loss = freelb_step(lambda x, mask: x.sum(1)[:, :2], vectors, mask, torch.tensor([0, 1]), radius=0.5, step_size=0.2)
        >>> vectors.grad.shape, bool(vectors.grad[:, :, 2:].any())
        (torch.Size([2, 3, 4]), False)
    """
    if not (radius >= 0 and step_size >= 0 and k > 0 and learn_from in ("all", "last")):
        raise ValueError("expected radius >= 0, step_size >= 0, k > 0 and learn_from 'all' or 'last'; "
                         f"found {radius}, {step_size}, {k}, {learn_from!r}")
    rng = torch.Generator(vectors.device).manual_seed(seed)
    still, seen = vectors.detach(), mask[..., None].to(vectors.dtype)  # (B, L, D), (B, L, 1)
    entries = (mask.sum(1).clamp(min=1) * vectors.shape[-1]).to(vectors.dtype)[:, None, None]  # (B, 1, 1)
    change = radius * (2 * torch.rand(still.shape, generator=rng, dtype=still.dtype, device=still.device) - 1) * seen / entries.sqrt()
    slopes, total, first = torch.zeros_like(still), 0.0, 0 if learn_from == "all" else k - 1
    for t in range(k):
        x = (still + change).requires_grad_()
        with seeded(seed):  # the same units are hidden in every pass
            loss = F.cross_entropy(model(x, mask), labels)
        if t < first:
            slope, = torch.autograd.grad(loss, x)
        else:
            (loss / (k - first)).backward()
            slope, total = x.grad, total + loss.item() / (k - first)
            slopes += slope
        if pushed is not None:
            pushed(change)
        if t < k - 1:
            change = _shortened(change + step_size * _unit(slope * seen), radius)
    if vectors.requires_grad:
        vectors.backward(slopes)
    return total


def _lengths(change: Tensor) -> Tensor:  # (B, L, D) -> (B, 1, 1)
    return change.flatten(1).norm(dim=1)[:, None, None]


def _unit(slope: Tensor) -> Tensor:
    return slope / _lengths(slope).clamp(min=1e-12)


def _shortened(change: Tensor, radius: float) -> Tensor:
    return change * (radius / _lengths(change).clamp(min=1e-12)).clamp(max=1)


class TextCNN(nn.Module):
    """Word vectors of one length, filters over windows of three words, the strongest answer of each, one dense layer.

    Args:
        vocabulary: how many words there are, END (padding) among them.
        classes: K.
        width: D, of word vectors; sqrt(D) is their length.
        filters: how many.
        dropout: share of the filters' answers that is hidden in training.
    """

    def __init__(self, vocabulary: int, classes: int, *, width: int, filters: int, dropout: float):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.windows = nn.Conv1d(width, filters, 3, padding=1)
        self.last = nn.Sequential(nn.Dropout(dropout), nn.Linear(filters, classes))

    def vectors(self, tokens: Tensor) -> Tensor:  # (B, L) -> (B, L, D)
        return F.layer_norm(self.table(tokens), self.table.weight.shape[1:]) * (tokens != END)[..., None]

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:  # (B, L, D), (B, L) -> (B, K)
        heard = self.windows(vectors.transpose(1, 2)).relu() * mask[:, None]  # (B, filters, L)
        return self.last(heard.amax(2))


class FreeLB:
    """A classifier of texts, learnt from scratch by FreeLB.

    A tenth of the texts is kept aside; twenty times during `fit` they are classified, and the network that did best is kept.

    Args:
        radius, step_size, k, learn_from: of the ascent, see `freelb_step`; word vectors have length sqrt(width). k=1, radius=0 is
            plain training.
        width, filters, dropout: of the network.
        words: how many of the most frequent words are told apart.
        longest: of longer texts the last so many words are read.
        learning_rate, batch_size: Adam's.
        seed: decides start, order, dropout and which texts are kept aside.

    Example:
        >>> from bakeoff.papers.robustness.free_lb import FreeLB
        >>> texts = ["i like tea .", "tea is fine .", "i hate rain .", "rain is bad ."] * 10
        >>> model = FreeLB(width=8, learning_rate=0.01).fit(texts, [1, 1, 0, 0] * 10, steps=90)
        >>> model.predict(["tea is fine .", "rain is bad ."]).tolist()
        [1, 0]
    """

    def __init__(self, *, radius: float = 0.6, step_size: float = 0.3, k: int = 3, learn_from: str = "all", width: int = 32,
                 filters: int = 64, dropout: float = 0.5, words: int = 4000, longest: int = 32, learning_rate: float = 0.01,
                 batch_size: int = 32, seed: int = 0):
        self.radius, self.step_size, self.k, self.learn_from = radius, step_size, k, learn_from
        self.width, self.filters, self.dropout, self.words, self.longest = width, filters, dropout, words, longest
        self.learning_rate, self.batch_size, self.seed = learning_rate, batch_size, seed

    def fit(self, texts: Sequence[str], labels, *, steps: int, on_step=None) -> FreeLB:
        """Learn.

        Args:
            texts: N of them, ten at least.
            labels: (N,) class numbers 0..K-1.
            steps: passes forward and backward; every k of them make an update.
            on_step: called after every update with the loss and k.

        Returns:
            self.

        Raises:
            ValueError: the numbers of texts and labels differ, there are fewer than ten, or labels, k or steps are none.
        """
        labels = np.asarray(labels)
        if isinstance(texts, str) or len(texts) != len(labels) or len(texts) < 10:
            raise ValueError(f"expected a list of ten texts or more and as many labels, found {len(texts)} and {len(labels)}")
        if labels.dtype.kind not in "iub" or labels.min() < 0 or not 0 < self.k <= steps:
            raise ValueError(f"expected whole numbers from 0 as labels, k of 1 or more and at least k steps; k is {self.k}, steps {steps}")
        labels = torch.tensor(labels).long()
        self.vocabulary = Vocabulary(texts, self.words)
        with seeded(self.seed):
            network = TextCNN(len(self.vocabulary), int(labels.max()) + 1, width=self.width, filters=self.filters, dropout=self.dropout)
            mixed = torch.randperm(len(texts))
        kept = len(texts) // 10
        self.network = self._learn(network, self._rows(texts)[mixed], labels[mixed], kept, steps // self.k, on_step)
        return self

    def predict(self, texts: Sequence[str]) -> Tensor:
        """The class numbers (N,) of a list of texts."""
        if isinstance(texts, str):
            raise ValueError("expected a list of texts, got a single string: [text]")
        vectors, mask = self.vectors(texts)
        with torch.no_grad():
            return self.network(vectors, mask).argmax(1)

    def vectors(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The word vectors (N, L, D) of texts, and where there are words (N, L)."""
        if not hasattr(self, "network"):
            raise NotFitted
        tokens = self._rows(texts)
        with torch.no_grad():
            return self.network.vectors(tokens), tokens != END

    def _learn(self, network, tokens, labels, kept, updates, on_step):
        optimiser = torch.optim.Adam(network.parameters(), self.learning_rate, fused=True)
        best, chosen, every = -1.0, None, max(1, updates // 20)
        for update, rows in enumerate(minibatches(len(tokens) - kept, self.batch_size, updates, self.seed), 1):
            batch = tokens[kept:][rows]
            optimiser.zero_grad()
            loss = freelb_step(network, network.vectors(batch), batch != END, labels[kept:][rows], radius=self.radius,
                               step_size=self.step_size, k=self.k, learn_from=self.learn_from, seed=self.seed * 1_000_003 + update)
            optimiser.step()
            if on_step is not None:
                on_step(loss, self.k)
            if update % every == 0 and (right := _accuracy(network, tokens[:kept], labels[:kept])) >= best:
                best, chosen = right, {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(chosen)
        return network.eval()

    def _rows(self, texts):
        return self.vocabulary.rows(texts, self.longest, end=False)


def _accuracy(network, tokens: Tensor, labels: Tensor) -> float:
    with evaluating(network), torch.no_grad():
        return float((network(network.vectors(tokens), tokens != END).argmax(1) == labels).double().mean())


RADIUS, STEP, ATTACKED = 0.6, 0.3, 500


def attacked(network, vectors: Tensor, mask: Tensor, labels: Tensor, *, radius: float, steps: int = 10) -> Tensor:
    """The change (B, L, D) of word vectors, of norm `radius` at most, to which gradient ascent in the loss comes in `steps` steps.

    Padding stays as it is, as in training.
    """
    change = torch.zeros_like(vectors)
    for _ in range(steps):
        x = (vectors + change).requires_grad_()
        slope, = torch.autograd.grad(F.cross_entropy(network(x, mask), labels, reduction="sum"), x)
        change = _shortened(change + 2.5 * radius / steps * _unit(slope * mask[..., None]), radius)
    return change


def fitted(train, budget, seed, **ascent):
    if not len(train.label):
        raise DataError("these texts have no labels", "Name the column of labels with --target.")
    return FreeLB(**ascent, seed=seed).fit(train.texts, train.label, steps=budget.steps, on_step=budget.spend)


def treatment(train, budget, seed):
    """Three passes an update, all of them learnt from."""
    return fitted(train, budget, seed, radius=RADIUS, step_size=STEP, k=3)


def control(train, budget, seed):
    """As many passes, each on the word vectors as they are and an update of its own."""
    return fitted(train, budget, seed, radius=0.0, step_size=0.0, k=1)


def score(model, test):
    right = model.predict(test.texts) == torch.tensor(test.label)
    vectors, mask = model.vectors(test.texts[:ATTACKED])
    labels = torch.tensor(test.label[:ATTACKED])
    change = attacked(model.network, vectors, mask, labels, radius=RADIUS)
    with torch.no_grad():
        held = model.network(vectors + change, mask).argmax(1) == labels
    return {CLAIM.metric: 100 * float(right.double().mean()),
            f"accuracy with word vectors attacked at radius {RADIUS:g}": 100 * float(held.double().mean())}


def draw(model, test):
    vectors, mask = model.vectors(test.texts[:12])
    change = attacked(model.network, vectors, mask, torch.tensor(test.label[:12]), radius=RADIUS)
    pushed = (change.norm(dim=2) / RADIUS).numpy()  # (12, L)
    return [Drawing.picture("Where an attack on the word vectors goes: a row a test sentence, a column a word, the last at the right",
                            np.kron(pushed, np.ones((16, 16))))]
