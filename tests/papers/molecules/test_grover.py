"""Grover: what numbering and padding must not change, what its losses must not see, and what it must remember."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem

from bakeoff.data.kinds.molecules import Molecules
from bakeoff.data.molecules import drugs
from bakeoff.errors import DataError, NotFitted
from bakeoff.papers.molecules.grover import Grover, score
from bakeoff.parts.contexts import SelfSupervision
from bakeoff.parts.graph_transformer import Embeddings, GraphTransformer, padded
from bakeoff.parts.molecular_graphs import featurise
from bakeoff.parts.seeding import seeded

DRUGS = drugs().smiles
SIZES = {"width": 16, "heads": 2, "hops": 2}
HEAVY = Molecules(DRUGS, [[float(Chem.MolFromSmiles(one).GetNumAtoms())] for one in DRUGS], ("heavy atoms",))


@pytest.fixture(scope="module")
def model():
    return Grover(**SIZES).pretrain(DRUGS, steps=3).fit(HEAVY, steps=20)


def test_renumbering_atoms_leaves_the_output_and_moves_the_attribution_along(model):
    rng = np.random.default_rng(0)
    for smiles in (*DRUGS[:10], "F/C=C/Cl"):
        molecule = Chem.MolFromSmiles(smiles)
        order = rng.permutation(molecule.GetNumAtoms())
        other = Chem.RenumberAtoms(molecule, order.tolist())
        text = Chem.MolToSmiles(other, canonical=False)
        place = np.array(other.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
        np.testing.assert_allclose(model.predict([text]), model.predict([smiles]), atol=1e-4)  # of values around 20
        np.testing.assert_allclose(model.encode([text]), model.encode([smiles]), atol=1e-5)
        np.testing.assert_allclose(model.attribute([text])[0], model.attribute([smiles])[0][order[place]], atol=1e-4)


def test_the_company_of_other_molecules_changes_nothing(model):
    smiles = ["C", *DRUGS[:5], "C" * 500, "CCO"]
    np.testing.assert_allclose(model.predict(smiles), np.concatenate([model.predict([one]) for one in smiles]), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(model.encode(smiles), np.concatenate([model.encode([one]) for one in smiles]), rtol=1e-5, atol=1e-5)


def test_the_context_loss_sees_only_what_is_asked():
    graphs = featurise(DRUGS[:4])
    rng = torch.Generator().manual_seed(0)
    atoms, bonds = len(graphs.atoms), len(graphs.bonds)
    views = [torch.randn(count, 8, generator=rng).requires_grad_() for count in (atoms, atoms, bonds, bonds)]
    with seeded(0):
        heads = SelfSupervision(8, (5, 6))
    classes = torch.full((atoms,), -1), torch.full((bonds,), -1)
    classes[0][[0, 9]], classes[1][4] = torch.tensor([3, 1]), 2
    loss = heads.loss(Embeddings(tuple(views[:2]), tuple(views[2:])), graphs, classes, torch.zeros(4, 85), ("context",))
    first, second = (head(view[[0, 9]]).log_softmax(1) for head, view in zip(heads.context[0], views[:2], strict=True))
    third, fourth = (head(view[[4]]).log_softmax(1) for head, view in zip(heads.context[1], views[2:], strict=True))
    expected = (-(first[0, 3] + first[1, 1]) / 2 - (second[0, 3] + second[1, 1]) / 2 - third[0, 2] - fourth[0, 2]
                + 0.1 * (first - second).square().mean() + 0.1 * (third - fourth).square().mean())
    torch.testing.assert_close(loss, expected)
    for slope, asked in zip(torch.autograd.grad(loss, views), ([0, 9], [0, 9], [4], [4]), strict=True):
        assert slope.abs().sum(1).nonzero()[:, 0].tolist() == asked


def test_values_that_were_not_measured_teach_nothing():
    holes = np.column_stack([HEAVY.targets[:, 0], np.where(np.arange(len(DRUGS)) % 2, 1.0, np.nan)])
    both = Molecules(DRUGS, holes, ("a", "b"))
    labelled = Molecules(("CCC", *DRUGS), np.concatenate([[[np.nan, np.nan]], holes]), ("a", "b"))
    answers = [Grover(**SIZES).fit(one, steps=5).predict(DRUGS[:6]) for one in (both, labelled)]
    assert np.array_equal(*answers)
    for record, named in ((Molecules(("C",), [[np.nan]], ("a",)), "a"), (Molecules(("C",)), "any target")):
        with pytest.raises(DataError, match=f"^none of the 1 training molecules has a value of {named}\n"):
            Grover(**SIZES).fit(record)


def test_an_atoms_attribution_is_the_slope_along_its_features_and_those_of_the_bonds_that_leave_it(model):
    graphs, network, head = featurise(DRUGS[:1]), deepcopy(model._network).double(), deepcopy(model._head).double()
    plain, step = padded(graphs), 1e-5
    plain = replace(plain, **{name: value.double() for name, value in vars(plain).items() if value.is_floating_point()})
    for atom in (0, 1, 5):
        answers = []
        for change in (-step, step):
            atoms, bonds = plain.atoms.clone(), plain.bonds.clone()
            atoms[0, atom] *= 1 + change
            bonds[0, graphs.index[0] == atom] *= 1 + change
            with torch.no_grad():
                answers.append(model._answer(head(network.padded(replace(plain, atoms=atoms, bonds=bonds), (2, 2)), graphs))[0, 0].item())
        assert model.attribute(DRUGS[:1])[0][atom] == pytest.approx((answers[1] - answers[0]) / (2 * step), rel=1e-3)


def test_pretraining_is_kept_by_fit_and_changes_what_it_gives():
    losses = []
    pretrained = Grover(**SIZES, pretraining_rate=3e-3).pretrain(DRUGS, steps=40, on_step=losses.append)
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:5])
    before = pretrained.encode(DRUGS[:3])
    with pytest.raises(NotFitted):
        pretrained.predict(DRUGS[:3])
    once, twice = (pretrained.fit(HEAVY, steps=3).predict(DRUGS[:9]) for _ in range(2))
    assert np.array_equal(once, twice)
    assert not np.allclose(once, Grover(**SIZES).fit(HEAVY, steps=3).predict(DRUGS[:9]))
    assert not np.allclose(before, pretrained.encode(DRUGS[:3]))


def test_classes_are_learnt_as_probabilities():
    acid = Molecules(DRUGS, [[float("C(=O)O" in one)] for one in DRUGS], ("acid or ester",))
    said = Grover(**SIZES, task="classification", dropout=0.0, learning_rate=1e-2).fit(acid, steps=100).predict(DRUGS)
    assert said.min() >= 0
    assert said.max() <= 1
    assert said[acid.targets == 1].mean() > said[acid.targets == 0].mean() + 0.3


def test_the_score_leaves_out_what_was_not_measured():
    class Zero:
        measured = np.array([True, True])

        def predict(self, smiles):
            return np.zeros((len(smiles), 2))

    test = Molecules(("C", "CC", "CCC"), [[3.0, np.nan], [np.nan, np.nan], [4.0, 2.0]], ("a", "b"))
    assert score(Zero(), test)["RMSE"] == pytest.approx((12.5**0.5 + 2) / 2)
    assert score(Zero(), test.take([0]))["RMSE"] == pytest.approx(3)  # of "b" nothing was measured


def test_the_motif_loss_is_the_cross_entropy_of_the_groups_that_are_there_and_the_views_disagreement():
    graphs = featurise(DRUGS[:3])
    rng = torch.Generator().manual_seed(1)
    atoms, bonds = len(graphs.atoms), len(graphs.bonds)
    views = [torch.randn(count, 8, generator=rng) for count in (atoms, atoms, bonds, bonds)]
    with seeded(0):
        heads = SelfSupervision(8, (5, 6))
    there = (torch.rand(3, 85, generator=rng) < 0.3).float()
    nothing = torch.full((atoms,), -1), torch.full((bonds,), -1)
    loss = heads.loss(Embeddings(tuple(views[:2]), tuple(views[2:])), graphs, nothing, there, ("motif",))
    expected = 0.0
    for some, owner, motif in ((views[:2], graphs.molecule, heads.motif[0]), (views[2:], graphs.molecule[graphs.index[0]], heads.motif[1])):
        means = [torch.stack([view[owner == place].mean(0) for place in range(3)]) for view in some]
        said = [head(one).sigmoid() for head, one in zip(motif, means, strict=True)]
        expected += sum(-(there * one.log() + (1 - there) * (1 - one).log()).mean() for one in said) + (said[0] - said[1]).square().mean()
    torch.testing.assert_close(loss, expected)


def test_the_first_loss_of_fitting_is_that_of_equation_three(monkeypatch):
    monkeypatch.setattr(Grover, "_drawn_hops", lambda self, rng: (2, 2))
    model, seen = Grover(width=16, heads=2, hops=2, dropout=0.0, seed=3), []
    molecules = Molecules(("CCO", "CCN", "c1ccccc1", "CC(=O)O"), [[1.0], [2.0], [4.0], [9.0]], ("a",))
    model.fit(molecules, steps=1, on_step=seen.append)
    graphs, y = featurise(molecules.smiles), torch.tensor(molecules.targets).float()
    y = (y - y.mean()) / y.std(correction=0)
    with torch.no_grad():
        first, second = model._new_head(1).eval()(model._new().eval()(graphs, (2, 2)), graphs)
    expected = (first - y).square().mean() + (second - y).square().mean() + 0.1 * (first - second).square().mean()
    assert seen == [pytest.approx(float(expected), rel=1e-4)]


def test_the_hops_are_drawn_for_each_view_in_training_and_fixed_in_use(monkeypatch):
    told, plain = [], GraphTransformer.forward

    def forward(self, graphs, hops, **options):
        told.append(hops)
        return plain(self, graphs, hops, **options)

    monkeypatch.setattr(GraphTransformer, "forward", forward)
    model = Grover(width=8, heads=2, hops=6).fit(HEAVY, steps=30)
    assert len({first for first, _ in told}) > 2
    assert len({second for _, second in told}) > 2
    assert any(first != second for first, second in told)
    told.clear()
    model.predict(["CCO"])
    assert told == [(6, 6)]
