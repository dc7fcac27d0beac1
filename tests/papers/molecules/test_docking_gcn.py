"""The modules of the classifier against what they must not see, the convolution against loops, the rank against the docking program."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem
from sklearn.metrics import roc_auc_score

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.kinds.poses import joined
from bakeoff.data.poses import complex_of
from bakeoff.errors import DataError, NotFitted
from bakeoff.papers.molecules import docking_gcn as paper
from bakeoff.papers.molecules.docking_gcn import PoseClassifier
from bakeoff.parts.contact_graphs import ContactGraph, ContactGraphs

SMALL = {"hidden": 8, "layers": 2}


class Protein:
    """A receptor of scattered atoms."""

    def __init__(self, places, types):
        self.places, self.types = places, types


def docked(smiles="CC(=O)Nc1ccc(O)cc1", seed=0, poses=4):
    """A ligand, the places of its atoms in some poses, and a protein about them."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=seed + 1) == 0
    mol, rng = Chem.RemoveHs(mol), np.random.default_rng(seed)
    places = mol.GetConformer().GetPositions() + rng.normal(size=(poses, 1, 3)) * 1.5
    return mol, places, Protein(rng.normal(size=(120, 3)) * 5, rng.integers(0, 288, 120))


def record(mol, places, protein, name="one"):
    rmsd = np.linspace(0.5, 6.0, len(places))
    return complex_of(protein, (mol, places, -rmsd, rmsd), name, name)


@pytest.fixture(scope="module")
def poses():
    smiles = ("CC(=O)Nc1ccc(O)cc1", "CCN(CC)CC", "OC(=O)c1ccccc1", "c1ccc2[nH]ccc2c1", "CCOC(=O)C", "Clc1ccncc1")
    return joined([record(*docked(one, seed), str(seed)) for seed, one in enumerate(smiles)])


@pytest.fixture(scope="module")
def core():
    return sets.load(Source("coreset-2013"), "poses")


def test_the_ligand_alone_cannot_tell_its_poses_apart(poses):
    classifier = PoseClassifier(("L",), **SMALL).fit(poses, steps=10)
    logit = classifier.score(poses)
    for i in range(len(poses)):
        one = logit[poses.pose_offsets[i]:poses.pose_offsets[i + 1]]
        assert np.ptp(one) < 1e-6
    assert np.ptp(logit) > 1e-3
    many = joined([poses.take([0])] * 400)
    chosen = np.bincount(classifier.choose(many)[0], minlength=4)  # chance: 100 of each
    assert (abs(chosen - 100) < 40).all()


def test_contacts_are_unchanged_by_moving_the_whole_complex_and_by_the_order_of_atoms(poses):
    classifier = PoseClassifier(("LP",), learning_rate=1e-2, **SMALL).fit(poses, steps=60)
    mol, places, protein = docked(seed=7)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    new, mixed = (np.random.default_rng(2).permutation(n) for n in (mol.GetNumAtoms(), 120))
    elsewhere = record(mol, places @ turn + 30, Protein(protein.places @ turn + 30, protein.types))
    mol_mixed = Chem.RenumberAtoms(mol, new.tolist())
    reordered = record(mol_mixed, places[:, new], Protein(protein.places[mixed], protein.types[mixed]))
    expected = classifier.score(record(mol, places, protein))
    assert np.ptp(expected) > 1e-3
    assert classifier.score(elsewhere) == pytest.approx(expected, abs=1e-4)
    assert classifier.score(reordered) == pytest.approx(expected, abs=1e-4)


def test_a_pose_beyond_the_cutoff_has_an_empty_graph_and_the_logit_of_nothing(poses):
    classifier = PoseClassifier(("LP",), cutoff=4.0, **SMALL).fit(poses, steps=10)
    far = replace(poses, distances=np.full(len(poses.distances), 4.1))
    nothing = classifier._network.head(torch.zeros(1, 8)).item()
    assert classifier.score(far) == pytest.approx(np.full(len(poses.rank), nothing), abs=1e-6)
    mixed = replace(poses, distances=np.where(poses.distances < 4.0, poses.distances, 4.9))
    assert classifier.score(mixed) == pytest.approx(classifier.score(poses), abs=1e-6)


def test_one_pose_does_not_know_of_the_others(poses):
    classifier = PoseClassifier(("L", "LP", "R"), **SMALL).fit(poses, steps=10)
    assert classifier.score(poses.first()) == pytest.approx(classifier.score(poses)[poses.pose_offsets[:-1]], abs=1e-5)
    assert classifier.score(poses.take([4, 2])) == pytest.approx(classifier.score(poses)[[*range(16, 20), *range(8, 12)]], abs=1e-5)


def test_the_convolution_is_that_of_the_equation_written_as_loops(poses):
    torch.manual_seed(0)
    net = ContactGraph(hidden=5, layers=2, cutoff=4.5).double()
    graphs = ContactGraphs(poses, 4.5)
    batch = graphs.batch([0, 2])
    batch = replace(batch, distances=batch.distances.double(), traits=batch.traits.double())
    batch.ligands.__dict__["atoms"] = batch.ligands.atoms.double()
    centres = torch.linspace(2.0, 4.5, 8, dtype=torch.float64)
    h = [net.ligand(batch.ligands.atoms[atom]).relu() for atom in batch.atoms]
    p = [net.protein(trait).relu() for trait in batch.traits]
    for weigh, own, protein_own, hear_ligand, hear_protein in net.layers:
        to_ligand, to_protein = [torch.zeros(5).double() for _ in h], [torch.zeros(5).double() for _ in p]
        for i, j, d in zip(*batch.ends.tolist(), batch.distances, strict=True):
            w = weigh((-((d - centres) / (2.5 / 7)) ** 2 / 2).exp())
            to_ligand[i] = to_ligand[i] + hear_protein(p[j]) * w / 4
            to_protein[j] = to_protein[j] + hear_ligand(h[i]) * w / 4
        h, p = ([(mine(x) + y).relu() for x, y in zip(xs, ys, strict=True)]
                for mine, xs, ys in ((own, h, to_ligand), (protein_own, p, to_protein)))
    expected = torch.stack([sum(x for x, pose in zip(h, batch.atom_pose, strict=True) if pose == q) / 20 for q in range(8)])
    assert torch.allclose(net(batch), expected, atol=1e-10)


