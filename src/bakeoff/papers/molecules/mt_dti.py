"""MT-DTI: a transformer that first learns to fill gaps in SMILES, then to say with a protein convolution how strongly a drug binds.

Shin, Park, Kang, Ho. Machine Learning for Healthcare 2019. arXiv:1908.06760.

Method: a drug is its SMILES as tokens, [REP] [BEGIN] c_1 ... c_n [END], with learned embeddings of token and place, in a BERT encoder;
h is the vector at [REP]. A protein is its amino acids, embedded, in three convolutions of 32, 64, 96 filters, ReLU, and the maximum over
the places, g. Dense layers of 1024, 1024 and 512 on [h, g] give the affinity.

    pre-training    15 % of the tokens are chosen, M; of these 80 % become [MASK], 10 % a random token, 10 % stay;
                    L = - 1/|M| sum_{i in M} log p(c_i | the others)                                                  (1)
    fine-tuning     L = mean over pairs of (y - f(h(drug), g(protein)))^2, the encoder learning on                   (2)

CI is the probability that, of two pairs that differ, the stronger is predicted the stronger; r_m^2 and the squared error stand beside it.

Departures: tokens are whole atoms with their brackets, not characters; ZINC-250k stands for 97 million molecules of PubChem. A minibatch
of (2) is the pairs between some drugs and some proteins, each encoded once. Padding never wins the maximum. The affinity is standardised by
the training pairs; a running mean of the weights predicts. At `quick` the encoder has two layers of width 64, the filters are 16, 32, 48,
the dense layers 256, 256, 128, and a protein is its first 600 amino acids. Adam's rate for (2) is the control's best of 5e-4, 1e-3, 3e-3
on pairs of the training part. Both arms spend as many minibatches: a third of the treatment's go to (1), so the control is fine-tuned half
as long again. The paper's bargain, where pre-training costs nothing, is shown beside it: "for free" is both arms after equal steps of (2).

Out of reach: the paper's 0.887, of eight layers, 97 million molecules and its own folds; DeepDTA, whose drug branch is a convolution. Pairs
divided at random leave every drug of Davis in the training part, where a drug's and a protein's mean say much already (the additive floor).
Divided by drugs (`--split cold-drug`) there are 14 to be tested on, too few for one seed to tell anything.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bakeoff.baselines.additive_means import AdditiveMeans
from bakeoff.claim import Claim, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts import model_files
from bakeoff.parts.affinity_measures import concordance, external_fit, squared_error
from bakeoff.parts.pair_blocks import blocks, positions
from bakeoff.parts.protein_convolution import ProteinConvolution, residues
from bakeoff.parts.seeding import seeded
from bakeoff.parts.smiles_tokens import PAD, SmilesVocabulary, with_gaps
from bakeoff.parts.supervised import minibatches
from bakeoff.parts.transformer import TokenEncoder

PAPER = Paper(title="Self-Attention Based Molecule Representation for Predicting Drug-Target Interaction",
              authors=("Shin", "Park", "Kang", "Ho"), year=2019, venue="Machine Learning for Healthcare", arxiv="1908.06760",
              also=("MT-DTI", "molecule transformer drug target interaction"))
CLAIM = Claim(says="A molecule transformer that was pre-trained on unlabelled SMILES and fine-tuned orders the pairs of Davis better "
                   "(concordance 0.887) than a network without pre-training (0.878, of convolutions).",
              data="davis", metric="concordance index", unit="share of ordered pairs", better="higher", margin=0.005,
              equal="steps", steps={"smoke": 12, "quick": 600, "full": 20_000})
__all__ = ["DrugTarget", "MoleculeTransformer", "masked_loss"]


class MoleculeTransformer:
    """A BERT encoder of SMILES, trained to fill gaps in them.

    Args:
        layers, width, heads: of the encoder; the feed-forward part is four times as wide.
        dropout: share dropped in training.
        longest: tokens, three special ones included, after which a SMILES is cut.
        chosen: share of tokens that are to be guessed.
        learning_rate: Adam's.
        batch_size: SMILES a step.
        seed: decides the start, the order and the gaps.

    Example:
        >>> from bakeoff.papers.molecules.mt_dti import MoleculeTransformer
        >>> encoder = MoleculeTransformer(layers=1, width=16, heads=2).fit(["CCO", "c1ccccc1Cl", "CC(=O)N"], steps=3)
        >>> encoder.encode(["CCN", "CCCl"]).shape
        (2, 16)
    """

    def __init__(self, layers: int = 8, width: int = 128, heads: int = 8, dropout: float = 0.1, longest: int = 100, chosen: float = 0.15,
                 learning_rate: float = 1e-4, batch_size: int = 64, seed: int = 0):
        self.layers, self.width, self.heads, self.dropout, self.longest = layers, width, heads, dropout, longest
        self.chosen, self.learning_rate, self.batch_size, self.seed = chosen, learning_rate, batch_size, seed

    def fit(self, smiles: Sequence[str], steps: int = 10_000, on_step: Callable[[float], None] | None = None) -> MoleculeTransformer:
        """Learn the tokens of N `smiles`, then to fill gaps in them for `steps` minibatches (eq. 1).

        With steps=0 it only knows the tokens: the start of one that is not pre-trained. `on_step` is called with the loss of each step.

        Raises:
            ValueError: there are no SMILES, or one that cannot be cut into tokens.
        """
        if not len(smiles):
            raise ValueError("there are no SMILES to learn from")
        self._build(SmilesVocabulary.of(smiles))
        numbers = self._numbers(smiles)  # (N, L)
        network, guess = self._parts.train().values()
        optimiser = torch.optim.Adam(self._parts.parameters(), self.learning_rate, fused=True)
        rng = torch.Generator().manual_seed(self.seed)
        with seeded(self.seed):  # dropout draws from the global generator
            for rows in minibatches(len(numbers), self.batch_size, steps, self.seed):
                truth = _cut(numbers[rows])
                seen, chosen = with_gaps(truth, len(self._vocabulary), self.chosen, rng)
                _descend(optimiser, loss := masked_loss(guess(network(seen)), truth, chosen))
                if on_step:
                    on_step(loss.item())
        self._parts.eval()
        return self

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        """The vector at [REP] for each of the `smiles`: (N, width). Raises NotFitted before `fit`."""
        network = self._fitted._parts["network"]
        with torch.no_grad():
            return torch.cat([network(_cut(rows))[:, 0] for rows in self._numbers(smiles).split(64)]).numpy()

    def save(self, path) -> None:
        """Write the weights to `path`, a .safetensors file, and a card beside it."""
        model_files.save(path, *self._fitted._written())

    @classmethod
    def load(cls, path) -> MoleculeTransformer:
        """The encoder that was saved to `path`."""
        return cls._read(*model_files.load(path, cls.__name__))

    def _written(self) -> tuple[dict[str, Tensor], dict]:
        card = {"model": type(self).__name__, "arguments": model_files.arguments(self), "tokens": self._vocabulary.known}
        return self._parts.state_dict(), card

    @classmethod
    def _read(cls, tensors: dict[str, Tensor], card: dict) -> MoleculeTransformer:
        found = cls(**card["arguments"])
        found._build(SmilesVocabulary(tuple(card["tokens"])))
        found._parts.load_state_dict(tensors)
        return found

    def _build(self, vocabulary: SmilesVocabulary) -> None:
        self._vocabulary = vocabulary
        with seeded(self.seed):
            network = TokenEncoder(len(vocabulary), longest=self.longest, layers=self.layers, width=self.width, heads=self.heads,
                                   dropout=self.dropout)
            self._parts = nn.ModuleDict({"network": network, "guess": nn.Linear(self.width, len(vocabulary))}).eval()

    def _numbers(self, smiles: Sequence[str]) -> Tensor:
        return torch.from_numpy(self._vocabulary.numbers(smiles, self.longest))  # (N, L)

    @property
    def _fitted(self):
        if not hasattr(self, "_parts"):
            raise NotFitted()
        return self


def masked_loss(logits: Tensor, numbers: Tensor, chosen: Tensor) -> Tensor:
    """The mean cross-entropy of the chosen tokens (eq. 1); 0 where none is chosen. The others have no part in it.

    Args:
        logits: (B, L, V), of each place's token.
        numbers: (B, L), the true tokens.
        chosen: (B, L) bool.

    Example:
        >>> import torch
        >>> from bakeoff.papers.molecules.mt_dti import masked_loss
        >>> round(masked_loss(torch.zeros(1, 2, 8), torch.tensor([[3, 4]]), torch.tensor([[True, False]])).exp().item(), 4)
        8.0
    """
    return F.cross_entropy(logits[chosen], numbers[chosen], reduction="sum") / chosen.sum().clamp(min=1)


class DrugTarget:
    """How strongly drugs bind proteins: an encoder of SMILES, a convolution over amino acids, and dense layers on both.

    Args:
        encoder: a `MoleculeTransformer` that was fitted; `fit` trains a copy of it on.
        protein_width: of the embedding of amino acids.
        filters: of the convolutions, first to last.
        kernel: amino acids under a filter.
        longest: amino acids after which a protein is cut.
        head: widths of the dense layers.
        dropout: share dropped after each of them but the last, in training.
        learning_rate: Adam's.
        block: drugs, and proteins, between which the pairs of a step are.
        averaging: share of the averaged weights that a step leaves; the averaged ones predict. 0 for the last step's own.
        seed: decides the start and the order.

    Example:
        >>> from bakeoff.papers.molecules.mt_dti import DrugTarget, MoleculeTransformer
        >>> drugs, proteins = ["CCO", "c1ccccc1"], ["MKKFFDSRREQGG", "MENFQKVEKIGEGTYG"]
        >>> encoder = MoleculeTransformer(layers=1, width=16, heads=2).fit(drugs, steps=0)
        >>> model = DrugTarget(encoder, filters=(4, 4, 4), kernel=4, head=(8, 8))
        >>> _ = model.fit(drugs, proteins, [[0, 0], [1, 1]], [5.0, 7.1], steps=5)
        >>> model.predict(["CCN"], proteins, [[0, 0], [0, 1]]).shape
        (2,)
    """

    def __init__(self, encoder: MoleculeTransformer, protein_width: int = 128, filters: Sequence[int] = (32, 64, 96), kernel: int = 12,
                 longest: int = 1000, head: Sequence[int] = (1024, 1024, 512), dropout: float = 0.1, learning_rate: float = 1e-4,
                 block: int = 16, averaging: float = 0.0, seed: int = 0):
        self.encoder, self.protein_width, self.filters, self.kernel, self.longest = encoder, protein_width, filters, kernel, longest
        self.head, self.dropout, self.learning_rate, self.block = head, dropout, learning_rate, block
        self.averaging, self.seed = averaging, seed

    def fit(self, smiles: Sequence[str], sequences: Sequence[str], pairs, affinity, steps: int = 10_000, checkpoints: Sequence[int] = (),
            on_step: Callable[[float], None] | None = None) -> DrugTarget:
        """Learn the affinities of pairs (eq. 2), afresh from the encoder; returns self.

        Args:
            smiles, sequences: the drugs and the proteins.
            pairs: (P, 2), positions of a drug and of a protein.
            affinity: (P,), in any unit.
            steps: minibatches.
            checkpoints: numbers of steps after which the weights are kept as well, for `predict(..., at=...)`.
            on_step: called with the loss of each step, in units of the affinities' variance.

        Raises:
            NotFitted: the encoder was not fitted.
            ValueError: a SMILES, sequence or pair cannot be read, or there is not one finite affinity for each pair.
        """
        pairs, affinity = positions(pairs, smiles, sequences), torch.as_tensor(np.asarray(affinity, dtype=np.float32))
        if affinity.shape != (len(pairs),) or not len(pairs) or not affinity.isfinite().all():
            raise ValueError(f"affinities of shape {tuple(affinity.shape)} for {len(pairs)} pairs; expected one finite number for each")
        network = self._build().train()
        network.mean.fill_(affinity.mean())
        network.scale.fill_(affinity.std(correction=0) or 1.0)
        drugs, proteins = self._encoder._numbers(smiles), residues(sequences, self.longest)
        averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(self.averaging))
        optimiser = torch.optim.Adam(network.parameters(), self.learning_rate, fused=True)
        with seeded(self.seed):  # dropout draws from the global generator
            for step, rows in enumerate(blocks(pairs, self.block, steps, self.seed), 1):
                predicted = network(drugs, proteins, torch.from_numpy(pairs[rows]))
                _descend(optimiser, loss := F.mse_loss(predicted, (affinity[rows] - network.mean) / network.scale))
                averaged.update_parameters(network)
                if step in checkpoints:
                    self._kept[step] = copy.deepcopy(averaged.module).eval()
                if on_step:
                    on_step(loss.item())
        self._network = averaged.module.eval()
        return self

    def predict(self, smiles: Sequence[str], sequences: Sequence[str], pairs, at: int | None = None) -> np.ndarray:
        """The affinity (P,) of `pairs` (P, 2) of `smiles` and `sequences`, in the unit learnt; with the weights kept `at` a checkpoint.

        Raises:
            NotFitted: before `fit`.
            ValueError: a SMILES, sequence or pair cannot be read, or nothing was kept at that step.
        """
        if at is not None and at not in self._fitted._kept:
            raise ValueError(f"nothing was kept at step {at}; kept: {sorted(self._kept) or 'none'}")
        network = self._fitted._network if at is None else self._kept[at]
        pairs = torch.from_numpy(positions(pairs, smiles, sequences))
        with torch.no_grad():
            h = torch.cat([network.drug(_cut(rows))[:, 0] for rows in self._encoder._numbers(smiles).split(64)])
            g = torch.cat([network.protein(_cut(rows)) for rows in residues(sequences, self.longest).split(64)])
            found = torch.cat([network.dense(torch.cat([h[rows[:, 0]], g[rows[:, 1]]], 1)) for rows in pairs.split(1 << 14)])
            return (network.mean + network.scale * found).numpy()

    def save(self, path) -> None:
        """Write the weights, the encoder's own among them, to `path`, a .safetensors file, and a card beside it; checkpoints are left."""
        tensors, card = self._fitted._encoder._written()
        both = {**{f"encoder.{name}": one for name, one in tensors.items()}, **self._network.state_dict(prefix="network.")}
        model_files.save(path, both, {"model": type(self).__name__, "arguments": model_files.arguments(self, "encoder"), "encoder": card})

    @classmethod
    def load(cls, path) -> DrugTarget:
        """The model that was saved to `path`."""
        tensors, card = model_files.load(path, cls.__name__)
        encoder = MoleculeTransformer._read(model_files.part("encoder", tensors), card["encoder"])
        found = cls(encoder, **card["arguments"])
        found._build().load_state_dict(model_files.part("network", tensors))
        return found

    def _build(self) -> Pairing:
        self._encoder, self._kept = copy.deepcopy(self.encoder._fitted), {}
        drug, width = copy.deepcopy(self._encoder._parts["network"]), self._encoder.width + self.filters[-1]
        with seeded(self.seed):
            self._network = Pairing(drug, ProteinConvolution(self.protein_width, self.filters, self.kernel), width, self.head, self.dropout)
        return self._network.eval()

    @property
    def _fitted(self):
        if not hasattr(self, "_network"):
            raise NotFitted()
        return self


