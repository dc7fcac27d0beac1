"""D-MPNN: its states against a loop over bonds, what renumbering does to it (nothing), and what it learns from missing labels (nothing)."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rdkit import Chem

from bakeoff.baselines.dmpnn import DMPNN, Network, climb_and_fall, known_loss, messages, standard
from bakeoff.data.kinds.molecules import Molecules
from bakeoff.data.molecules import drugs
from bakeoff.errors import NotFitted
from bakeoff.parts.molecular_graphs import featurise
from bakeoff.parts.seeding import seeded

SMILES = (*drugs().smiles[:10], "[Na+].[Cl-]", "CC(C)(C)C", "C")


def network(**options) -> Network:
    with seeded(0):
        return Network(2, hidden=16, **options).double()


def graphs(smiles=SMILES):
    """Packed graphs whose features come in double precision."""
    one = featurise(smiles).take(range(len(smiles)))
    one.__dict__["atoms"], one.__dict__["bonds"] = one.atoms.double(), one.bonds.double()
    return one


def by_a_loop(net: Network, batch) -> torch.Tensor:
    """The states of the atoms as the paper's equations have them, one directed bond after the other."""
    bonds = batch.index.T.tolist()
    start = [net.first(torch.cat([batch.atoms[v], batch.bonds[e]])) for e, (v, _) in enumerate(bonds)]
    state = [one.relu() for one in start]
    for _ in range(net.depth - 1):
        heard = [sum((state[f] for f, (u, to) in enumerate(bonds) if to == v and u != w), torch.zeros(16).double()) for v, w in bonds]
        state = [(one + net.between(message)).relu() for one, message in zip(start, heard, strict=True)]
    total = [sum((state[f] for f, (_, to) in enumerate(bonds) if to == v), torch.zeros(16).double()) for v in range(len(batch.atoms))]
    return torch.stack([net.last(torch.cat([x, one])).relu() for x, one in zip(batch.atoms, total, strict=True)])


