"""MT-DTI: a transformer that first learns to fill gaps in SMILES, then to say with a protein convolution how strongly a drug binds.

Shin, Park, Kang, Ho. Machine Learning for Healthcare 2019. arXiv:1908.06760.

Method: a drug is its SMILES as tokens, [REP] [BEGIN] c_1 ... c_n [END], with learned embeddings of token and place, in a BERT encoder;
h is the vector at [REP]. A protein is its amino acids, embedded, in three convolutions of 32, 64, 96 filters, ReLU, and the maximum over
the places, g. Dense layers of 1024, 1024 and 512 on [h, g] give the affinity.

    pre-training    15 % of the tokens are chosen, M; of these 80 % become [MASK], 10 % a random token, 10 % stay;
                    L = - 1/|M| sum_{i in M} log p(c_i | the others)                                                  (1)
    fine-tuning     L = mean over pairs of (y - f(h(drug), g(protein)))^2, the encoder learning on                   (2)

CI is the probability that, of two pairs that differ, the stronger is predicted the stronger; r_m^2 and the squared error stand beside it.

Departures: tokens are whole atoms with their brackets, not characters; 29,445 molecules of ZINC stand for 97 million of PubChem. A
minibatch of (2) is the pairs between some drugs and some proteins, each encoded once. Padding never wins the maximum. The affinity is
standardised by the training pairs; a running mean of the weights predicts. At `quick` the encoder has two layers of width 64, the filters
are 16, 32, 48, the dense layers 256, 256, 128, and a protein is its first 600 amino acids. Adam's rates were chosen on pairs of the
training part: for (2) the control's best of 5e-4, 1e-3, 3e-3, which is also the treatment's of the first two; for (1), of 1e-3, 2e-3,
4e-3, 8e-3, the one with the smallest loss. Both arms spend as many minibatches: a third of the treatment's go to (1), so the control is
fine-tuned half as long again (a half did worse: on two seeds 0.825 and 0.823, where a third had 0.837 and 0.835). The paper's bargain,
where pre-training costs nothing, is shown beside it: "for free" is both arms after equal steps of (2).

Out of reach: the paper's 0.887, of eight layers, 97 million molecules and its own folds. DeepDTA, the rival in the paper, whose drug
branch is a convolution, is not the control here; benchmarks/affinity.md has it beside both arms, and ahead of them after about equal
seconds (0.879 for 0.862 on Davis), for its steps take three fifths of theirs. Pairs divided at random leave every drug of Davis in the
training part, where a drug's and a protein's mean say much already (the additive floor). Divided by drugs (`--split cold-drug`) there are
14 to be tested on, too few for one seed to tell anything.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.baselines.additive_means import AdditiveMeans
from bakeoff.claim import Claim, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts import model_files, pairing
from bakeoff.parts.affinity_measures import concordance, external_fit, squared_error
from bakeoff.parts.pair_blocks import positions
from bakeoff.parts.pairing import Pairing
from bakeoff.parts.protein_convolution import AMINO_ACIDS, SequenceConvolution, residues
from bakeoff.parts.seeding import seeded
from bakeoff.parts.smiles_tokens import SmilesVocabulary, tokens, with_gaps, without_padding
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
        The SMILES are to be RDKit's canonical ones; only their tokens are checked, not their chemistry.

        Raises:
            ValueError: there are no SMILES, one that cannot be cut into tokens, or a string in place of a list.
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
                truth = without_padding(numbers[rows])
                seen, chosen = with_gaps(truth, len(self._vocabulary), self.chosen, rng)
                loss = masked_loss(guess(network(seen)), truth, chosen)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                if on_step:
                    on_step(loss.item())
        self._parts.eval()
        return self

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        """The vector at [REP] for each of the `smiles`: (N, width). They are to be RDKit's canonical ones, as for `fit`.

        Raises:
            NotFitted: before `fit`.
            ValueError: a SMILES cannot be cut into tokens, or there is a string in place of a list.
        """
        network, numbers = self._fitted._parts["network"], self._numbers(smiles)
        with torch.no_grad():
            found = [network.first_of(without_padding(rows)) for rows in numbers.split(64) if len(rows)]
        return torch.cat([torch.zeros(0, self.width), *found]).numpy()

    def save(self, path) -> None:
        """Write the weights to `path`, a .safetensors file, and a card beside it."""
        model_files.save(path, *self._fitted._written())

    @classmethod
    def load(cls, path) -> MoleculeTransformer:
        """The encoder that was saved to `path`. Raises DataError where that is no such file, or the model in it is not whole."""
        tensors, card = model_files.load(path, cls.__name__)
        with model_files.rebuilding(path):
            return cls._read(tensors, card)

    def _written(self) -> tuple[dict[str, Tensor], dict]:
        card = {"model": type(self).__name__, "arguments": model_files.arguments(self), "tokens": self._vocabulary.known}
        return self._parts.state_dict(), card

    @classmethod
    def _read(cls, tensors: dict[str, Tensor], card: dict) -> MoleculeTransformer:
        found, known = model_files.built(cls, card["arguments"]), tuple(card["tokens"])
        if strange := [one for one in known if tokens(one) != [one]]:
            raise ValueError(f"{strange[0]!r} is no token of SMILES")
        found._build(SmilesVocabulary(known))
        model_files.filled(found._parts, tensors)
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
            smiles: the drugs, as RDKit's canonical SMILES; only their tokens are checked, not their chemistry.
            sequences: the proteins, as letters of amino acids.
            pairs: (P, 2), positions of a drug and of a protein.
            affinity: (P,), in any unit.
            steps: minibatches.
            checkpoints: numbers of steps after which the weights are kept as well, for `predict(..., at=...)`.
            on_step: called with the loss of each step, in units of the affinities' variance.

        Raises:
            NotFitted: the encoder was not fitted.
            ValueError: a SMILES cannot be cut into tokens, a sequence has something else than letters, a pair is no position of a drug
                and of a protein, or there is not one finite affinity for each pair.
        """
        pairs, network = positions(pairs, smiles, sequences), self._build()
        drugs, proteins = self._encoder._numbers(smiles), residues(sequences, self.longest)
        self._network, self._kept = pairing.train(network, drugs, proteins, pairs, affinity, steps=steps, block=self.block,
                                                  learning_rate=self.learning_rate, averaging=self.averaging, seed=self.seed,
                                                  checkpoints=checkpoints, on_step=on_step)
        return self

    def predict(self, smiles: Sequence[str], sequences: Sequence[str], pairs, at: int | None = None) -> np.ndarray:
        """The affinity (P,) of `pairs` (P, 2) of `smiles` and `sequences`, in the unit learnt; with the weights kept `at` a checkpoint.

        SMILES are to be written as those learned from, RDKit's canonical ones: another writing of a molecule has another affinity, and
        what is no molecule has one too, for only tokens are checked, not chemistry.

        Raises:
            NotFitted: before `fit`.
            ValueError: a SMILES cannot be cut into tokens, a sequence has something else than letters, a pair is no position of a drug
                and of a protein, or nothing was kept at that step.
        """
        if at is not None and at not in self._fitted._kept:
            raise ValueError(f"nothing was kept at step {at}; kept: {sorted(self._kept) or 'none'}")
        network = self._fitted._network if at is None else self._kept[at]
        drugs, proteins = self._encoder._numbers(smiles), residues(sequences, self.longest)
        return pairing.answers(network, drugs, proteins, positions(pairs, smiles, sequences))

    def save(self, path) -> None:
        """Write the weights, the encoder's own among them, to `path`, a .safetensors file, and a card beside it; checkpoints are left."""
        tensors, card = self._fitted._encoder._written()
        both = {**{f"encoder.{name}": one for name, one in tensors.items()}, **self._network.state_dict(prefix="network.")}
        model_files.save(path, both, {"model": type(self).__name__, "arguments": model_files.arguments(self, "encoder"), "encoder": card})

    @classmethod
    def load(cls, path) -> DrugTarget:
        """The model that was saved to `path`. Raises DataError where that is no such file, or the model in it is not whole."""
        tensors, card = model_files.load(path, cls.__name__)
        with model_files.rebuilding(path):
            encoder = MoleculeTransformer._read(model_files.part("encoder", tensors), card["encoder"])
            found = model_files.built(cls, {"encoder": encoder, **card["arguments"]})
            found._network, found._kept = model_files.filled(found._build(), model_files.part("network", tensors)), {}
            found.predict(["C"], ["A"], [[0, 0]])  # what is read here for the first time may be of a wrong type
        return found

    def _build(self) -> Pairing:
        self._encoder = copy.deepcopy(self.encoder._fitted)
        drug, width = AtRep(copy.deepcopy(self._encoder._parts["network"])), self._encoder.width + self.filters[-1]
        with seeded(self.seed):
            protein = SequenceConvolution(AMINO_ACIDS, self.protein_width, self.filters, self.kernel)
            return Pairing(drug, protein, width, self.head, self.dropout).eval()

    @property
    def _fitted(self):
        if not hasattr(self, "_network"):
            raise NotFitted()
        return self


class AtRep(nn.Module):
    """h of the method: the vector that `encoder` has at [REP], the first of a row's tokens (B, L) -> (B, D)."""

    def __init__(self, encoder: TokenEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, numbers: Tensor) -> Tensor:
        return self.encoder.first_of(numbers)


SMALL = ({"layers": 2, "width": 64, "heads": 4, "dropout": 0.0, "learning_rate": 4e-3},
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
