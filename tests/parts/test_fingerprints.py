"""Fingerprint similarity against molecules whose answer is plain."""

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from bakeoff.data.molecules import drugs
from bakeoff.parts.fingerprints import diversity, morgan, nearest, novelty, similarity


def test_a_molecule_is_like_itself_however_it_is_written():
    assert similarity(["OCC", "CC(=O)O"], ["CCO", "OC(C)=O"]).diagonal() == pytest.approx(1.0)


def test_similarity_is_the_share_of_common_bits_and_symmetric():
    some = drugs().smiles[:12]
    found = similarity(some, some)
    morgan = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    first, second = (set(morgan.GetFingerprint(Chem.MolFromSmiles(one)).GetOnBits()) for one in some[:2])
    assert found[0, 1] == pytest.approx(len(first & second) / len(first | second))
    assert np.array_equal(found, found.T)


def test_diversity_is_the_mean_distance_of_pairs():
    some = drugs().smiles[:6]
    distances = 1 - similarity(some, some)
    assert diversity(some) == pytest.approx(distances[np.triu_indices(6, 1)].mean())
    assert diversity(["CCO"] * 4) == pytest.approx(0, abs=1e-12)


def test_the_bits_are_those_of_rdkit():
    some = drugs().smiles[:10]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    for row, smiles in zip(morgan(some), some, strict=True):
        assert np.flatnonzero(row).tolist() == list(generator.GetFingerprint(Chem.MolFromSmiles(smiles)).GetOnBits())


def test_diversity_is_rdkits_mean_over_all_pairs():
    some = [*drugs().smiles[:20], *drugs().smiles[:3]]
    prints = [rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint(Chem.MolFromSmiles(one)) for one in some]
    each = [value for place, one in enumerate(prints[1:], 1) for value in DataStructs.BulkTanimotoSimilarity(one, prints[:place])]
    assert diversity(some) == pytest.approx(1 - np.mean(each))


def test_nothing_of_the_reference_is_new_however_it_is_written():
    some = drugs().smiles
    rewritten = [Chem.MolToSmiles(Chem.MolFromSmiles(one), rootedAtAtom=2, canonical=False, kekuleSmiles=False) for one in some]
    assert sum(one != two for one, two in zip(some, rewritten, strict=True)) > 40
    assert novelty(some, some) == novelty(rewritten, some) == novelty(some, rewritten) == 0
    assert nearest(rewritten, some) == pytest.approx(1)
    assert novelty(["C[C@H](F)Cl"], ["C[C@@H](F)Cl"]) == 0  # mirror images count as one


def test_what_is_not_in_the_reference_is_new():
    some = drugs().smiles
    assert novelty(some, some[:15]) == pytest.approx(1 - 15 / len(some))
    assert novelty(["CCO", "COC"], ["OCC"]) == 0.5  # the same atoms, bonded otherwise
    assert novelty(["c1ccccc1"], ["C1CCCCC1"]) == 1
    assert novelty(["C1=CC=CC=C1"], ["c1ccccc1"]) == 0
    assert novelty(["CCO"], []) == 1


def test_what_is_no_molecule_is_named():
    for asked in (morgan, lambda smiles: similarity(smiles, ["CCO"]), lambda smiles: similarity(["CCO"], smiles)):
        with pytest.raises(ValueError, match="'C1CC' is no readable SMILES"):
            asked(["C", "C1CC"])
