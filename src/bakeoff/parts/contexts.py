"""Labels that a molecule gives itself, and the heads that ask for them (Rong et al., 2020, arXiv:2007.02835).

They are what surrounds its atoms and bonds, and which functional groups it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import DataError, MissingPackage
from .graph_transformer import Embeddings, mean_rows
from .molecular_graphs import Graphs

Around = list[list[tuple[int, str]]]  # of each atom: its neighbours, and the kinds of the bonds to them


def contexts(smiles: str, radius: int = 1) -> tuple[list[str], list[str]]:
    """The context of each atom and of each bond, as texts that no renumbering of atoms changes.

    Walking outward from an atom, or from both ends of a bond, every bond that leads a step further away is counted: for an atom by the
    element that it leads to and its order, for a bond by the element that it leaves, its order and its stereo mark.

    Args:
        smiles: a readable SMILES.
        radius: bonds that the walk may be long.

    Returns:
        Texts of the atoms, in the order of the SMILES, and of the bonds, in RDKit's order.

    Raises:
        DataError: RDKit does not read the SMILES.
        MissingPackage: RDKit is not installed.

    Example:
        >>> contexts("CC=O")
        (['C_C-SINGLE1', 'C_C-SINGLE1_O-DOUBLE1', 'O_C-DOUBLE1'], ['(SINGLE-NONE)_C-(DOUBLE-NONE)1', '(DOUBLE-NONE)_C-(SINGLE-NONE)1'])
    """
    molecule = _molecule(smiles)
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    around: Around = [[] for _ in symbols]
    bonds = []
    for bond in molecule.GetBonds():
        first, second, order = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondType().name
        kind = f"({order}-{bond.GetStereo().name.removeprefix('STEREO')})"
        around[first].append((second, kind))
        around[second].append((first, kind))
        bonds.append((first, second, kind))
    atoms = [_told(symbol, (f"{symbols[far]}-{kind[1:kind.index('-')]}" for _, far, kind in _outward([place], around, radius)))
             for place, symbol in enumerate(symbols)]
    return atoms, [_told(kind, (f"{symbols[near]}-{other}" for near, _, other in _outward(ends, around, radius))) for *ends, kind in bonds]


def _outward(start: Sequence[int], around: Around, radius: int) -> Iterator[tuple[int, int, str]]:
    """The bonds (near atom, far atom, kind) that lead from `step - 1` to `step` bonds away from the start, up to the radius."""
    away, front = dict.fromkeys(start, 0), list(start)
    for step in range(1, radius + 1):
        reached = []
        for near in front:
            for far, kind in around[near]:
                if far not in away:
                    away[far] = step
                    reached.append(far)
                if away[far] == step:
                    yield near, far, kind
        front = reached


def _told(head: str, around: Iterable[str]) -> str:
    return "_".join([head, *(f"{one}{count}" for one, count in sorted(Counter(around).items()))])


def vocabulary(texts: Iterable[Sequence[str]], largest: int) -> dict[str, int]:
    """Classes 1, 2, ... for the most frequent texts of many molecules, at most `largest`; 0 is left for all others.

    Example:
        >>> vocabulary([["C", "N", "C"], ["N", "O", "C"]], largest=2)
        {'C': 1, 'N': 2}
    """
    counts = Counter(one for some in texts for one in some)
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    return {text: place for place, text in enumerate(ranked[:largest], 1)}


def context_classes(smiles: Sequence[str], radius: int, largest: int) -> tuple[list[dict[str, int]], list[list[Tensor]]]:
    """The contexts of M molecules as classes, of their atoms and of their bonds each: the vocabularies, and M tensors (n,) of classes.

    Example:
        >>> context_classes(["CC=O", "CC"], 1, largest=1)[1]
        [[tensor([1, 0, 0]), tensor([1, 1])], [tensor([0, 1]), tensor([0])]]
    """
    around = [contexts(one, radius) for one in smiles]
    vocabularies = [vocabulary((one[side] for one in around), largest) for side in (0, 1)]
    return vocabularies, [[torch.tensor([words.get(text, 0) for text in one[side]], dtype=torch.long) for one in around]
                          for side, words in enumerate(vocabularies)]


def asked(classes: Tensor, counts: Tensor, rng: torch.Generator, share: float = 0.15) -> Tensor:
    """Classes (N,) with -1 in place of those that are not asked for: all but ceil(share n), drawn by rng, of each molecule's n.

    Args:
        classes: one for each atom (bond) of a batch, molecule after molecule.
        counts: (B,) atoms (bonds) of each molecule.
        rng: draws which are asked for.
        share: of them.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> (asked(torch.tensor([7, 7, 7, 5]), torch.tensor([3, 1]), rng) >= 0).view(4)[3:].tolist()
        [True]
    """
    owner = torch.repeat_interleave(counts)
    order = (owner + torch.rand(len(owner), generator=rng)).argsort()  # shuffled within each molecule
    place = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
    shown = order[place < (share * counts.double()).ceil()[owner]]
    return torch.full_like(classes, -1).index_copy(0, shown, classes[shown])


def motifs(smiles: str) -> list[bool]:
    """Which of RDKit's 85 functional groups (its `fr_` functions, in their order) a molecule has.

    Raises:
        DataError: RDKit does not read the SMILES.
        MissingPackage: RDKit is not installed.

    Example:
        >>> [name for name, there in zip(motif_names(), motifs("CC(=O)O"), strict=True) if there]
        ['fr_C_O', 'fr_Al_COO', 'fr_COO', 'fr_COO2']
    """
    molecule = _molecule(smiles)
    return [molecule.HasSubstructMatch(pattern) for pattern in _patterns().values()]


def motif_names() -> tuple[str, ...]:
    """The names of the 85 groups, in the order of `motifs`."""
    return tuple(_patterns())


@cache
def _patterns() -> dict:
    from rdkit.Chem import Fragments
    return {name: count.__defaults__[-1] for name, count in Fragments.fns}


class SelfSupervision(nn.Module):
    """Heads that ask a graph transformer for these labels: contexts of atoms and of bonds from either view, motifs from all four outputs.

    A task's loss is the cross-entropy of each answer, plus the squared difference of what the two views say (0.1 of it for contexts).

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


def _molecule(smiles: str):
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles) if isinstance(smiles, str) else None
    if molecule is None:
        raise DataError(f"{smiles!r} is no readable SMILES", "Leave it out, or correct it.")
    return molecule
