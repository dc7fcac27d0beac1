"""GROVER: a graph transformer that learns from unlabelled molecules what surrounds their atoms, before it learns from the few labels.

Rong, Bian, Xu, Xie, Wei, Huang, Huang. Self-Supervised Graph Transformer on Large-Scale Molecular Data. NeurIPS 2020. arXiv:2007.02835.

Method: two views of a molecule, on atoms and on directed bonds; in each, attention whose queries, keys and values are the outputs of
message passing, and one residual from the raw features to the view's outputs h_v (atoms) and h_e (bonds): parts/graph_transformer.py.
In training a step's hops K are drawn around mu, within mu +- mu / 2, for each view; in use K = mu. Pre-training asks two things of
every view's outputs, without labels:

    context:  softmax(W h_v) = the class of v's context, its element with the counts of (element, bond) that the bonds leading away
              from it reach, such as O_C-SINGLE1; of e likewise; 15 % of a molecule's atoms and bonds are asked;                (1)
    motif:    sigmoid(W mean h) = which of RDKit's 85 functional groups the molecule has, from each of the four outputs.          (2)

Classes are the corpus' most frequent contexts; one more stands for the rest. The loss is the sum of cross-entropies, plus the squared
differences of what the views say (weights 0.1 for contexts, 1 for motifs). Fine-tuning puts a new head on both views' h_v,

    z = softmax(W2 tanh(W1 H^T)) H,   y_a = MLP(z_a), y_b = MLP(z_b),   loss = l(y_a) + l(y_b) + 0.1 |y_a - y_b|^2,               (3)

with l the squared error (or cross-entropy) over the values that were measured, and predicts the mean of both.

Departures: every head's message-passing nets have states of width D / heads, and all nets of a view share one K, whose deviation is mu / 6
(the paper's is 1, at mu = 6; at the mu = 3 of `quick` that much is noise in which nothing is learnt). Attention is over a molecule's
atoms (bonds), as the paper has it; its release lets only an atom's own heads attend to each other. Contexts leave out RDKit's
marks of a bond's direction, which depend on how the SMILES is written. The 200 descriptors that the paper appends before the head are left
out, for they contain the motifs. Adam's rate rises over a tenth of the steps and falls to 0. Both arms fine-tune for as many steps, at the
control's best rate of two; pre-training comes on top, as in the paper: at `quick` 400 steps on 5,000 molecules of ZINC and those of train.
On a scaffold split of FreeSolv's train part the mean error over two seeds was, at the rates 1e-3 and 3e-3, from scratch 1.67 and 1.57,
pre-trained 1.52 and 1.49.

Out of reach: 10 million molecules and 100 million parameters: nothing here speaks of the published weights or scores. Other sets: on
ESOL, split likewise, this pre-training did harm, 1.31 from scratch and 1.87 after it, where large flat molecules unlike those of ZINC are
held out. On the FreeSolv rows above a D-MPNN that sums its atoms had 1.30 after a second of training, the forest on fingerprints 2.20.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.baselines.dmpnn import TASKS, known_loss, standard
from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.data.kinds.molecules import Molecules
from bakeoff.errors import DataError, NotFitted
from bakeoff.parts import model_files
from bakeoff.parts.contexts import asked, contexts, motif_names, motifs, vocabulary
from bakeoff.parts.graph_transformer import Embeddings, GraphTransformer, TwoHeads, drawn_hops, mean_rows, padded
from bakeoff.parts.molecular_graphs import ATOM_FEATURES, BOND_FEATURES, Graphs, featurise
from bakeoff.parts.molecule_pictures import coloured
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import minibatches

PAPER = Paper(title="Self-Supervised Graph Transformer on Large-Scale Molecular Data",
              authors=("Rong", "Bian", "Xu", "Xie", "Wei", "Huang", "Huang"), year=2020, venue="NeurIPS", arxiv="2007.02835",
              also=("GROVER", "GTransformer", "self-supervised message passing transformer"))
CLAIM = Claim(says="pre-trained on unlabelled molecules, a network errs less on small labelled sets split by scaffold than the same from "
                   "scratch (over the best earlier methods it gains more than 6 % on average of 11 sets)",
              data="freesolv-scaffold-zinc", metric="RMSE", unit="of the target", better="lower", margin=0.1,
              equal="steps", steps={"smoke": 4, "quick": 600, "full": 10_000})
__all__ = ["Grover"]


class Grover:
    """A graph transformer for properties of molecules: `pretrain` where there are unlabelled molecules, `fit`, `predict`.

    Args:
        width: D, of the embeddings; the paper has 800 and 1200.
        heads: attention heads in each view; they divide the width.
        hops: mu, of the message passing.
        task: "regression", or "classification" of targets that are 0 or 1.
        dropout: share of values dropped in training.
        learning_rate: Adam's highest, in fine-tuning.
        pretraining_rate: the same in pre-training.
        batch_size: molecules a step.
        seed: of the start, the order of molecules, hops and dropout.

    Example:
        >>> from bakeoff.data.kinds.molecules import Molecules
        >>> from bakeoff.papers.molecules.grover import Grover
        >>> alcohols = Molecules(("CO", "CCO", "CCCO", "CCCCO"), [[0.0], [1.0], [2.0], [3.0]], ("carbons",))
        >>> model = Grover(width=16, heads=2, hops=2).pretrain(["CCO", "CCN", "c1ccccc1O"], steps=3).fit(alcohols, steps=3)
        >>> model.predict(["CCO", "OCC"]).shape, model.encode(["CCO"]).shape, [len(one) for one in model.attribute(["CCO"])]
        ((2, 1), (1, 32), [3])
    """

    def __init__(self, width=100, heads=4, hops=6, task="regression", dropout=0.1, learning_rate=1e-3, pretraining_rate=1e-3, batch_size=32,
                 seed=0):
        self.width, self.heads, self.hops, self.task, self.dropout = width, heads, hops, task, dropout
        self.learning_rate, self.pretraining_rate, self.batch_size, self.seed = learning_rate, pretraining_rate, batch_size, seed

    def pretrain(self, smiles: Sequence[str], steps=10_000, tasks=("context", "motif"), radius=1, classes=500, on_step=None) -> Grover:
        """Learn from molecules without labels, afresh (eqs. 1 and 2). What `fit` learnt before is forgotten.

        Args:
            smiles: readable SMILES; where they are more than the steps can see, a random part is used.
            steps: minibatches to learn from.
            tasks: "context", "motif" or both.
            radius: bonds from an atom, or from a bond's ends, that its context reaches.
            classes: contexts that are told apart, of atoms and of bonds each; the rarer ones are one class.
            on_step: called with the loss after each step.

        Returns:
            self.

        Raises:
            ValueError: an unknown task, or no molecules.
        """
        if not tasks or set(tasks) - {"context", "motif"}:
            raise ValueError(f"tasks={tasks!r}; expected 'context', 'motif' or both")
        if not len(smiles):
            raise ValueError("no molecules to learn from")
        rows = torch.randperm(len(smiles), generator=self._rng())[:steps * self.batch_size].tolist()
        smiles = [smiles[row] for row in rows]
        around = [contexts(one, radius) for one in smiles]
        vocabularies = [vocabulary((one[side] for one in around), classes) for side in (0, 1)]  # of atoms, of bonds
        numbers = [[torch.tensor([words.get(text, 0) for text in one[side]], dtype=torch.long) for one in around]
                   for side, words in enumerate(vocabularies)]
        graphs, network = featurise(smiles), self._new()
        with seeded(self.seed):
            heads = SelfSupervision(self.width, [len(one) + 1 for one in vocabularies])
        groups = torch.tensor([motifs(one) for one in smiles]).float()  # (M, 85)

        def loss(rows: Tensor, rng: torch.Generator) -> Tensor:
            batch = graphs.take(rows)
            atoms, bonds = (torch.cat([side[row] for row in rows]) for side in numbers)
            some = asked(atoms, batch.atom_counts, rng), asked(bonds.repeat_interleave(2), batch.bond_counts, rng)
            return heads.loss(network(batch, self._drawn_hops(rng)), batch, some, groups[rows], tasks)

        self._train([network, heads], loss, len(smiles), steps, self.pretraining_rate, on_step)
        self._pretrained, self._network, self._head = network, network, None
        self._told = {"pre-trained on": len(smiles), "pre-training steps": steps, "tasks": list(tasks), "context radius": radius,
                      "atom contexts": list(vocabularies[0]), "bond contexts": list(vocabularies[1])}
        return self

    def fit(self, molecules: Molecules, steps=10_000, on_step=None) -> Grover:
        """Learn the targets (eq. 3), from the pre-trained weights where there are some; molecules without any value are left out.

        Args:
            molecules: a `Molecules` record with at least one target; NaN where nothing was measured.
            steps: minibatches to learn from.
            on_step: called with the loss after each step.

        Returns:
            self.

        Raises:
            DataError: no molecule has a value.
            ValueError: an unknown task, or classes that are not 0 and 1.
        """
        labelled = np.flatnonzero(~np.isnan(molecules.targets).all(1))
        if not len(labelled):
            raise DataError("no molecule has a measured value", "Give molecules with targets: name their column.")
        graphs, y = featurise([molecules.smiles[row] for row in labelled]), torch.tensor(molecules.targets[labelled]).float()
        if not self._regresses and not torch.isin(y[~y.isnan()], torch.tensor([0.0, 1.0])).all():
            raise ValueError("classes other than 0 and 1")
        self._center, self._scale = standard(y) if self._regresses else (torch.zeros(y.shape[1]), torch.ones(y.shape[1]))
        y = (y - self._center) / self._scale
        self._network = deepcopy(getattr(self, "_pretrained", None)) or self._new()
        self._head = self._new_head(y.shape[1])

        def loss(rows: Tensor, rng: torch.Generator) -> Tensor:
            batch = graphs.take(rows)
            first, second = self._head(self._network(batch, self._drawn_hops(rng), bonds=False), batch)
            return sum(known_loss(one, y[rows], self.task) for one in (first, second)) + 0.1 * F.mse_loss(first, second)

        self._train([self._network, self._head], loss, len(graphs), steps, self.learning_rate, on_step)
        self._targets = {"targets": list(molecules.names), "fitted on": len(graphs), "fitting steps": steps}
        return self

    def predict(self, smiles: Sequence[str]) -> np.ndarray:
        """The targets (N, T) of N `smiles`: values in the unit they were given in, or probabilities of 1."""
        head = self._fitted("_head")

        def answer(batch: Graphs) -> Tensor:
            return self._answer(head(self._network(batch, (self.hops, self.hops), bonds=False), batch))

        return self._apply(answer, smiles)

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        """Embeddings (N, 2 D) of N `smiles`: the means over its atoms in both views. After `fit`, those that it has adapted."""
        network = self._fitted("_network")

        def means(batch: Graphs) -> Tensor:
            seen = network(batch, (self.hops, self.hops), bonds=False)
            return torch.cat([mean_rows(one, batch.molecule, len(batch)) for one in seen.atoms], 1)

        return self._apply(means, smiles)

    def attribute(self, smiles: Sequence[str], target: int = 0) -> list[np.ndarray]:
        """What each atom adds to a molecule's prediction, as gradient x input of its features and of the bonds that leave it.

        Args:
            smiles: N readable SMILES.
            target: which of the T targets.

        Returns:
            N arrays, one number an atom, in the order of the SMILES; in the unit of the target (of its logit for a classification).
        """
        head = self._fitted("_head")
        found = []
        for one in smiles:
            graphs = featurise([one])
            batch = padded(graphs)
            inputs = [batch.atoms.requires_grad_(), batch.bonds.requires_grad_()]
            answers = head(self._network.padded(batch, (self.hops, self.hops), bonds=False), graphs)
            slopes = torch.autograd.grad(sum(answers)[0, target] / 2 * self._scale[target], inputs)
            atoms, bonds = ((slope * x).detach().sum(2)[0] for slope, x in zip(slopes, inputs, strict=True))
            found.append(atoms.index_add(0, graphs.index[0], bonds[:graphs.index.shape[1]]).numpy())
        return found

    def save(self, path) -> None:
        """Write the weights to `path` (safetensors), and a card with settings, data, steps and vocabularies beside it."""
        parts = {"network": self._fitted("_network"), "pretrained": getattr(self, "_pretrained", None), "head": self._head}
        weights = {f"{name}.{key}": one for name, module in parts.items() if module for key, one in module.state_dict().items()}
        scale = {"center": self._center, "scale": self._scale} if self._head else {}
        model_files.save(path, weights | scale, {
            "model": "Grover", "arguments": model_files.arguments(self), "parts": [name for name, module in parts.items() if module],
            "pre-training": getattr(self, "_told", {}), "fitting": getattr(self, "_targets", {})})

    @classmethod
    def load(cls, path) -> Grover:
        """The model that `save` wrote to `path`; it predicts as it did, and may be fitted again."""
        weights, card = model_files.load(path, "Grover")
        model = cls(**card["arguments"])
        model._told, model._targets, model._head = card["pre-training"], card["fitting"], None
        for name in card["parts"]:
            module = model._new_head(len(model._targets["targets"])) if name == "head" else model._new()
            module.load_state_dict(model_files.part(name, weights))
            setattr(model, f"_{name}", module.eval())
        if model._head:
            model._center, model._scale = weights["center"], weights["scale"]
        return model

    def _train(self, modules, loss_of: Callable, count: int, steps: int, rate: float, on_step) -> None:
        everything = nn.ModuleList(modules).train()
        optimiser = torch.optim.Adam(everything.parameters(), rate, fused=True)
        rng = self._rng()
        with seeded(self.seed):  # dropout draws from the global generator
            for step, rows in enumerate(minibatches(count, self.batch_size, steps, self.seed)):
                optimiser.param_groups[0]["lr"] = rate * min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps), 1)
                loss = loss_of(rows, rng)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(everything.parameters(), 1.0)
                optimiser.step()
                if on_step:
                    on_step(loss.item())
        everything.eval()

    def _rng(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def _new(self) -> GraphTransformer:
        with seeded(self.seed):
            return GraphTransformer(ATOM_FEATURES, BOND_FEATURES, self.width, self.heads, self.dropout)

    def _new_head(self, targets: int) -> TwoHeads:
        with seeded(self.seed):
            return TwoHeads(self.width, targets, self.dropout)

    def _drawn_hops(self, rng: torch.Generator) -> tuple[int, int]:
        return drawn_hops(self.hops, rng), drawn_hops(self.hops, rng)

    @property
    def _regresses(self) -> bool:
        if self.task not in TASKS:
            raise ValueError(f"task={self.task!r}; expected one of {', '.join(TASKS)}")
        return self.task == "regression"

    def _answer(self, both: tuple[Tensor, Tensor]) -> Tensor:  # (B, T)
        first, second = both if self._regresses else (one.sigmoid() for one in both)
        return (first + second) / 2 * self._scale + self._center

    def _fitted(self, part: str) -> nn.Module:
        if getattr(self, part, None) is None:
            raise NotFitted()
        return getattr(self, part)

    def _apply(self, answer: Callable[[Graphs], Tensor], smiles: Sequence[str]) -> np.ndarray:
        graphs = featurise(smiles)
        with torch.no_grad():
            return torch.cat([answer(graphs.take(rows)) for rows in torch.arange(len(graphs)).split(256)]).numpy()


class SelfSupervision(nn.Module):
    """The heads of pre-training (eqs. 1 and 2): contexts of atoms and of bonds from either view, motifs from all four outputs.

    Args:
        width: D.
        classes: how many contexts of atoms there are, and how many of bonds.
    """

    def __init__(self, width: int, classes: Sequence[int]):
        super().__init__()
        self.context = nn.ModuleList(nn.ModuleList(nn.Linear(width, count) for _ in range(2)) for count in classes)
        self.motif = nn.ModuleList(nn.ModuleList(nn.Linear(width, len(motif_names())) for _ in range(2)) for _ in range(2))

    def loss(self, seen: Embeddings, graphs: Graphs, classes: Sequence[Tensor], groups: Tensor, tasks: Sequence[str]) -> Tensor:
        """The tasks' losses; of the classes, (N,) of atoms and (E,) of bonds, those below 0 do not count."""
        total = torch.zeros(())
        owners = graphs.molecule, graphs.molecule[graphs.index[0]]
        for views, truth, owner, context, motif in zip((seen.atoms, seen.bonds), classes, owners, self.context, self.motif, strict=True):
            some = truth >= 0
            if "context" in tasks and some.any():
                first, second = (head(view[some]).log_softmax(1) for head, view in zip(context, views, strict=True))
                total = total + F.nll_loss(first, truth[some]) + F.nll_loss(second, truth[some]) + 0.1 * F.mse_loss(first, second)
            if "motif" in tasks:
                first, second = (head(mean_rows(view, owner, len(graphs))) for head, view in zip(motif, views, strict=True))
                errors = (F.binary_cross_entropy_with_logits(one, groups) for one in (first, second))
                total = total + sum(errors) + F.mse_loss(first.sigmoid(), second.sigmoid())
        return total


