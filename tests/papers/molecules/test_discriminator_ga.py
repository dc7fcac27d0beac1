"""The genetic algorithm with a discriminator: its rules one by one, on objectives whose answers are known."""

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Descriptors

from bakeoff.data.molecules import drugs
from bakeoff.papers.molecules import discriminator_ga
from bakeoff.papers.molecules.discriminator_ga import Discriminator, DiscriminatorGA, adaptive_beta, mutate, replacement_probability

REFERENCE = drugs().smiles
CHAINS = ["C" * carbons + "S" * sulphurs for carbons in range(3, 11) for sulphurs in range(1, 5)]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def carbons(smiles):
    return [one.count("C") for one in smiles]


def test_with_beta_zero_the_populations_do_not_depend_on_the_discriminator():
    plain = DiscriminatorGA(carbons, (), beta=0.0, population=12, seed=3).run(60)
    watched = DiscriminatorGA(carbons, REFERENCE, patience=10_000, population=12, seed=3).run(60)
    other = DiscriminatorGA(carbons, (), beta=0.0, population=12, seed=4).run(60)
    assert plain.scored == watched.scored
    assert np.array_equal(plain.scores, watched.scores)
    assert plain.smiles == watched.smiles
    assert plain.scored != other.scored


def test_both_arms_are_one_run_until_the_discriminator_first_counts():
    plain = DiscriminatorGA(carbons, REFERENCE, beta=0.0, population=10, max_length=12, seed=0).run(80)
    adaptive = DiscriminatorGA(carbons, REFERENCE, population=10, max_length=12, seed=0).run(80)
    first = adaptive.firings[0]
    assert np.array_equal(plain.scores[:first + 1], adaptive.scores[:first + 1])
    assert not np.array_equal(plain.scores[first + 1], adaptive.scores[first + 1])
    flat = [len(set(adaptive.scores[g - 4:g + 1].max(1))) == 1 and g >= 4 for g in range(len(adaptive.scores))]
    assert adaptive.firings == tuple(np.flatnonzero(flat))


def test_the_discriminator_counts_from_the_fifth_flat_generation_to_the_first_change():
    history = [1, 2, 2, 2, 2, 2, 2, 3, 3, 2.5, 2.5, 2.5, 2.5, 2.5]
    assert [adaptive_beta(history[:g + 1], 5, 1000.0) for g in range(len(history))] == [0, 0, 0, 0, 0, 1000, 1000, 0, 0, 0, 0, 0, 0, 1000]
    assert (adaptive_beta([7] * 4, 5, 10.0), adaptive_beta([7] * 5, 5, 10.0)) == (0, 10)


def test_the_discriminator_tells_unseen_chains_from_unseen_drugs():
    judge = Discriminator(REFERENCE[::2], seed=0)
    for _ in range(40):
        judge.learn(CHAINS[::2])
    generated, reference = judge(CHAINS[1::2]), judge(REFERENCE[1::2])
    assert (generated[:, None] < reference).mean() > 0.99  # area under the ROC curve
    assert 0 < generated.mean() < 0.3 < 0.7 < reference.mean() < 1


def test_a_heavy_discriminator_draws_the_population_to_the_reference():
    def atoms(smiles):
        return np.mean([Chem.MolFromSmiles(one).GetNumHeavyAtoms() for one in smiles])

    drawn, pushed = (DiscriminatorGA(lambda smiles: [0.0] * len(smiles), REFERENCE, beta=beta, population=20).run(300).smiles
                     for beta in (1000.0, -1000.0))
    assert abs(atoms(drawn) - atoms(REFERENCE)) < 4 < abs(atoms(pushed) - atoms(REFERENCE))


