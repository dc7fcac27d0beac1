"""Fingerprint similarity against molecules whose answer is plain."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from bakeoff.data.molecules import drugs
from bakeoff.parts.fingerprints import diversity, similarity


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
