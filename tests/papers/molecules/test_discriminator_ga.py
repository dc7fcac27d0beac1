"""The genetic algorithm with a discriminator: its rules one by one, on objectives whose answers are known."""

import numpy as np
import pandas
import pytest
import torch
from rdkit import Chem

from bakeoff.data.kinds.molecules import Molecules
from bakeoff.data.molecules import drugs
from bakeoff.papers.molecules.discriminator_ga import Discriminator, DiscriminatorGA, adaptive_beta, replacement_probability, score
from bakeoff.parts.fingerprints import similarity
from bakeoff.parts.penalised_logp import penalised_logp
from bakeoff.parts.selfies_mutation import mutate_selfies
from bakeoff.parts.smiles_mutation import mutate_smiles

REFERENCE = drugs().smiles
CHAINS = ["C" * carbons + "S" * sulphurs for carbons in range(3, 11) for sulphurs in range(1, 5)]


def carbons(smiles):
    return [one.count("C") for one in smiles]


def test_with_beta_zero_or_no_standstill_the_populations_do_not_depend_on_the_discriminator():
    plain, watched, other = (DiscriminatorGA(carbons, REFERENCE, beta=beta, population=20, seed=seed).run(120)
                             for beta, seed in ((0.0, 3), ("adaptive", 3), (0.0, 4)))
    assert watched.firings == plain.firings == ()  # it never stood still: both arms are one run
    assert plain.scored == watched.scored
    assert np.array_equal(plain.scores, watched.scores)
    assert plain.smiles == watched.smiles
    assert plain.scored != other.scored
    assert DiscriminatorGA(carbons, (), beta=0.0, population=20, seed=3).run(120).scored == plain.scored
    always = DiscriminatorGA(carbons, REFERENCE, beta=0.5, population=8).run(40)
    assert always.firings == tuple(range(len(always.scores)))


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
    longer = DiscriminatorGA(carbons, (), beta=0.0, population=6, mutate=lambda member, *_: (member + "C", member + "C")).run(12)
    assert longer.scored == {"C" * count: count for count in range(1, 13)}  # what a user's own mutation gives, and nothing else


@pytest.mark.parametrize("disturbance", ["discriminator", "chance", "restart"])
def test_every_disturbance_leaves_the_plain_run_as_it_is_up_to_the_first_standstill(disturbance):
    def run(beta):
        return DiscriminatorGA(carbons, REFERENCE, beta=beta, disturbance=disturbance, population=10, max_length=12).run(80)

    plain, disturbed = run(0.0), run("adaptive")
    first = disturbed.firings[0]
    assert first >= 4
    assert np.array_equal(plain.scores[:first + 1], disturbed.scores[:first + 1])
    assert not np.array_equal(plain.scores[first + 1], disturbed.scores[first + 1])
    restarted = [generation for generation, row in enumerate(disturbed.scores) if (row == 1).all()]  # all methane
    again = [one + 1 for one in disturbed.firings if one + 1 < len(disturbed.scores)]
    assert restarted == ([0, *again] if disturbance == "restart" else [0])
    flat = [len(set(disturbed.scores[g - 4:g + 1].max(1))) == 1 and g >= 4 for g in range(len(disturbed.scores))]
    assert disturbed.firings == tuple(np.flatnonzero(flat))


def test_members_that_are_reference_molecules_are_learnt_as_reference():
    same, told_apart = Discriminator(CHAINS, seed=0), Discriminator([one[::-1] for one in CHAINS], seed=0)  # written the other way round
    for _ in range(40):
        same.learn(CHAINS)
        told_apart.learn(CHAINS)
    assert same(CHAINS).min() > 0.75
    assert told_apart(CHAINS).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("mutate", [mutate_selfies, mutate_smiles])
def test_molecules_of_the_wanted_size_are_found_in_either_writing(mutate):
    def size(smiles):
        return [-(Chem.MolFromSmiles(one).GetNumHeavyAtoms() - 12.0)**2 for one in smiles]

    found, again, other = (DiscriminatorGA(size, REFERENCE, mutate=mutate, population=20, max_length=25, seed=seed).run(250)
                           for seed in (1, 1, 2))
    assert found.scored == again.scored != other.scored
    for one in found.scored:
        assert Chem.MolToSmiles(Chem.MolFromSmiles(one)) == one
        assert len(one) <= 25
    assert [Chem.MolFromSmiles(one).GetNumHeavyAtoms() for one in found.top(10)] == [12] * 10
    assert found.scores[0].tolist() == [-121.0] * 20  # twenty times methane
    assert found.scores.max() == found.scored[found.best] == 0


def test_novelty_and_diversity_are_those_of_the_last_population():
    found = DiscriminatorGA(carbons, REFERENCE, population=12).run(60)
    pairs = [similarity([one], [other])[0, 0] for place, one in enumerate(found.smiles) for other in found.smiles[:place]]
    assert found.diversity == pytest.approx(1 - np.mean(pairs))
    assert found.unique == len(set(found.smiles)) <= 12
    assert found.nearest == pytest.approx(np.mean([similarity([one], REFERENCE).max() for one in found.smiles]))
    assert found.novelty == np.mean([one not in {Chem.MolToSmiles(Chem.MolFromSmiles(two)) for two in REFERENCE} for one in found.smiles])
    among = DiscriminatorGA(carbons, [*REFERENCE, *found.smiles[:5]], beta=0.0, population=12).run(60)
    assert among.smiles == found.smiles
    assert among.novelty == np.mean([one not in found.smiles[:5] for one in found.smiles])
    measured = score(found, Molecules([found.best, "c1ccccc1"]))
    assert measured["best penalised logP"] == pytest.approx(penalised_logp([found.best])[0])
    assert measured["novelty of the ten best"] == 0.9  # the best is a test molecule
    assert measured["firings (0: the arms are one run)"] == len(found.firings)


def test_a_wrong_setting_is_told():
    for wrong, words in (({"population": 1}, "population is 1"), ({"beta": "adaptiv"}, "beta is 'adaptiv'"),
                         ({"disturbance": "noise"}, "disturbance is 'noise'"), ({"disturbance": "restart", "beta": 2.0}, "restart needs")):
        with pytest.raises(ValueError, match=words):
            DiscriminatorGA(carbons, REFERENCE, **wrong).run(10)
    with pytest.raises(ValueError, match="one finite number for each"):
        DiscriminatorGA(lambda smiles: [0.0], REFERENCE, population=5).run(30)
    with pytest.raises(ValueError, match="reference_smiles is empty"):
        DiscriminatorGA(carbons, []).run(10)
    with pytest.raises(ValueError, match="the string 'CCO'"):
        DiscriminatorGA(carbons, "CCO").run(10)
    with pytest.raises(ValueError, match="'C1CC' is no readable SMILES"):
        DiscriminatorGA(carbons, ["C1CC"], population=5).run(30)


def test_a_column_of_a_filtered_table_is_a_list_like_others():
    column = pandas.Series(["x", *REFERENCE[:5]])[1:]  # its labels begin with 1
    found, same = (DiscriminatorGA(carbons, one, beta=0.5, population=6).run(30) for one in (column, REFERENCE[:5]))
    assert found.scored == same.scored
    assert found.reference == tuple(REFERENCE[:5])
