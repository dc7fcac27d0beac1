"""The graph transformer's blocks against slow sums over edges, and against what padding and numbering must not change."""

import dataclasses

import torch

from bakeoff.parts.graph_transformer import (
    AttentiveReadout,
    GraphTransformer,
    MessagePassing,
    alike,
    drawn_hops,
    gradient_x_input,
    mean_rows,
    padded,
)
from bakeoff.parts.molecular_graphs import ATOM_FEATURES, BOND_FEATURES, featurise
from bakeoff.parts.seeding import seeded

SMILES = ["CC(=O)Nc1ccc(O)cc1", "C", "OCC", "C1CC1N", "[Na+].[Cl-]"]


def network(width=8, heads=2):
    with seeded(0):
        return GraphTransformer(ATOM_FEATURES, BOND_FEATURES, width, heads)


def test_hops_are_the_sums_over_bonds_that_do_not_turn_back():
    graphs = featurise(SMILES)
    batch = padded(graphs)
    with seeded(1):
        net = MessagePassing(ATOM_FEATURES + BOND_FEATURES, 0, nets=3, width=4)
    fast = net(batch.bonds, batch.follows, None, 2)[batch.bond_mask]  # (E, 3, 4)
    raw = torch.cat([graphs.atoms[graphs.index[0]], graphs.bonds], 1)
    start = net.start(raw).unflatten(1, (3, 4))
    slow = start.relu()
    leaves, enters = graphs.index.tolist()
    for _ in range(2):
        heard = torch.stack([sum((slow[f] for f in range(len(slow)) if enters[f] == leaves[e] and leaves[f] != enters[e]),
                                 torch.zeros(3, 4)) for e in range(len(slow))])
        slow = (start + torch.stack([heard[:, n] @ net.hop[n] for n in range(3)], 1)).relu()
    torch.testing.assert_close(fast, slow)


def test_the_atom_view_hears_its_neighbours_and_the_bonds_to_them():
    graphs = featurise(SMILES)
    batch = padded(graphs)
    with seeded(1):
        net = MessagePassing(ATOM_FEATURES, BOND_FEATURES, nets=1, width=4)
    crossed = batch.into @ batch.bonds[..., ATOM_FEATURES:]
    fast = net(batch.atoms, batch.beside, crossed, 1)[batch.atom_mask][:, 0]
    start = net.start(graphs.atoms)
    slow = start.clone()
    for bond, (leaves, enters) in enumerate(graphs.index.T.tolist()):
        slow[enters] += start[leaves].relu() @ net.hop[0] + net.crossing(graphs.bonds[bond])
    torch.testing.assert_close(fast, slow.relu())


def test_padding_changes_nothing():
    net, graphs = network(), featurise(SMILES)
    together = net.padded(padded(graphs), (2, 2))
    alone = [net.padded(padded(featurise([one])), (2, 2)) for one in SMILES]
    apart = net(graphs, (2, 2))
    for side in ("atoms", "bonds"):
        for view in (0, 1):
            expected = torch.cat([getattr(one, side)[view] for one in alone])
            torch.testing.assert_close(getattr(together, side)[view], expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(getattr(apart, side)[view], expected, atol=1e-5, rtol=1e-5)


def test_molecules_padded_apart_come_back_in_their_order():
    smiles = ["C" * 60, "CO", "N" * 55, "CCO", "c1ccccc1" * 5]
    graphs, net = featurise(smiles), network()
    assert [rows.tolist() for rows in alike(graphs)] == [[1, 3], [4], [0, 2]]
    seen = net(graphs, (1, 1))
    for row, one in enumerate(smiles):
        own = net.padded(padded(featurise([one])), (1, 1))
        torch.testing.assert_close(seen.atoms[1][graphs.molecule == row], own.atoms[1], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(seen.bonds[0][graphs.molecule[graphs.index[0]] == row], own.bonds[0], atol=1e-5, rtol=1e-5)


def test_without_attention_the_raw_input_still_reaches_the_outputs():
    net, batch = network(), padded(featurise(["CCO"]))
    for view in (net.atom_view, net.bond_view):
        view.norm.weight.data.zero_()
        view.norm.bias.data.zero_()
    seen = net.padded(batch, (2, 2))
    for view, atoms in zip((net.atom_view, net.bond_view), seen.atoms, strict=True):
        torch.testing.assert_close(atoms, view.to_atoms.norm(view.to_atoms.network(torch.cat([batch.atoms[0], torch.zeros(3, 8)], 1))))
        assert (atoms[0] - atoms[2]).abs().max() > 0.1  # carbon and oxygen


def test_attention_reaches_atoms_beyond_the_hops_and_none_of_another_molecule():
    net, graphs = network(), featurise(["CCCCCCCCCCO", "CCCCCCCCCCN"])
    plain = padded(graphs)
    batch = dataclasses.replace(plain, atoms=plain.atoms.clone().requires_grad_())
    first = net.padded(batch, (1, 1)).atoms[0][0, 0]
    slopes, = torch.autograd.grad(first, batch.atoms)
    assert slopes[0, 10].abs().max() > 1e-6
    assert slopes[1].abs().max() == 0


def test_readouts_stay_within_a_molecule_and_tell_how_large_it_is():
    graphs = featurise(["CCO", "C", "CCN"])
    atoms = torch.randn(len(graphs.atoms), 8, generator=torch.Generator().manual_seed(0))
    with seeded(0):
        read = AttentiveReadout(8, readings=2)
    found = read(atoms, graphs)
    weights = read.weigh(atoms[:3]).softmax(0)  # (3, 2)
    torch.testing.assert_close(found[0], torch.cat([(weights.T @ atoms[:3]).flatten(), atoms[:3].sum(0) / 10]))
    torch.testing.assert_close(found[1], torch.cat([atoms[3].repeat(2), atoms[3] / 10]))
    torch.testing.assert_close(mean_rows(atoms, graphs.molecule, 4)[[0, 3]], torch.stack([atoms[:3].mean(0), torch.zeros(8)]))


def test_hops_are_drawn_around_their_mean_and_no_further_than_half_of_it():
    rng = torch.Generator().manual_seed(0)
    drawn = torch.tensor([drawn_hops(6, rng) for _ in range(2000)]).float()
    assert drawn.min() >= 3
    assert drawn.max() <= 9
    assert abs(drawn.mean() - 6) < 0.1
    assert abs(drawn.std() - (1 + 1 / 12) ** 0.5) < 0.05
    assert {drawn_hops(0, rng), drawn_hops(1, rng)} <= {0, 1}


def test_of_no_molecules_there_are_no_outputs():
    seen = network()(featurise([]), (2, 2))
    assert [tuple(one.shape) for one in (*seen.atoms, *seen.bonds)] == [(0, 8)] * 4


def test_slope_times_input_goes_to_the_atom_and_for_a_bond_to_the_atom_that_it_leaves():
    def answer(batch, graphs):
        return (batch.bonds * torch.arange(1.0, 1 + batch.bonds.shape[1])[:, None]).sum() + 10 * batch.atoms[0, 2].sum()

    graphs = featurise(["CCO"])  # bonds 0-1, 1-0, 1-2, 2-1
    atoms, bonds = graphs.atoms.sum(1), torch.cat([graphs.atoms[graphs.index[0]], graphs.bonds], 1).sum(1)
    expected = torch.stack([bonds[0], 2 * bonds[1] + 3 * bonds[2], 4 * bonds[3] + 10 * atoms[2]])
    torch.testing.assert_close(gradient_x_input(graphs, answer), expected)