def test_a_mutation_changes_one_place_and_gives_a_molecule_within_the_length():
    rng = torch.Generator().manual_seed(0)
    symbols = discriminator_ga.BENZENE
    assert discriminator_ga.decoded(symbols) == "c1ccccc1"
    for _ in range(300):
        mutant, smiles = mutate(symbols, 20, rng)
        assert len(smiles) <= 20
        assert Chem.MolToSmiles(Chem.MolFromSmiles(smiles)) != ""
        assert len(mutant) - len(symbols) in (0, 1, 7, 8)  # a symbol or a benzene ring, in the place of one or beside
        same = next((i for i, (a, b) in enumerate(zip(symbols, mutant, strict=False)) if a != b), len(symbols))
        assert any(mutant[len(mutant) - tail:] == symbols[len(symbols) - tail:] for tail in (len(symbols) - same, len(symbols) - same - 1))
        symbols = mutant
    grown = [len(mutate(("[C]",) * 6, 81, rng)[0]) - 6 for _ in range(400)]
    assert np.isin(grown, (1, 8)).mean() == pytest.approx(0.5, abs=0.08)  # as often beside as in the place


def test_ranks_are_replaced_with_the_logistic_probability():
    rank = np.arange(500)
    assert replacement_probability(500) == pytest.approx(1 / (1 + np.exp(-0.02 * (rank - 100))))
    search, rng = DiscriminatorGA(carbons, (), population=500), torch.Generator().manual_seed(0)
    names = [f"m{one}" for one in rank]  # member i has rank i
    kept = np.zeros(500)
    for _ in range(3):
        _, smiles = search._next(-rank.astype(float), [("[C]",)] * 500, names, rng)
        kept += [one in smiles for one in names]
    assert kept[:100].mean() / 3 == pytest.approx(1 - replacement_probability(500)[:100].mean(), abs=0.06)
    assert kept[200:].mean() / 3 == pytest.approx(1 - replacement_probability(500)[200:].mean(), abs=0.03)


def test_the_objective_is_asked_exactly_so_often_and_once_for_each_molecule():
    asked, told = [], []

    def objective(smiles):
        asked.extend(smiles)
        return carbons(smiles)

    found = DiscriminatorGA(objective, REFERENCE, population=15, max_length=30).run(137, on_step=told.append)
    assert len(asked) == len(set(asked)) == len(told) == found.objective_calls == 137
    assert told == np.maximum.accumulate(carbons(asked)).tolist()
    assert found.scored[found.best] == told[-1] == max(carbons(asked))


def test_molecules_of_the_wanted_size_are_found():
    def size(smiles):
        return [-(Chem.MolFromSmiles(one).GetNumHeavyAtoms() - 12.0)**2 for one in smiles]

    found = DiscriminatorGA(size, REFERENCE, population=20, seed=1).run(200)
    assert [Chem.MolFromSmiles(one).GetNumHeavyAtoms() for one in found.top(10)] == [12] * 10
    assert found.scores[0].tolist() == [-121.0] * 20  # twenty times methane
    assert found.scores.max() == found.scored[found.best] == 0


def test_descriptors_are_those_of_rdkit_and_counts_by_hand():
    for smiles in REFERENCE[::3]:
        molecule, found = Chem.MolFromSmiles(smiles), discriminator_ga.descriptors(smiles)
        assert found[0] == Descriptors.RingCount(molecule)
        assert found[14:17] == pytest.approx([Descriptors.BalabanJ(molecule), 0, Descriptors.NumValenceElectrons(molecule)])
    allene_and_rings = discriminator_ga.descriptors("C1CC1CC=C=CC1CCC2CC2C1")
    assert allene_and_rings[29:35] == [2, 0, 0, 1, 2, 0]  # ring systems, triple in a ring, adjacent doubles there and anywhere, 3-, 4-rings
    assert discriminator_ga.descriptors("C")[17:19] == [1, 4]  # atoms and hydrogens a carbon


def test_a_wrong_setting_is_told():
    for wrong, words in (({"population": 1}, "population is 1"), ({"beta": "adaptiv"}, "beta is 'adaptiv'")):
        with pytest.raises(ValueError, match=words):
            DiscriminatorGA(carbons, REFERENCE, **wrong).run(10)
    with pytest.raises(ValueError, match="one finite number for each"):
        DiscriminatorGA(lambda smiles: [0.0], REFERENCE, population=5).run(30)
    with pytest.raises(ValueError, match="reference_smiles is empty"):
        DiscriminatorGA(carbons, []).run(10)
