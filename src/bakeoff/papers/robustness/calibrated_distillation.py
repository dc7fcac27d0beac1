"""Improved distillation: one network learns an ensemble's uncertainty from its answers, put right by the labels and sharpened.

Englesson, Azizpour. Workshop at ICML 2019. arXiv:1906.05419.

Method: q(x) is the mean distribution of an ensemble of networks, the teacher; one student p(x) of one forward pass learns from it.

    q'_y = q_max,  q'_argmax = q_y          where the teacher is wrong about a training image, the two trade places;
    t = (1 - w) q' + w onehot(y)            sharpened: towards the label, so of lower entropy;
    loss = - mean sum_k t_k log p_k(x)

t has its largest part at the label always, and still tells with which classes the teacher confuses it. Soft targets regularise, so
the student is made larger than a member of the ensemble and not smaller. Away from the data it can be made to agree with the teacher
too (`mix`): half of what it sees are mixtures u x_i + (1 - u) x_j of training images, u ~ U(0, 1), with q of the mixture as target.
Plain distillation has t = q at a temperature T: T^2 times the cross-entropy between q^(1/T) / sum q^(1/T) and softmax(logits / T).

Departures: the paper's text was not to be had: what it does is taken from summaries of it, and the forms of sharpening (a mixture with
the label), of correcting (trading places) and of augmenting (mixtures) are the simplest that fit them, not the paper's own formulae.
The teacher is five small CNNs that learn from the labels of 1,000 images at `quick` (89 % of these are then right, so that q still
tells something), the student one of twice the width that learns from the same images. The ensemble comes of the seed alone, so both
arms have the same; a step of the budget is one of the student's. The control is distillation with the labels mixed in, after Hinton,
Vinyals and Dean (arXiv:1503.02531), here into the targets before the temperature, so it is sharpened too; what is judged is the
correction, each arm at a temperature of its own. Tuned by the negative log-likelihood on 4,000 training images kept aside, means of seeds
100 and 101, where the teacher has 0.500. The control, with the label's share of 0.2, 0.4 and 0.6, at T = 1: 0.495, 0.483, 0.483; at T =
0.6: 0.489, 0.479, 0.484; without the label, in an earlier trial, it was not below 0.506 at T = 0.4, 0.6, 1 and 2. The treatment, w of
0.2, 0.4 and 0.6, at T = 1: 0.492, 0.483, 0.485; at T = 0.6, w = 0.4: 0.487. So the control has 0.4 at T = 0.6 (0.472 and 0.485 at the two
seeds), the treatment 0.4 at T = 1 (0.482 and 0.484). With mixtures w = 0.4 had 0.494 at one seed, so the treatment goes without.

Out of reach: residual networks, CIFAR-100, and what correction does for a teacher that is wrong about more of what it learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts.calibration import auroc, expected_calibration_error
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.learning import class_numbers, inputs, learn, tensor
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn_labels

PAPER = Paper(title="Efficient Evaluation-Time Uncertainty Estimation by Improved Distillation", authors=("Englesson", "Azizpour"),
              year=2019, venue="ICML workshop", arxiv="1906.05419", also=("improved distillation",))
CLAIM = Claim(says="With targets corrected where the teacher is wrong and sharpened by the labels, a large student states its uncertainty "
                   "better, in 1 forward pass, than by plain distillation with the same share of the labels.",
              data="fashion-mnist", metric="negative log-likelihood", unit="nats", better="lower", margin=0.005,
              equal="steps", steps={"smoke": 20, "quick": 600, "full": 30_000})
__all__ = ["ImprovedDistillation", "distillation_targets"]


class ImprovedDistillation:
    """One network that answers as an ensemble would, with probabilities that can be believed.

    Args:
        student: a network (B, ...) -> (B, K) logits; it is copied, and the copy learns.
        teacher: networks of the same form, whose probabilities are averaged; they are not changed.
        sharpen: w, the share of the label in the targets.
        correct: whether a wrong teacher's largest part goes to the label.
        mix: whether half of the inputs are mixtures of two, with what the teacher says about them.
        temperature: T, of targets and student.
        learning_rate, batch_size: Adam's.
        seed: decides the order and the mixtures.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.calibrated_distillation import ImprovedDistillation
        >>> x = torch.linspace(-1, 1, 60)[:, None]
        >>> teacher = [nn.Linear(1, 2) for _ in range(3)]
        >>> student = ImprovedDistillation(nn.Linear(1, 2), teacher, learning_rate=0.1).fit(x, (x[:, 0] > 0).long(), steps=200)
        >>> student.predict_proba(torch.tensor([[-0.9], [0.9]])).argmax(1).tolist()
        [0, 1]
    """

    def __init__(self, student: nn.Module, teacher: Sequence[nn.Module], *, sharpen: float = 0.2, correct: bool = True, mix: bool = False,
                 temperature: float = 1.0, learning_rate: float = 1e-3, batch_size: int = 64, seed: int = 0):
        self.student, self.teacher = student, teacher
        self.sharpen, self.correct, self.mix, self.temperature = sharpen, correct, mix, temperature
        self.learning_rate, self.batch_size, self.seed = learning_rate, batch_size, seed

    def fit(self, images, labels, *, steps: int, on_step=None) -> ImprovedDistillation:
        """Learn from the teacher's answers to these images.

        Args:
            images: (N, ...) finite floats of any range; a tensor or an array, taken in the student's precision.
            labels: (N,) class numbers.
            steps: minibatches to learn from.
            on_step: called with the loss after every step.

        Returns:
            self.

        Raises:
            ValueError: sharpen or the temperature is out of range, there is no teacher, images are not finite floats, or labels are not
                class numbers of the student.
        """
        if not len(self.teacher):
            raise ValueError("expected a teacher of one network or more, got none")
        images = inputs(images, self.student, bounds=None)
        labels = class_numbers(labels, self.student, images)
        targets = distillation_targets(mean_probabilities(self.teacher, images), labels, sharpen=self.sharpen, correct=self.correct)
        if self.mix:
            mixtures = mixed(images, self.seed)
            images, targets = torch.cat([images, mixtures]), torch.cat([targets, mean_probabilities(self.teacher, mixtures)])
        t = self.temperature
        self.network = learn(deepcopy(self.student), images, softened(targets, t),
                             lambda network, x, wanted, rng, done: t ** 2 * F.cross_entropy(network(x) / t, wanted), steps=steps,
                             learning_rate=self.learning_rate, batch_size=self.batch_size, seed=self.seed, on_step=on_step)
        return self

    def predict_proba(self, images) -> Tensor:
        """Probabilities (B, K), by one forward pass.

        Args:
            images: (B, ...), as in `fit`.

        Raises:
            NotFitted: before `fit`.
            ValueError: images are not finite floats.
        """
        if not hasattr(self, "network"):
            raise NotFitted
        return mean_probabilities([self.network], inputs(images, self.network, bounds=None))


def distillation_targets(teacher_probabilities, labels, *, sharpen: float = 0.2, correct: bool = True) -> Tensor:
    """What the student is to say about images whose labels are known: (1 - w) q' + w onehot(y).

    Args:
        teacher_probabilities: q (B, K), in [0, 1]; a tensor or an array.
        labels: y (B,) class numbers.
        sharpen: w in [0, 1].
        correct: whether q_y and the largest part trade places where the teacher is wrong.

    Returns:
        (B, K) rows of sum 1, with `correct` the largest part of each at the label.

    Raises:
        ValueError: sharpen or a probability is not in [0, 1], labels are not class numbers below K, or the shapes do not fit.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.calibrated_distillation import distillation_targets
        >>> distillation_targets(torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([2]), sharpen=0.5)
        tensor([[0.1250, 0.1250, 0.7500]])
    """
    q, labels = inputs(teacher_probabilities), tensor(labels)  # (B, K), (B,)
    if not (0 <= sharpen <= 1 and q.ndim == 2 and labels.shape == q.shape[:1]):
        raise ValueError("expected sharpen in [0, 1], probabilities (B, K) and labels (B,); "
                         f"found {sharpen} and the shapes {tuple(q.shape)}, {tuple(labels.shape)}")
    if labels.is_floating_point() or bool(((labels < 0) | (labels >= q.shape[1])).any()):
        raise ValueError(f"expected labels as whole numbers from 0 to {q.shape[1] - 1}, one for each column, found {labels}")
    y = labels.long()[:, None]  # (B, 1)
    if correct:
        top, said = q.max(1, keepdim=True)  # (B, 1) each
        q = q.scatter(1, said, q.gather(1, y)).scatter(1, y, top)
    return ((1 - sharpen) * q).scatter_add(1, y, torch.full_like(y, sharpen, dtype=q.dtype))


def softened(probabilities: Tensor, temperature: float) -> Tensor:
    """q^(1/T) / sum q^(1/T) of rows (B, K)."""
    if not temperature > 0:
        raise ValueError(f"expected a temperature above 0, found {temperature}")
    return (probabilities.clamp(min=1e-30).log() / temperature).softmax(1)


def mixed(images: Tensor, seed: int) -> Tensor:
    """Each image (N, ...) mixed with another in a random proportion."""
    rng = torch.Generator(images.device).manual_seed(seed)
    u = torch.rand(len(images), *[1] * (images.ndim - 1), generator=rng, device=images.device)
    return u * images + (1 - u) * images[torch.randperm(len(images), generator=rng, device=images.device)]


def mean_probabilities(networks: Sequence[nn.Module], images: Tensor, batch: int = 500) -> Tensor:
    """The mean over networks of softmax(logits), (B, K), in evaluation mode and without slopes."""
    total = 0
    for network in networks:
        with evaluating(network), torch.no_grad():
            total = total + torch.cat([network(part).softmax(1) for part in images.split(batch)])
    return total / len(networks)


def noisy(x: Tensor) -> Tensor:
    """Images under Gaussian noise of deviation 0.3."""
    return (x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def likelihood(probabilities, labels) -> float:
    """The mean of -log p_y."""
    return float(F.nll_loss(probabilities.clamp(min=1e-30).log(), labels))


def entropy(probabilities: Tensor) -> Tensor:  # (B, K) -> (B,)
    return torch.special.entr(probabilities).sum(1)


MEMBERS, TESTED = 5, 4000
SCALE = {"smoke": (200, 10), "quick": (1000, 250), "full": (50_000, 10_000)}  # training images, steps of each member


def distilled(train, budget, seed, **how):
    """Five small networks learn from the labels, and a larger one from them; the five come of the seed alone, the same in both arms."""
    count, steps = SCALE[budget.name]
    x, y = torch.tensor(train.pixels[:count]), torch.tensor(train.labels[:count])
    shape, classes = x.shape[1:], len(train.classes)
    teacher = [learn_labels(small_cnn(shape, classes, seed=MEMBERS * seed + i, width=8, hidden=64), x, y, steps=steps,
                            learning_rate=2e-3, batch_size=64, seed=MEMBERS * seed + i) for i in range(MEMBERS)]
    student = small_cnn(shape, classes, seed=seed, width=16, hidden=128)
    return ImprovedDistillation(student, teacher, seed=seed, **how).fit(x, y, steps=budget.steps, on_step=budget.spend)


def treatment(train, budget, seed):
    """Targets corrected and sharpened."""
    return distilled(train, budget, seed, sharpen=0.4)


def control(train, budget, seed):
    """The teacher's answers as they are, mixed with the labels by the same share, at the temperature best for them."""
    return distilled(train, budget, seed, sharpen=0.4, correct=False, temperature=0.6)