class Pairing(nn.Module):
    """The encoder of drugs, the convolution of proteins, and the dense layers on both; in units of the training pairs' deviation."""

    def __init__(self, drug: TokenEncoder, protein: ProteinConvolution, width: int, head: Sequence[int], dropout: float):
        super().__init__()
        self.drug, self.protein = drug, protein
        layers = [part for pair in pairwise((width, *head)) for part in (nn.Linear(*pair), nn.ReLU(), nn.Dropout(dropout))]
        self.dense = nn.Sequential(*layers[:-1], nn.Linear(head[-1], 1), nn.Flatten(0))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, drugs: Tensor, proteins: Tensor, pairs: Tensor) -> Tensor:  # (D, L), (S, T), (B, 2) -> (B,)
        (drug, first), (protein, second) = (column.unique(return_inverse=True) for column in pairs.T)
        h, g = self.drug(_cut(drugs[drug]))[:, 0], self.protein(_cut(proteins[protein]))  # one row for each that is in a pair
        return self.dense(torch.cat([h[first], g[second]], 1))


def _cut(numbers: Tensor) -> Tensor:
    """Rows (B, L) without the columns that are padding in all of them."""
    return numbers[:, (numbers != PAD).any(0)]


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


SMALL = ({"layers": 2, "width": 64, "heads": 4, "dropout": 0.0, "learning_rate": 2e-3},
         {"protein_width": 32, "filters": (16, 32, 48), "head": (256, 256, 128), "longest": 600, "block": 24, "averaging": 0.98,
          "learning_rate": 1e-3})
