"""Packed batches against plain loops; rotations against what makes them rotations."""

import itertools

import numpy as np
import torch

from bakeoff.parts.equivariant import Atoms, random_rotations

SIZES = [3, 1, 5, 2, 4]


def atoms(cutoff=None):
    count = sum(SIZES)
    places = torch.rand(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    return Atoms(torch.arange(count), places, torch.tensor([0, *itertools.accumulate(SIZES)]), cutoff)


def test_a_batch_holds_every_pair_of_different_atoms_of_one_molecule_and_no_other():
    record, rows = atoms(), [2, 0, 1, 4]
    batch = record.batch(torch.tensor(rows))
    here = [list(range(record.offsets[row], record.offsets[row + 1])) for row in rows]
    assert batch.kind.tolist() == list(itertools.chain(*here))
    assert torch.equal(batch.place, record.place[batch.kind])
    assert batch.molecule.tolist() == [0] * 5 + [1] * 3 + [2] + [3] * 4
    known = [pair for one in here for pair in itertools.permutations(one, 2)]
    assert list(zip(batch.kind[batch.i].tolist(), batch.kind[batch.j].tolist(), strict=True)) == known


def test_a_cut_off_leaves_out_the_far_pairs_and_fades_the_others():
    everything, near = atoms().batch(torch.arange(5)), atoms(cutoff=1.5).batch(torch.arange(5))
    lengths = {(i, j): float((near.place[i] - near.place[j]).norm())
               for i, j in zip(everything.i.tolist(), everything.j.tolist(), strict=True)}
    pairs = list(zip(near.i.tolist(), near.j.tolist(), strict=True))
    assert pairs == [pair for pair, length in lengths.items() if length < 1.5]
    assert 0 < len(pairs) < len(lengths)
    np.testing.assert_allclose(near.fade()[:, 0], [(1 + np.cos(np.pi * lengths[pair] / 1.5)) / 2 for pair in pairs], atol=1e-12)


def test_sums_go_to_the_atom_that_hears_and_to_the_molecule_it_is_in():
    batch = atoms().batch(torch.arange(5))
    heard = batch.place.index_select(0, batch.j)
    whole = batch.per_molecule(batch.place)
    torch.testing.assert_close(whole, torch.stack([one.sum(0) for one in batch.place.split(SIZES)]))
    torch.testing.assert_close(batch.per_atom(heard), whole[batch.molecule] - batch.place)
    torch.testing.assert_close(batch.mean_per_atom(torch.ones(len(heard), 1))[:, 0], (batch.sizes > 1).float()[batch.molecule])


def test_portions_go_once_through_all_molecules_in_order():
    for pairs in (1, 20, 10_000):
        portions = atoms().portions(pairs)
        assert torch.cat(portions).tolist() == [0, 1, 2, 3, 4]
    assert len(atoms().portions(10_000)) == 1 < len(atoms().portions(20))


def test_random_rotations_keep_lengths_and_hands_and_prefer_no_direction():
    turns = random_rotations(20_000, torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3, dtype=torch.float64).expand_as(turns), atol=2e-6, rtol=0)
    torch.testing.assert_close(turns.det(), torch.ones(len(turns), dtype=torch.float64), atol=2e-6, rtol=0)
    assert turns.mean(0).abs().max() < 0.02  # uniform: every entry has mean 0, variance 1/3, fourth moment 1/5
    assert (turns.square().mean(0) - 1 / 3).abs().max() < 0.01
    assert ((turns ** 4).mean(0) - 1 / 5).abs().max() < 0.01