def score(model, test):
    x, y = torch.tensor(test.pixels[:TESTED]), torch.tensor(test.labels[:TESTED])
    shifted = {"turned by 90 degrees": x.rot90(1, (2, 3)), "under noise": noisy(x)}
    told, teacher = model.predict_proba(x), mean_probabilities(model.teacher, x)
    foreign = torch.arange(2 * len(x)) >= len(x)
    return {CLAIM.metric: likelihood(told, y), "calibration error": 100 * expected_calibration_error(told, y),
            "accuracy": 100 * float((told.argmax(1) == y).double().mean()),
            **{f"area under the curve, images {name}": auroc(entropy(torch.cat([told, model.predict_proba(one)])), foreign)
               for name, one in shifted.items()},
            "negative log-likelihood of the teacher": likelihood(teacher, y),
            "calibration error of the teacher": 100 * expected_calibration_error(teacher, y)}


def draw(model, test):
    """Test images from the surest to the least sure: what a person would call plain comes first."""
    x = torch.tensor(test.pixels[:400])
    order = entropy(model.predict_proba(x)).argsort()
    few, middle = min(12, len(x)), max(len(x) // 2 - 6, 0)
    parts = slice(few), slice(middle, middle + few), slice(-few, None)
    rows = [x[order[part]].permute(0, 2, 3, 1) for part in parts]  # each (12, H, W, C)
    return [Drawing.picture("Test images of which the student is surest, middling sure, and least sure",
                            torch.cat([torch.cat(list(row), 1) for row in rows]).numpy())]