SIZES = {"smoke": SMALL, "quick": SMALL, "full": ({}, {"averaging": 0.98})}
CORPUS = {"smoke": 300, "quick": 30_000, "full": 300_000}


def trained(train, budget, seed, pretraining):
    """Pre-trained for so many of the steps, fine-tuned for the rest; kept as well after as many as the treatment is fine-tuned for."""
    (drug, pair), fewest = SIZES[budget.name], budget.steps - budget.steps // 3
    corpus = *train.unlabelled[:CORPUS[budget.name]], *train.smiles
    model = DrugTarget(MoleculeTransformer(**drug, seed=seed).fit(corpus, pretraining, budget.spend), **pair, seed=seed)
    model.fit(train.smiles, train.sequences, train.pairs, train.values, budget.steps - pretraining, (fewest,), budget.spend)
    return model, fewest, AdditiveMeans().fit(train)


def treatment(train, budget, seed):
    """A third of the steps for pre-training, the others for fine-tuning."""
    return trained(train, budget, seed, pretraining=budget.steps // 3)


def control(train, budget, seed):
    """Every step for fine-tuning."""
    return trained(train, budget, seed, pretraining=0)


def score(model, test):
    network, fewest, floor = model
    predicted, early = (network.predict(test.smiles, test.sequences, test.pairs, at) for at in (None, fewest))
    return {CLAIM.metric: concordance(test.values, predicted),
            "mean squared error": squared_error(test.values, predicted),
            "r_m^2": external_fit(test.values, predicted),
            "concordance index, pre-training for free": concordance(test.values, early),
            "mean squared error, pre-training for free": squared_error(test.values, early),
            "r_m^2, pre-training for free": external_fit(test.values, early),
            "concordance index of the additive floor": concordance(test.values, floor.predict(test))}
