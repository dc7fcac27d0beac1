"""DeepDTA: how strongly a drug binds a protein, from convolutions over the SMILES and over the amino acids.

Ozturk, Ozgur, Ozkirimli. Bioinformatics 2018. arXiv:1801.10193.

Each side is embedded and goes through three convolutions of 32, 64, 96 filters with ReLUs; the maximum over the places is its vector.
Dense layers of 1024, 1024 and 512 on both vectors give the affinity; the squared error is made small by Adam. The paper's lengths,
filters, widths, dropout and rate are the defaults.

Tuned once on pairs of Davis' training part, by concordance after 400 steps of blocks of 24 with 16, 32, 48 filters and dense layers of 256,
256, 128: kernels of 8 tokens and 12 amino acids with rates of 3e-3 and 5e-3 gave 0.836 and 0.830; 4 and 12 at 3e-3 0.831, 6 and 8 0.831.
After 300 steps 3e-3 was before 1e-3 (0.827, 0.824). At full size the paper's rate stays the default.

Different here: SMILES are cut into whole atoms, not characters; a step takes the pairs between some drugs and some proteins, each of
which is encoded once; padding never wins the maximum; the affinity is standardised by the training pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ..errors import NotFitted
from ..parts import pairing
from ..parts.pair_blocks import positions
from ..parts.protein_convolution import AMINO_ACIDS, SequenceConvolution, residues
from ..parts.seeding import seeded
from ..parts.smiles_tokens import SmilesVocabulary


class DeepDTA:
    """Two branches of convolutions and dense layers on both.

    Args:
        width: of both embeddings.
        filters: of each branch's convolutions, first to last.
        drug_kernel, protein_kernel: tokens, and amino acids, under a filter.
        longest_drug, longest_protein: tokens, three special ones included, and amino acids after which one is cut.
        head: widths of the dense layers.
        dropout: share dropped after each of them but the last, in training.
        learning_rate: Adam's.
        block: drugs, and proteins, between which the pairs of a step are.
        averaging: share of the averaged weights that a step leaves; the averaged ones predict. 0 for the last step's own.
        seed: decides the start and the order.

    Example:
        >>> drugs, proteins = ["CCO", "c1ccccc1"], ["MKKFFDSRREQGG", "MENFQKVEKIGEGTYG"]
        >>> model = DeepDTA(width=8, filters=(4, 4, 4), drug_kernel=2, protein_kernel=4, head=(8, 8))
        >>> model.fit(drugs, proteins, [[0, 0], [1, 1]], [5.0, 7.1], steps=5).predict(["CCN"], proteins, [[0, 0], [0, 1]]).shape
        (2,)
    """

    def __init__(self, width: int = 128, filters: Sequence[int] = (32, 64, 96), drug_kernel: int = 8, protein_kernel: int = 12,
                 longest_drug: int = 100, longest_protein: int = 1000, head: Sequence[int] = (1024, 1024, 512), dropout: float = 0.1,
                 learning_rate: float = 1e-3, block: int = 16, averaging: float = 0.0, seed: int = 0):
        self.width, self.filters, self.drug_kernel, self.protein_kernel = width, filters, drug_kernel, protein_kernel
        self.longest_drug, self.longest_protein, self.head, self.dropout = longest_drug, longest_protein, head, dropout
        self.learning_rate, self.block, self.averaging, self.seed = learning_rate, block, averaging, seed

    def fit(self, smiles: Sequence[str], sequences: Sequence[str], pairs, affinity, steps: int = 10_000,
            on_step: Callable[[float], None] | None = None) -> DeepDTA:
        """Learn the affinities of pairs, afresh; returns self.

        Args:
            smiles: the drugs, as RDKit's canonical SMILES; only their tokens are checked, not their chemistry.
            sequences: the proteins, as letters of amino acids.
            pairs: (P, 2), positions of a drug and of a protein.
            affinity: (P,), in any unit.
            steps: minibatches.
            on_step: called with the loss of each step, in units of the affinities' variance.

        Raises:
            ValueError: a SMILES cannot be cut into tokens, a sequence has something else than letters, a pair is no position of a drug
                and of a protein, or there is not one finite affinity for each pair.
        """
        pairs = positions(pairs, smiles, sequences)
        self._vocabulary = SmilesVocabulary.of(smiles)
        with seeded(self.seed):
            drug = SequenceConvolution(len(self._vocabulary), self.width, self.filters, self.drug_kernel)
            protein = SequenceConvolution(AMINO_ACIDS, self.width, self.filters, self.protein_kernel)
            network = pairing.Pairing(drug, protein, 2 * self.filters[-1], self.head, self.dropout)
        self._network, _ = pairing.train(network, *self._numbers(smiles, sequences), pairs, affinity, steps=steps, block=self.block,
                                         learning_rate=self.learning_rate, averaging=self.averaging, seed=self.seed, on_step=on_step)
        return self

    def predict(self, smiles: Sequence[str], sequences: Sequence[str], pairs) -> np.ndarray:
        """The affinity (P,) of `pairs` (P, 2) of `smiles` and `sequences`, in the unit learnt.

        SMILES are to be written as those learned from, RDKit's canonical ones: another writing of a molecule has another affinity, and
        what is no molecule has one too, for only tokens are checked, not chemistry.

        Raises:
            NotFitted: before `fit`.
            ValueError: a SMILES cannot be cut into tokens, a sequence has something else than letters, or a pair is no position of a
                drug and of a protein.
        """
        if not hasattr(self, "_network"):
            raise NotFitted()
        return pairing.answers(self._network, *self._numbers(smiles, sequences), positions(pairs, smiles, sequences))

    def _numbers(self, smiles, sequences) -> tuple[torch.Tensor, torch.Tensor]:  # (D, L), (S, T)
        return torch.from_numpy(self._vocabulary.numbers(smiles, self.longest_drug)), residues(sequences, self.longest_protein)
