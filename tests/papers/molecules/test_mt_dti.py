"""MT-DTI: losses that see only what they should, padding that counts for nothing, and training that is what it says."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bakeoff.data.molecules import drugs
from bakeoff.errors import DataError, NotFitted
from bakeoff.papers.molecules.mt_dti import DrugTarget, MoleculeTransformer, masked_loss
from bakeoff.parts import model_files

DRUGS = drugs().smiles[:12]
PROTEINS = tuple("".join(np.random.default_rng(seed).choice(list("ACDEFGHIKLMNPQRSTVWY"), 40 + 9 * seed)) for seed in range(6))
PAIRS = np.argwhere(np.random.default_rng(0).random((12, 6)) < 0.7)
VALUES = np.random.default_rng(1).normal(6, 1, len(PAIRS))
TINY = {"layers": 1, "width": 16, "heads": 2, "dropout": 0.0, "batch_size": 8, "learning_rate": 1e-3}
SMALL = {"protein_width": 6, "filters": (4, 6, 8), "kernel": 5, "head": (16, 16), "block": 4, "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def encoder():
    return MoleculeTransformer(**TINY).fit(DRUGS, steps=5)


@pytest.fixture(scope="module")
def model(encoder):
    return DrugTarget(encoder, **SMALL).fit(DRUGS, PROTEINS, PAIRS, VALUES, steps=30, checkpoints=(12,))


def test_the_masked_loss_has_no_gradient_where_nothing_is_masked_and_is_the_mean_where_something_is():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 7, 11, generator=rng, dtype=torch.float64, requires_grad=True)
    numbers, chosen = torch.randint(11, (3, 7), generator=rng), torch.rand(3, 7, generator=rng) < 0.3
    loss = masked_loss(logits, numbers, chosen)
    loss.backward()
    assert torch.equal(logits.grad[~chosen], torch.zeros(int((~chosen).sum()), 11, dtype=torch.float64))
    by_hand = F.one_hot(numbers, 11) * -1.0 + logits.detach().softmax(2)
    assert torch.allclose(logits.grad[chosen], by_hand[chosen] / chosen.sum(), atol=1e-12)
    each = [-logits[b, i].log_softmax(0)[numbers[b, i]].item() for b, i in chosen.nonzero().tolist()]
    assert loss.item() == pytest.approx(np.mean(each))
    assert masked_loss(logits, numbers, torch.zeros_like(chosen)).item() == 0


def test_padding_changes_neither_vectors_nor_affinities(encoder, model):
    alone = np.concatenate([encoder.encode([one]) for one in DRUGS])
    assert np.allclose(encoder.encode(DRUGS), alone, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 0.1
    each = [model.predict([DRUGS[drug]], [PROTEINS[protein]], [[0, 0]])[0] for drug, protein in PAIRS]
    assert np.allclose(model.predict(DRUGS, PROTEINS, PAIRS), each, atol=1e-4)
    assert np.ptp(each) > 0.1


def test_pretraining_learns_what_a_gap_must_hold():
    losses = []
    MoleculeTransformer(**TINY | {"learning_rate": 1e-2}).fit(["C" * length for length in range(5, 15)] + ["N" * 9], 120, losses.append)
    assert np.mean(losses[:3]) > 1.0  # near log 8, of eight tokens
    assert np.mean(losses[-20:]) < 0.15  # the neighbours tell it all, where one is seen


def test_a_checkpoint_is_the_model_that_was_trained_no_longer(encoder, model):
    shorter = DrugTarget(encoder, **SMALL).fit(DRUGS, PROTEINS, PAIRS, VALUES, steps=12)
    assert np.array_equal(model.predict(DRUGS, PROTEINS, PAIRS, at=12), shorter.predict(DRUGS, PROTEINS, PAIRS))
    assert not np.allclose(model.predict(DRUGS, PROTEINS, PAIRS), shorter.predict(DRUGS, PROTEINS, PAIRS), atol=1e-3)
    with pytest.raises(ValueError, match=r"kept: \[12\]"):
        model.predict(DRUGS, PROTEINS, PAIRS, at=13)


def test_another_unit_of_the_affinity_is_another_unit_of_the_answer(encoder, model):
    other = DrugTarget(encoder, **SMALL).fit(DRUGS, PROTEINS, PAIRS, 25 * VALUES - 100, steps=30)
    assert np.allclose(other.predict(DRUGS, PROTEINS, PAIRS), 25 * model.predict(DRUGS, PROTEINS, PAIRS) - 100, atol=0.05)


def test_fitting_leaves_the_encoder_as_it_was_and_learns_the_pairs(encoder):
    before = encoder.encode(DRUGS)
    losses = []
    model = DrugTarget(encoder, **SMALL, dropout=0.0).fit(DRUGS, PROTEINS, PAIRS, VALUES, 300, on_step=losses.append)
    assert np.array_equal(encoder.encode(DRUGS), before)
    assert np.mean(losses[:10]) > 0.7
    assert np.square(model.predict(DRUGS, PROTEINS, PAIRS) - VALUES).mean() < 0.5 * VALUES.var()


def test_fine_tuning_starts_from_what_pretraining_made_of_each_drug(encoder):
    still = DrugTarget(encoder, **SMALL | {"learning_rate": 0.0}).fit(DRUGS, PROTEINS, PAIRS, VALUES, steps=1)
    with torch.no_grad():
        start = torch.cat([still._network.drug(torch.from_numpy(encoder._vocabulary.numbers([one], 100))) for one in DRUGS])
    assert np.allclose(start, encoder.encode(DRUGS), atol=1e-5)


def test_saved_and_loaded_it_says_and_learns_the_same(encoder, model, tmp_path):
    encoder.save(tmp_path / "encoder.safetensors")
    model.save(tmp_path / "model.safetensors")
    again = MoleculeTransformer.load(tmp_path / "encoder.safetensors")
    assert np.array_equal(again.encode(DRUGS), encoder.encode(DRUGS))
    assert np.array_equal(again.fit(DRUGS, 5).encode(DRUGS), encoder.encode(DRUGS))
    loaded = DrugTarget.load(tmp_path / "model.safetensors")
    expected = model.predict(DRUGS, PROTEINS, PAIRS)
    assert np.array_equal(loaded.predict(DRUGS, PROTEINS, PAIRS), expected)
    assert np.array_equal(loaded.fit(DRUGS, PROTEINS, PAIRS, VALUES, steps=30).predict(DRUGS, PROTEINS, PAIRS), expected)


def test_what_cannot_be_used_is_refused_with_the_reason(encoder):
    with pytest.raises(NotFitted):
        DrugTarget(MoleculeTransformer(**TINY)).fit(DRUGS, PROTEINS, PAIRS, VALUES, steps=1)
    with pytest.raises(NotFitted):
        DrugTarget(encoder).save("nowhere")
    fresh = DrugTarget(encoder, **SMALL)
    for words, pairs, values in ((r"\(0, 2\)|for 0 pairs", PAIRS[:0], VALUES[:0]), ("one finite number for each", PAIRS, VALUES[1:]),
                                 ("12 drugs, 6 proteins", PAIRS + 1, VALUES), ("finite", PAIRS, VALUES * np.nan)):
        with pytest.raises(ValueError, match=words):
            fresh.fit(DRUGS, PROTEINS, pairs, values, steps=1)
    with pytest.raises(ValueError, match="'C!' is no SMILES"):
        encoder.encode(["C!"])


def test_no_smiles_have_no_vectors_a_metal_is_read_and_a_string_is_no_list(encoder):
    assert encoder.encode([]).shape == (0, 16)
    cisplatin = "[NH3]->[Pt](<-[NH3])(Cl)Cl"
    assert np.isfinite(MoleculeTransformer(**TINY).fit([*DRUGS, cisplatin], steps=1).encode([cisplatin])).all()
    for asked in (encoder.encode, MoleculeTransformer(**TINY).fit):
        with pytest.raises(ValueError, match="the string 'CCO'"):
            asked("CCO")


def test_what_is_asked_of_smiles_is_what_is_said(model):
    """Tokens are checked and chemistry is not, and two writings are two drugs: the docstrings say so."""
    one, other, none = model.predict(["CCO", "OCC", "CC(C"], PROTEINS, [[0, 0], [1, 0], [2, 0]])
    assert abs(one - other) > 1e-6
    assert np.isfinite(none)
    for method in (DrugTarget.fit, DrugTarget.predict, MoleculeTransformer.fit, MoleculeTransformer.encode):
        assert "RDKit's canonical" in method.__doc__
    for wrong in (["C!"], PROTEINS, [[0, 0]]), (["C"], ["M1"], [[0, 0]]), (["C"], PROTEINS, [[0, 0.5]]):
        with pytest.raises(ValueError, match=r"no SMILES|amino acids|whole numbers"):
            model.predict(*wrong)


def test_a_file_whose_card_and_weights_do_not_fit_is_told(encoder, model, tmp_path):
    for kind, saved in ((MoleculeTransformer, encoder), (DrugTarget, model)):
        saved.save(tmp_path / "whole")
        tensors, card = model_files.load(tmp_path / "whole", kind.__name__)
        wrong = [(tensors, {key: value for key, value in card.items() if key != "arguments"}),
                 (tensors, card | {"arguments": card["arguments"] | {"colour": 1}}),
                 (tensors, card | {"arguments": card["arguments"] | {"longest": "many"}}),
                 (tensors, card | {"tokens": [1] * len(encoder._vocabulary.known), "encoder": 3}),
                 (dict(list(tensors.items())[1:]), card), (dict(list(tensors.items())[:-1]), card)]
        for place, (weights, told) in enumerate(wrong):
            model_files.save(tmp_path / f"{place}", weights, told)
            with pytest.raises(DataError, match="does not fit together"):
                kind.load(tmp_path / f"{place}")