def test_messages_are_those_of_a_loop_over_the_bonds():
    batch = graphs(("CC(=O)Nc1ccc(O)cc1",))
    state = torch.randn(batch.index.shape[1], 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    bonds = batch.index.T.tolist()
    heard = [sum((state[f] for f, (u, to) in enumerate(bonds) if to == v and u != w), torch.zeros(3).double()) for v, w in bonds]
    assert torch.allclose(messages(state, batch), torch.stack(heard), atol=1e-12)
    assert torch.allclose(messages(state, batch, torch.tensor([5, 2])), torch.stack(heard)[[5, 2]], atol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_states_computed_once_for_bonds_with_like_surroundings_are_those_of_the_paper(depth):
    net, batch = network(depth=depth), graphs()
    assert torch.allclose(net.states(batch), by_a_loop(net, batch), atol=1e-12)


def test_gradients_are_those_of_the_loop_too():
    net, batch = network(), graphs(("CC(=O)Nc1ccc(O)cc1", "CC(C)(C)C", "OC"))
    weight = torch.randn(len(batch.atoms), 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found, expected = (torch.autograd.grad((states * weight).sum(), [net.first.weight, net.between.weight, net.last.weight])
                       for states in (net.states(batch), by_a_loop(net, batch)))
    assert all(torch.allclose(one, other, atol=1e-10) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("readout", ["mean", "sum"])
def test_the_order_of_atoms_changes_nothing(readout):
    net, rng = network(readout=readout), np.random.default_rng(0)
    shuffled = []
    for smiles in SMILES:
        molecule = Chem.MolFromSmiles(smiles)
        order = rng.permutation(molecule.GetNumAtoms()).tolist()
        shuffled.append(Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False))
    assert sum(one != other for one, other in zip(SMILES, shuffled, strict=True)) > 8
    assert torch.allclose(net(graphs(SMILES)), net(graphs(shuffled)), atol=1e-6)


def test_a_molecule_is_alone_in_its_batch_and_the_sum_readout_adds_up_what_is_unbonded():
    net = network(readout="sum")
    assert torch.allclose(net(graphs())[3], net(graphs(SMILES[3:4]))[0], atol=1e-12)
    apart, together = net.encode(graphs(("CCO", "c1ccccc1"))), net.encode(graphs(("CCO.c1ccccc1",)))
    assert torch.allclose(apart.sum(0), together[0], atol=1e-12)
    net.readout = "mean"
    assert torch.allclose(net.encode(graphs(("CCO.c1ccccc1",)))[0], together[0] / 9, atol=1e-12)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_missing_labels_teach_nothing(task):
    outputs = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [torch.nan, torch.nan], [torch.nan, 0.0]])
    loss = known_loss(outputs, targets, task)
    loss.backward()
    assert torch.equal(outputs.grad == 0, targets.isnan())
    known = [(0, 0), (1, 0), (1, 1), (3, 1)]
    one = F.mse_loss if task == "regression" else F.binary_cross_entropy_with_logits
    assert loss.item() == pytest.approx(np.mean([one(outputs[at], targets[at]).item() for at in known]))
    nothing = known_loss(outputs, torch.full((4, 2), torch.nan), task)
    assert torch.equal(torch.autograd.grad(nothing, outputs)[0], torch.zeros(4, 2))


def test_targets_are_standardised_over_what_is_known():
    mean, spread = standard(torch.tensor([[1.0, 5.0, torch.nan], [torch.nan, 5.0, torch.nan], [5.0, 5.0, torch.nan]]))
    assert mean.tolist() == [3, 5, 0]
    assert spread.tolist() == [2, 1, 1]


def test_the_unit_of_the_target_does_not_matter():
    molecules = Molecules(drugs().smiles[:20], np.arange(20.0)[:, None], ("y",))
    scaled = Molecules(molecules.smiles, 1000 * molecules.targets + 5e4, ("y",))
    one, other = (DMPNN(hidden=16, batch_size=10).fit(given, steps=5).predict(given) for given in (molecules, scaled))
    assert torch.allclose(1000 * one + 5e4, other, rtol=1e-4)


def test_it_learns_two_tasks_with_half_of_the_labels_and_repeats_itself():
    smiles = [chain + end for chain in ("C", "CC", "CCC", "CCCC", "CC(C)") for end in ("O", "N", "F", "Cl")]
    truth = np.array([["O" in one, "N" in one] for one in smiles], float)
    seen = np.where(np.arange(20)[:, None] // 4 % 2 == [0, 1], truth, np.nan)
    seen[:4], losses = truth[:4], []
    learner = DMPNN("classification", hidden=32, batch_size=20, learning_rate=1e-2)
    first = learner.fit(Molecules(smiles, seen, ("alcohol", "amine")), steps=60, on_step=losses.append).predict(Molecules(smiles))
    assert torch.equal(first > 0.5, torch.tensor(truth) > 0.5)
    assert len(losses) == 60
    assert losses[-1] < 0.1 * losses[0]
    again = learner.fit(Molecules(smiles, seen, ("alcohol", "amine")), steps=60).predict(Molecules(smiles))
    assert torch.equal(first, again)


def test_the_rate_climbs_to_its_peak_and_falls_to_a_tenth():
    rates = [climb_and_fall(step, 1000, 0.1) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert abs(np.argmax(rates) - 100) <= 1
    assert np.diff(np.log(rates[101:])) == pytest.approx(np.log(0.1) / (0.9 * 999))


def test_what_cannot_be_learned_from_is_refused():
    molecules = Molecules(["C", "CC"], [[0.5], [1.0]], ("y",))
    for wrong, told in ((DMPNN("ranking"), "task"), (DMPNN("classification"), "0 and 1"), (DMPNN(readout="max"), "readout")):
        with pytest.raises(ValueError, match=told):
            wrong.fit(molecules, steps=1)
    with pytest.raises(ValueError, match="no targets"):
        DMPNN().fit(Molecules(["C", "CC"]), steps=1)
    with pytest.raises(NotFitted):
        DMPNN().predict(molecules)
