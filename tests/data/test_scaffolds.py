"""Scaffolds: what they are, and that both splits by them are MoleculeNet's and chemprop's rules, counted out by hand."""

from collections import Counter

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.kinds.molecules import Molecules
from bakeoff.data.kinds.scaffolds import scaffold
from bakeoff.errors import DataError

RINGS = ("C1CC1", "C1CCC1", "C1CCCC1", "c1ccccc1", "c1ccncc1", "c1ccoc1", "c1ccsc1", "C1CCNCC1", "C1COCCN1", "c1ccc2ccccc2c1")


def molecules(seed, by, count=150, rarer=0.6):
    """Random side chains on ten ring systems of very different frequency, and chains without a ring."""
    rng = np.random.default_rng(seed)
    weights = rarer ** np.arange(len(RINGS) + 1)
    kinds = rng.choice(len(RINGS) + 1, count, p=weights / weights.sum())
    chains = ["".join(rng.choice(list("CNO"), rng.integers(1, 5))) for _ in range(count)]
    smiles = [f"{chain}C" if kind == 0 else f"{chain}{RINGS[kind - 1]}" for kind, chain in zip(kinds, chains, strict=True)]
    return Molecules(smiles, np.arange(count)[:, None], ("row",), by)


def by_hand(smiles):
    """MoleculeNet's rule, written once more and slowly: the rows of train and of test."""
    names = [MurckoScaffoldSmiles(mol=Chem.MolFromSmiles(one), includeChirality=False) for one in smiles]
    left = set(names)
    train, test = [], []
    while left:
        most = max(names.count(name) for name in left)
        name = max((name for name in left if names.count(name) == most), key=names.index)
        left.remove(name)
        rows = [row for row, one in enumerate(names) if one == name]
        (test if len(train) + len(rows) > 0.8 * len(smiles) else train).extend(rows)
    return train, test


def test_a_scaffold_is_rings_and_linkers_without_side_chains_and_chirality():
    assert scaffold("CC(=O)Oc1ccccc1C(=O)O") == "c1ccccc1"
    assert scaffold("CCCCO") == ""
    assert scaffold("OC(c1ccccc1)c1ccncc1") == Chem.CanonSmiles("c1ccc(Cc2ccncc2)cc1")
    assert scaffold("C[C@H]1CC[C@@H](O1)c1ccccc1") == scaffold("C[C@@H]1CC[C@H](O1)c1ccccc1")
    assert "@" not in scaffold("C[C@H]1CC[C@@H](O1)c1ccccc1")
    with pytest.raises(DataError, match="cannot read the SMILES 'C1CC'"):
        scaffold("C1CC")


@pytest.mark.parametrize("seed", range(5))
def test_the_scaffold_split_is_moleculenets_whatever_the_seed(seed):
    record = molecules(seed, "scaffold")
    train, test = by_hand(record.smiles)
    for one in (0, 7):
        found = record.split(one)
        assert [part.targets[:, 0].astype(int).tolist() for part in found] == [train, test]


def test_a_tie_of_two_scaffolds_goes_to_the_one_that_begins_later():
    train, test = Molecules(["CC1CC1", "Cc1ccccc1", "CC1CC1", "Cc1ccccc1", "CC1CCC1"], by="scaffold").split(0)
    assert train.smiles == ("Cc1ccccc1", "Cc1ccccc1", "CC1CC1", "CC1CC1")
    assert test.smiles == ("CC1CCC1",)


def test_a_balanced_scaffold_split_follows_the_seed_and_keeps_scaffolds_and_large_ones_together():
    record = molecules(3, "balanced scaffold", rarer=0.75)
    counts = Counter(map(scaffold, record.smiles))
    large = {name for name, count in counts.items() if count > 0.1 * len(record)}
    assert large
    tests = []
    for seed in range(6):
        train, test = record.split(seed)
        assert not set(map(scaffold, train.smiles)) & set(map(scaffold, test.smiles))
        assert sorted([*train.targets[:, 0], *test.targets[:, 0]]) == list(range(len(record)))
        assert len(train) <= 0.8 * len(record)
        assert large <= set(map(scaffold, train.smiles))
        assert record.split(seed)[1].smiles == test.smiles
        assert train.by == test.by == "balanced scaffold"
        tests.append(test.smiles)
    assert len(set(tests)) > 1


def test_molecules_of_one_scaffold_cannot_be_split_by_it():
    for by in ("scaffold", "balanced scaffold"):
        with pytest.raises(DataError, match="3 molecules with 1 scaffolds"):
            Molecules(["CCO", "CCN", "CCC"], by=by).split(0)
    with pytest.raises(DataError, match=r"Molecules\.by: found 'random'"):
        Molecules(["CCO"], by="random")


def test_a_named_set_takes_the_option_split_unless_it_says_how_itself():
    assert sets.load(Source("drugs", (("split", "balanced-scaffold"),)), "molecules").by == "balanced scaffold"
    assert dict(sets.SETS["esol-scaffold"].options)["split"] == "scaffold"
    with pytest.raises(DataError, match="'esol-scaffold' takes no --split"):
        sets.load(Source("esol-scaffold", (("split", "shuffle"),)), "molecules")
    with pytest.raises(DataError, match="--split random: no such choice") as told:
        sets.load(Source("drugs", (("split", "random"),)), "molecules")
    assert "balanced-scaffold" in told.value.hint
