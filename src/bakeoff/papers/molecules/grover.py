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

    z = [softmax(W2 tanh(W1 H^T)) H, sum H / 10],   y_a = MLP(z_a), y_b = MLP(z_b),   loss = l(y_a) + l(y_b) + 0.1 |y_a - y_b|^2,  (3)

with l the squared error (or cross-entropy) over the values that were measured, and predicts the mean of both.

Departures: every head's message-passing nets have states of width D / heads, and all nets of a view share one K, whose deviation is mu /
6 (the paper's is 1, at mu = 6; at the mu = 3 of `quick` that much is noise in which nothing is learnt). Attention is over a molecule's
atoms (bonds), as the paper has it; its release lets only an atom's own heads attend to each other. Contexts leave out RDKit's marks of a
bond's direction, which depend on how the SMILES is written. The 200 descriptors that the paper appends before the head are left out, for
they contain the motifs; without them nothing told the head how large a molecule is, so the sum in z is added. Adam's rate rises over a
tenth of the steps and falls to 0. Both arms fine-tune for as many steps, each at its better rate of two; pre-training comes on top, as in
the paper, at four times the cost of the rest: at `quick` 400 steps on 5,000 molecules of ZINC and those of train. The scaffold split is
MoleculeNet's, one for all pairs: the interval is over starts and orders of one set. The rates and the sum were chosen by one balanced
scaffold split each of the train parts of FreeSolv and ESOL. Errors there at the rates 1e-3 and 3e-3, with the sum: from scratch 1.57,
1.29 and 1.02, 0.97; pre-trained 1.23, 1.41 and 1.02, 1.02. Without it: 1.75, 1.63 and 1.44, 1.51; 1.32, 1.54 and 1.54, 1.55.

Out of reach: 10 million molecules and 100 million parameters: nothing here speaks of the published weights or scores; the named sets
bring 29,445 molecules of ZINC, also to `full`. On the rows above a D-MPNN, which sums its atoms too, had 1.28 and 1.37 in two seconds.
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
from bakeoff.parts.contexts import SelfSupervision, asked, context_classes, motifs
from bakeoff.parts.graph_transformer import GraphTransformer, Padded, TwoHeads, drawn_hops, gradient_x_input, mean_rows
from bakeoff.parts.molecular_graphs import ATOM_FEATURES, BOND_FEATURES, Graphs, featurise
from bakeoff.parts.molecule_pictures import coloured
from bakeoff.parts.molecule_texts import listed
from bakeoff.parts.seeding import seeded
from bakeoff.parts.warmed_adam import descend

PAPER = Paper(title="Self-Supervised Graph Transformer on Large-Scale Molecular Data",
              authors=("Rong", "Bian", "Xu", "Xie", "Wei", "Huang", "Huang"), year=2020, venue="NeurIPS", arxiv="2007.02835",
              also=("GROVER", "GTransformer", "self-supervised message passing transformer"))
CLAIM = Claim(says="Pre-trained on unlabelled molecules, a network errs less on small labelled sets split by scaffold than the same from "
                   "scratch (over the best earlier methods it gains more than 6 % on average of 11 sets).",
              data="freesolv-scaffold-zinc", metric="RMSE", unit="of the target", better="lower", margin=0.1,
              equal="steps", steps={"smoke": 4, "quick": 400, "full": 10_000})
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
            DataError: a SMILES cannot be read; its row is named.
            ValueError: an unknown task, no molecules, or sizes below 1.
        """
        self._check()
        smiles = listed(smiles)
        if not tasks or set(tasks) - {"context", "motif"}:
            raise ValueError(f"tasks={tasks!r}; expected 'context', 'motif' or both")
        if not smiles:
            raise ValueError("no molecules to learn from")
        rows = torch.randperm(len(smiles), generator=torch.Generator().manual_seed(self.seed))[:steps * self.batch_size].tolist()
        graphs, seen = featurise(smiles, rows), [smiles[row] for row in rows]
        vocabularies, numbers = context_classes(seen, radius, classes)
        network = self._new()
        with seeded(self.seed):
            heads = SelfSupervision(self.width, [len(one) + 1 for one in vocabularies])
        groups = torch.tensor([motifs(one) for one in seen]).float()  # (M, 85)

        def loss(rows: Tensor, rng: torch.Generator) -> Tensor:
            batch = graphs.take(rows)
            atoms, bonds = (torch.cat([side[row] for row in rows]) for side in numbers)
            some = asked(atoms, batch.atom_counts, rng), asked(bonds.repeat_interleave(2), batch.bond_counts, rng)
            return heads.loss(network(batch, self._drawn_hops(rng)), batch, some, groups[rows], tasks)

        self._train([network, heads], loss, len(seen), steps, self.pretraining_rate, on_step)
        self._pretrained, self._network, self._head, self._learnt = network, network, None, {}
        self._told = {"molecules": len(seen), "of": len(smiles), "SHA-256 of these SMILES, one a line": model_files.digest(smiles),
                      "steps": steps, "tasks": list(tasks), "context radius": radius,
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
            DataError: no molecule has a value, or a SMILES cannot be read; its row is named.
            ValueError: an unknown task, classes that are not 0 and 1, or sizes below 1.
        """
        self._check()
        labelled = np.flatnonzero(~np.isnan(molecules.targets).all(1))
        if not len(labelled):
            raise DataError(f"none of the {len(molecules)} training molecules has a value of {', '.join(molecules.names) or 'any target'}",
                            "Give molecules with values of it, or name another column (--target COLUMN).")
        graphs, y = featurise(molecules.smiles, labelled), torch.tensor(molecules.targets[labelled]).float()
        if self.task == "classification" and (odd := set(y[~y.isnan()].tolist()) - {0, 1}):
            raise ValueError(f"classes other than 0 and 1: {', '.join(f'{one:g}' for one in sorted(odd)[:5])}. "
                             "Duplicates that disagree give such means: --duplicates drop leaves them out.")
        self._center, self._scale = standard(y) if self.task == "regression" else (torch.zeros(y.shape[1]), torch.ones(y.shape[1]))
        y = (y - self._center) / self._scale
        self._network = deepcopy(getattr(self, "_pretrained", None)) or self._new()
        self._head = self._new_head(y.shape[1])

        def loss(rows: Tensor, rng: torch.Generator) -> Tensor:
            batch = graphs.take(rows)
            first, second = self._head(self._network(batch, self._drawn_hops(rng), bonds=False), batch)
            return sum(known_loss(one, y[rows], self.task) for one in (first, second)) + 0.1 * F.mse_loss(first, second)

        self._train([self._network, self._head], loss, len(graphs), steps, self.learning_rate, on_step)
        self._learnt = {"targets": list(molecules.names), "molecules": len(graphs), "values of each": (~y.isnan()).sum(0).tolist(),
                        "SHA-256 of their SMILES, one a line": model_files.digest(molecules.smiles[row] for row in labelled),
                        "divided by": molecules.by, "steps": steps}
        return self

    def predict(self, smiles: Sequence[str]) -> np.ndarray:
        """The targets (N, T) of N `smiles`: values in the unit they were given in, or probabilities of 1; NaN where not `measured`."""
        head = self._fitted("_head")

        def answer(batch: Graphs) -> Tensor:
            return self._answer(head(self._network(batch, (self.hops, self.hops), bonds=False), batch))

        return self._apply(answer, smiles)

    @property
    def measured(self) -> np.ndarray:
        """Of which targets `fit` saw a value, (T,) bool. Of the others nothing is known."""
        self._fitted("_head")
        return np.array(self._learnt["values of each"]) > 0

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

        Raises:
            DataError: `fit` saw no value of this target.
        """
        head = self._fitted("_head")
        if not self.measured[target]:
            raise DataError(f"no molecule had a value of {self._learnt['targets'][target]} in training", "Ask for another target.")

        def answer(batch: Padded, graphs: Graphs) -> Tensor:
            both = head(self._network.padded(batch, (self.hops, self.hops), bonds=False), graphs)
            return sum(both)[0, target] / 2 * self._scale[target]

        graphs = featurise(smiles)
        return [gradient_x_input(graphs.take([row]), answer).numpy() for row in range(len(graphs))]

    def save(self, path, file=None, notes=None) -> None:
        """Write the weights to `path` (safetensors), and beside them a card: settings, data, steps, vocabularies, versions, notes.

        Args:
            path: the file to write.
            file: where the molecules came from; the card then has its name and SHA-256.
            notes: what else the card shall say, by name, such as {"unit": "kcal/mol", "RMSE on held-out scaffolds": 2.1}.

        Raises:
            DataError: the file cannot be written, or the notes are not texts and numbers.
        """
        modules = {"network": self._fitted("_network"), "pretrained": getattr(self, "_pretrained", None), "head": self._head}
        weights = {f"{name}.{key}": one for name, module in modules.items() if module for key, one in module.state_dict().items()}
        scale = {"center": self._center, "scale": self._scale} if self._head else {}
        model_files.save(path, weights | scale, {
            "model": "Grover", "parts": [name for name, module in modules.items() if module],
            "use": "To rank and screen molecules like those it was fitted on. Errors are larger on other scaffolds, and unknown elsewhere.",
            "notes": model_files.origin(file) | (notes or {}), "fitting": self._learnt,
            "pre-training": getattr(self, "_told", {}), "arguments": model_files.arguments(self)})

    @classmethod
    def load(cls, path) -> Grover:
        """The model that `save` wrote to `path`; it predicts as it did, and may be fitted again. Nothing in the file is executed.

        Raises:
            DataError: the file is missing or damaged, or holds another model or what does not fit together.
        """
        weights, card = model_files.load(path, "Grover")
        with model_files.rebuilding(path):
            model = model_files.built(cls, card["arguments"])
            model._check()
            model._told, model._learnt, model._head = dict(card["pre-training"]), dict(card["fitting"]), None
            modules = {"network": model._new(), "pretrained": model._new()}
            if "head" in card["parts"]:
                targets = len(model._learnt["targets"])
                model_files.expect([int] * targets, [*map(type, model._learnt["values of each"])], "values of each")
                model._center, model._scale = (model_files.like(torch.zeros(targets), weights.pop(name), name)
                                               for name in ("center", "scale"))
                modules["head"] = model._new_head(targets)
            for name in {"network", *card["parts"]}:
                setattr(model, f"_{name}", model_files.filled(modules[name], model_files.part(name, weights)))
            model_files.expect({*card["parts"]}, {name.partition(".")[0] for name in weights}, "parts of the weights")
        return model

    def _check(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task={self.task!r}; expected one of {', '.join(TASKS)}")
        for name in ("width", "heads", "hops", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; expected at least 1")

    def _train(self, modules, loss: Callable, count: int, steps: int, rate: float, on_step) -> None:
        descend(modules, loss, count, steps=steps, rate=rate, batch_size=self.batch_size, seed=self.seed, on_step=on_step)

    def _new(self) -> GraphTransformer:
        with seeded(self.seed):
            return GraphTransformer(ATOM_FEATURES, BOND_FEATURES, self.width, self.heads, self.dropout)

    def _new_head(self, targets: int) -> TwoHeads:
        with seeded(self.seed):
            return TwoHeads(self.width, targets, self.dropout)

    def _drawn_hops(self, rng: torch.Generator) -> tuple[int, int]:
        return drawn_hops(self.hops, rng), drawn_hops(self.hops, rng)

    def _answer(self, both: tuple[Tensor, Tensor]) -> Tensor:  # (B, T)
        first, second = both if self.task == "regression" else (one.sigmoid() for one in both)
        return ((first + second) / 2 * self._scale + self._center).masked_fill(~torch.from_numpy(self.measured), torch.nan)

    def _fitted(self, part: str) -> nn.Module:
        if getattr(self, part, None) is None:
            raise NotFitted()
        return getattr(self, part)

    def _apply(self, answer: Callable[[Graphs], Tensor], smiles: Sequence[str]) -> np.ndarray:
        graphs = featurise(smiles)
        with torch.no_grad():
            return torch.cat([answer(graphs.take(rows)) for rows in torch.arange(len(graphs)).split(256)]).numpy()


SIZES = {"smoke": dict(width=16, heads=2, hops=3), "full": dict(width=200, heads=4, hops=6),
         "quick": dict(width=64, heads=4, hops=3, pretraining_rate=2e-3)}
PRETRAINING = {"smoke": (30, 4), "quick": (5000, 400), "full": (300_000, 30_000)}  # unlabelled molecules, steps
RATES = {"pre-trained": 1e-3, "from scratch": 3e-3}  # of fine-tuning: each one's better of these two


def treatment(train, budget, seed):
    """Pre-trained on molecules without labels, then fine-tuned."""
    molecules, steps = PRETRAINING[budget.name]
    corpus = *train.unlabelled[:molecules], *train.smiles
    model = Grover(**SIZES[budget.name], learning_rate=RATES["pre-trained"], seed=seed).pretrain(corpus, steps)
    return model.fit(train, budget.steps, budget.spend)


def control(train, budget, seed):
    """The same network from scratch, by as many steps on the labels."""
    model = Grover(**SIZES[budget.name], learning_rate=RATES["from scratch"], seed=seed)
    return model.fit(train, budget.steps, budget.spend)


def score(model, test):
    """Errors over the measured values: each target's by itself, then the mean over targets measured in train and in test."""
    targets = test.targets[:, model.measured]
    labelled, judged = ~np.isnan(targets).all(1), ~np.isnan(targets).all(0)
    if not labelled.any():
        raise DataError(f"none of the {len(test)} test molecules has a value of a target that was measured in training",
                        "Give more measured values, or divide the molecules otherwise (--split).")
    truth = targets[labelled][:, judged]
    errors = model.predict([test.smiles[row] for row in np.flatnonzero(labelled)])[:, model.measured][:, judged] - truth
    there = ~np.isnan(truth)
    squared, absolute = (np.where(there, one, 0).sum(0) / there.sum(0) for one in (errors**2, abs(errors)))
    return {"RMSE": float(np.mean(np.sqrt(squared))), "MAE": float(np.mean(absolute)), "test molecules": float(labelled.sum())}


def draw(model, test):
    """Test molecules with each atom coloured by what it adds to the prediction."""
    smiles, one = test.smiles[:8], int(model.measured.argmax())
    legends = [f"{said:.2f}, measured {true:.2f}" for said, true in zip(model.predict(smiles)[:, one], test.targets[:8, one], strict=True)]
    title = f"What each atom adds to {test.names[one]}, as gradient x input: orange raises it, blue lowers it"
    return [Drawing(title, "png", coloured(smiles, model.attribute(smiles, one), legends))]
