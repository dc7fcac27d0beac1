"""The networks against their symmetries, to rounding in float64; their forces against differences; limits with a known answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bakeoff.data.kinds.structures import Structures
from bakeoff.errors import DataError, NotFitted
from bakeoff.papers.molecules import gdl_molecules as paper
from bakeoff.papers.molecules.gdl_molecules import GeometricNet, Interaction
from bakeoff.parts.equivariant import Atoms, random_rotations

ALL = ("E3", "invariant", "SE3", "translation")
FLIP = np.diag([1.0, 1.0, -1.0])


def clouds(sizes=(5, 1, 7, 2, 4), seed=0, spread=1.2):
    """Molecules of random atoms at random places, with a target that depends on lengths."""
    rng = np.random.default_rng(seed)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    places = rng.normal(size=(ends[-1], 3)) * spread
    energy = [-np.exp(-np.linalg.norm(one[:, None] - one[None], axis=2)).sum() for one in np.split(places, ends[1:-1])]
    return Structures(rng.choice([1, 6, 8], ends[-1]), places, ends, np.array(energy)[:, None], ("energy",), ("eV",))


def fitted(symmetry, steps=20, **options):
    """A net that has learned enough to move atoms and to weigh handedness."""
    return GeometricNet(symmetry, hidden=16, layers=3, learning_rate=1e-2, **options).fit(clouds((4, 6) * 10), steps=steps)


def turn(seed=0):
    return random_rotations(1, torch.Generator().manual_seed(seed))[0].double().numpy()


def moved(structures, matrix, shift=(0.0, 0.0, 0.0)):
    exact, _ = np.linalg.qr(matrix)  # orthogonal in float64, where the drawn one is in float32
    exact = exact * np.sign((exact * matrix).sum(0))
    return replace(structures, coordinates=structures.coordinates @ exact.T + shift)


def reordered(structures, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.arange(*ends)) for ends in zip(structures.offsets, structures.offsets[1:], strict=False)])
    return replace(structures, numbers=structures.numbers[rows], coordinates=structures.coordinates[rows])


@pytest.mark.parametrize("cutoff", [None, 3.0])
@pytest.mark.parametrize("symmetry", ALL)
def test_each_network_has_the_symmetries_it_is_named_for_and_no_others(symmetry, cutoff):
    net, molecules = fitted(symmetry, cutoff=cutoff), clouds()
    value, turning = net.predict(molecules), turn()
    assert np.ptp(value) > 0.1
    np.testing.assert_allclose(net.predict(moved(molecules, np.eye(3), (3.0, -40.0, 7.0))), value, atol=1e-9)
    np.testing.assert_allclose(net.predict(reordered(molecules)), value, atol=1e-9)
    np.testing.assert_allclose(net.embed(reordered(molecules)), net.embed(molecules), atol=1e-9)
    rotated, mirrored = (np.abs(net.predict(moved(molecules, one)) - value).max() for one in (turning, FLIP @ turning))
    assert (rotated < 1e-9) == (symmetry != "translation")
    assert (mirrored < 1e-9) == (symmetry in ("E3", "invariant"))
    if symmetry == "translation":
        assert rotated > 1e-3


def test_mirror_images_are_told_apart_unless_the_molecule_has_a_mirror_plane():
    net, chiral = fitted("SE3"), clouds((6,), seed=3)
    assert np.abs(net.predict(chiral) - net.predict(moved(chiral, FLIP))).max() > 1e-6
    flat = replace(chiral, coordinates=chiral.coordinates * [1, 1, 0])
    paired = Structures(np.tile(chiral.numbers, 2), np.concatenate([chiral.coordinates, chiral.coordinates @ FLIP]), [0, 12])
    for achiral in (flat, paired):
        achiral = moved(achiral, turn(1))
        np.testing.assert_allclose(net.predict(achiral), net.predict(moved(achiral, FLIP)), atol=1e-9)


def test_places_turn_with_the_molecule_and_features_do_not():
    molecules, turning = clouds(), torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    atoms = Atoms(torch.zeros(19, dtype=torch.long), torch.tensor(molecules.coordinates), torch.tensor(molecules.offsets), None)
    batch = atoms.batch(torch.arange(5))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer, h = Interaction("E3", 8).double(), torch.randn(19, 8, dtype=torch.float64)
        torch.nn.init.normal_(layer.move[-1].weight)
    with torch.no_grad():
        features, places = layer(h, batch.place, batch.fade(), batch)
        again, along = layer(h, batch.place @ turning.T, batch.fade(), batch)
    assert (places - batch.place).abs().max() > 0.01
    torch.testing.assert_close(along, places @ turning.T, atol=1e-10, rtol=0)
    torch.testing.assert_close(again, features, atol=1e-10, rtol=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("symmetry", ["E3", "invariant", "SE3"])
def test_forces_turn_mirror_and_change_their_order_with_the_atoms_and_stay_when_all_is_moved(symmetry, seed):
    net, molecules, turning = fitted(symmetry), clouds(seed=seed), turn(seed)
    named = replace(molecules, numbers=np.arange(1, 20))  # which atom went where
    order, forces = reordered(named, seed).numbers - 1, net.forces(molecules)
    assert np.abs(forces).max() > 0.01
    for matrix in (turning, FLIP @ turning) if symmetry != "SE3" else (turning,):
        changed = reordered(moved(molecules, matrix, (1.0, -20.0, 3.0)), seed)
        np.testing.assert_allclose(net.forces(changed), forces[order] @ matrix.T, atol=1e-5)
        np.testing.assert_allclose(net.predict(changed), net.predict(molecules), atol=1e-5)


@pytest.mark.parametrize("symmetry", ALL)
@pytest.mark.parametrize("cutoff", [None, 2.5])
def test_forces_are_minus_the_slope_of_the_energy_and_neither_push_nor_spin_a_molecule(symmetry, cutoff):
    net, molecules, small = fitted(symmetry, cutoff=cutoff), clouds(), 1e-5
    forces = net.forces(molecules)
    for atom, axis in ((0, 0), (3, 1), (5, 2), (8, 0), (12, 1), (18, 2)):
        step = np.zeros_like(forces)
        step[atom, axis] = small
        ahead, behind = (net.predict(replace(molecules, coordinates=molecules.coordinates + s * step)).sum() for s in (1, -1))
        np.testing.assert_allclose(forces[atom, axis], -(ahead - behind) / (2 * small), atol=1e-6, rtol=1e-6)
    torques = np.cross(molecules.coordinates, forces)
    np.testing.assert_allclose(np.add.reduceat(forces, molecules.offsets[:-1]), 0, atol=1e-9)
    spin = np.abs(np.add.reduceat(torques, molecules.offsets[:-1])).max()
    assert (spin < 1e-9) == (symmetry != "translation")


def test_molecules_far_apart_add_up_and_those_in_a_batch_do_not_hear_each_other():
    net, (one, two) = fitted("invariant", cutoff=3.0), (clouds((5,), seed=1), clouds((6,), seed=2))
    both = Structures(np.concatenate([one.numbers, two.numbers]), np.concatenate([one.coordinates, two.coordinates + 50]), [0, 11])
    together = replace(both, offsets=np.array([0, 5, 11]), targets=np.zeros((2, 0)))
    alone = np.concatenate([net.predict(one), net.predict(two)])
    np.testing.assert_allclose(net.predict(together), alone, atol=1e-10)
    np.testing.assert_allclose(net.predict(both), alone.sum(), atol=1e-10)


@pytest.mark.parametrize("symmetry", ALL)
def test_nothing_jumps_where_an_atom_comes_into_hearing(symmetry):
    net = fitted(symmetry, cutoff=3.0)
    triples = [np.array([[0.0, 0, 0], [1.2, 0, 0], [x, 0, 0]]) for x in (4.2 - 1e-4, 4.2 + 1e-4, 3.8)]  # heard from 4.2
    just, not_yet, near = (net.predict(Structures([1, 6, 8], places, [0, 3]))[0] for places in triples)
    assert abs(just - not_yet) < 1e-6 < 1e-4 < abs(near - not_yet)


def test_what_the_elements_explain_is_known_without_a_step():
    molecules = clouds((3, 4, 5, 6, 7))
    price = {1: -2.0, 6: 30.0, 8: 0.5}
    counts = np.array([sum(price[z] for z in molecules.molecule(i)[0]) for i in range(5)])
    net = GeometricNet(hidden=8, layers=1).fit(replace(molecules, targets=counts[:, None]), steps=1)
    np.testing.assert_allclose(net.by_elements(molecules), counts, atol=1e-9)
    np.testing.assert_allclose(net.predict(molecules), counts, atol=1e-6)


def test_a_law_of_lengths_is_learned_from_turned_molecules_by_the_one_that_carries_the_symmetry():
    molecules = clouds((2,) * 60, spread=0.8)
    seen, kept = molecules.take(slice(0, 40)), molecules.take(slice(40, 60))
    net = GeometricNet("E3", hidden=16, layers=2, rotate=True).fit(seen, steps=300)
    wrong = np.abs(net.predict(kept) - kept.targets[:, 0])
    assert np.median(wrong) < 0.03 < 0.2 < kept.targets.std()


def test_both_arms_have_as_many_weights_and_the_same_start():
    one, two = (GeometricNet(symmetry, hidden=16, layers=2, learning_rate=0.0).fit(clouds(), steps=1) for symmetry in ("E3", "translation"))
    ours, theirs = (dict(net._network.named_parameters()) for net in (one, two))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_judged_molecules_are_turned_and_those_without_a_target_left_out():
    molecules = clouds()
    turned = paper.turned(molecules, 0)
    for i in range(len(molecules)):
        (_, before), (_, after) = molecules.molecule(i), turned.molecule(i)
        np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-5)
        assert np.abs(after - before).max() > 0.1
    holes = replace(molecules, targets=np.array([[1.0], [np.nan], [3.0], [np.nan], [5.0]]))
    assert paper.with_target(holes, 2).targets.ravel().tolist() == [1.0, 3.0]


def test_what_cannot_be_done_is_said():
    molecules = clouds()
    with pytest.raises(NotFitted):
        GeometricNet().predict(molecules)
    with pytest.raises(ValueError, match="'O3'"):
        GeometricNet("O3").fit(molecules)
    with pytest.raises(DataError, match="no target"):
        GeometricNet().fit(replace(molecules, targets=np.zeros((5, 0)), names=(), units=()))
    with pytest.raises(DataError, match="1 of 5 molecules"):
        GeometricNet().fit(replace(molecules, targets=np.array([[1.0], [2.0], [3.0], [np.nan], [5.0]])))
    net, strange = fitted("E3", steps=1), Structures([6, 1, 17, 1], np.ones((4, 3)) * [[1], [2], [3], [4]], [0, 2, 4])
    assert net.knows(strange).tolist() == [True, False]
    for verb in (net.predict, net.forces, net.embed, net.by_elements):
        with pytest.raises(DataError, match=r"\[17\]"):
            verb(strange)