SIZES = {"smoke": dict(width=16, heads=2, hops=3), "full": dict(width=200, heads=4, hops=6),
         "quick": dict(width=64, heads=4, hops=3, learning_rate=3e-3, pretraining_rate=2e-3)}
PRETRAINING = {"smoke": (30, 4), "quick": (5000, 400), "full": (300_000, 30_000)}  # unlabelled molecules, steps


def treatment(train, budget, seed):
    """Pre-trained on molecules without labels, then fine-tuned."""
    molecules, steps = PRETRAINING[budget.name]
    corpus = *train.unlabelled[:molecules], *train.smiles
    return Grover(**SIZES[budget.name], seed=seed).pretrain(corpus, steps).fit(train, budget.steps, budget.spend)


def control(train, budget, seed):
    """The same network from scratch, by as many steps on the labels."""
    return Grover(**SIZES[budget.name], seed=seed).fit(train, budget.steps, budget.spend)


def score(model, test):
    """Errors over the measured values: each target's by itself, then their mean."""
    labelled = ~np.isnan(test.targets).all(1)
    errors = model.predict([one for one, there in zip(test.smiles, labelled, strict=True) if there]) - test.targets[labelled]
    return {"RMSE": float(np.mean(np.sqrt(np.nanmean(errors**2, 0)))), "MAE": float(np.mean(np.nanmean(abs(errors), 0))),
            "test molecules": float(labelled.sum())}


def draw(model, test):
    """Test molecules with each atom coloured by what it adds to the prediction."""
    smiles = test.smiles[:8]
    legends = [f"{said:.2f}, measured {value:.2f}" for said, value in zip(model.predict(smiles)[:, 0], test.targets[:, 0], strict=False)]
    title = f"What each atom adds to {test.names[0]}, as gradient x input: orange raises it, blue lowers it"
    return [Drawing(title, "png", coloured(smiles, model.attribute(smiles), legends))]