def test_a_logit_that_falls_with_rank_is_the_docking_program(core):
    classifier = PoseClassifier(("R",), **SMALL).fit(core, steps=1)
    falling = -torch.arange(10.0)
    with torch.no_grad():
        classifier._network.rank.weight.copy_(torch.nn.functional.pad(falling[:, None] + 10, (0, 7)))
        norm, _, hidden, _, last = classifier._network.head
        norm.reset_parameters()
        hidden.weight.zero_()[0, 0] = 1
        hidden.bias.zero_()
        last.weight.zero_()[0, 0] = 1
    chosen, _ = classifier.choose(core)
    assert (chosen == 0).all()
    assert paper.score(classifier, core)[paper.CLAIM.metric] == 100 * (core.first().rmsd <= 2).mean()


def test_the_control_learns_to_choose_as_the_docking_program_does(core):
    for seed in (100, 101):
        train, test = core.split(seed)
        control = PoseClassifier(("R",), seed=seed).fit(train, steps=60)
        assert (control.choose(test)[0] == 0).all()


def test_a_rule_on_the_contacts_is_learned_and_holds_for_other_proteins(core):
    count = np.diff(core.contact_offsets)
    most = np.maximum.reduceat(count, core.pose_offsets[:-1])[core.complex_of]
    asked = replace(core, rmsd=np.where(count == most, 1.0, 5.0)).take(slice(0, 60))  # the pose with the most contacts is right
    train, test = asked.split(0)
    chosen, _ = PoseClassifier(("LP",), hidden=32, layers=1, learning_rate=5e-3, cutoff=5.0).fit(train, steps=120).choose(test)
    hit = (test.rmsd[test.pose_offsets[:-1] + chosen] <= 2).mean()
    assert hit > 1.5 * (test.rmsd <= 2).mean()


def test_activity_is_one_label_a_ligand_and_needs_no_crystal(poses):
    asked = replace(poses, rmsd=np.full(len(poses.rmsd), np.nan), active=[0, 1, 0, 1, 1, np.nan])
    classifier = PoseClassifier(("L",), "activity", hidden=32, layers=1, learning_rate=1e-2).fit(asked, steps=80)
    logit = classifier.score(asked.first())
    assert ((logit > 0) == [False, True, False, True, True, logit[5] > 0]).all()
    with pytest.raises(DataError, match="labels"):
        PoseClassifier(**SMALL).fit(asked)


def test_the_loss_of_even_odds_weighs_positives_up(poses):
    losses = []
    PoseClassifier(("LP",), batch_size=6, dropout=0.0, learning_rate=0.0, weight_decay=0.0, **SMALL).fit(poses, 1, losses.append)
    classifier = PoseClassifier(("LP",), batch_size=6, dropout=0.0, learning_rate=0.0, weight_decay=0.0, **SMALL).fit(poses, 1)
    classifier._network.train()  # the logits of one batch that is all there is
    logit, right = classifier.score(poses), poses.rmsd <= 2
    each = np.where(right, (~right).sum() / right.sum() * np.log1p(np.exp(-logit)), np.log1p(np.exp(logit)))
    assert losses[0] == pytest.approx(each.mean(), rel=1e-5)


def test_ranking_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    scores, good = rng.integers(0, 8, 200) / 8, rng.random(200) < 0.3
    assert paper.ranking(scores, good) == pytest.approx(roc_auc_score(good, scores))


def test_what_cannot_be_is_said(poses):
    with pytest.raises(NotFitted):
        PoseClassifier().score(poses)
    with pytest.raises(ValueError, match="modules"):
        PoseClassifier(("X",)).fit(poses)
    with pytest.raises(ValueError, match="learn"):
        PoseClassifier(learn="binding").fit(poses)
    with pytest.raises(DataError, match="ligand atom"):
        ContactGraphs(replace(poses, smiles=("C",) * len(poses)), 4.5)
    with pytest.raises(ValueError, match="each once"):
        PoseClassifier(("LP", "LP")).fit(poses)
    mixed = replace(poses, rmsd=np.resize([1.0, 1, 1, 1, 5, 5, 5, 5], len(poses.rank)))
    with pytest.raises(ValueError, match="batch_size=1 gives minibatches of one pose"):
        PoseClassifier(batch_size=1, **SMALL).fit(mixed.first(), steps=2)
    assert np.isfinite(PoseClassifier(batch_size=1, **SMALL).fit(mixed, steps=2).score(mixed)).all()
    classifier = PoseClassifier(("R",), **SMALL).fit(poses, steps=1)
    for judge in (paper.score, paper.draw):
        with pytest.raises(DataError, match="of 6 complexes to be judged by none has all its RMSDs"):
            judge(classifier, replace(poses, rmsd=np.full(len(poses.rmsd), np.nan)))
    few = poses.take([0, 1, 2])
    assert paper.draw(classifier, replace(few, rmsd=np.resize([1.0, 5.0], len(few.rank))))
