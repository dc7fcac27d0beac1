"""The views of a backbone under rigid motion, beside MDAnalysis, and back to coordinates; on a real enzyme's trajectory."""

import numpy as np
import pytest
from MDAnalysis.lib.distances import distance_array

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.kinds.trajectory import Trajectory
from bakeoff.errors import DataError
from bakeoff.parts.backbone import backbone, bond_directions, contact_map


@pytest.fixture(scope="module")
def enzyme():
    """Adenylate kinase, as MDAnalysisTests carries it."""
    return sets.load(Source("adk"), "trajectories")


def turn(seed=0):
    found = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return found * np.sign(np.linalg.det(found))


def test_rotation_and_shift_leave_contacts_and_pseudo_bonds_and_turn_directions_along(enzyme):
    frames = enzyme.frames[::20].astype(float)
    moved = frames @ turn() + [10, -20, 30]
    np.testing.assert_allclose(contact_map(moved[:, 1::3]), contact_map(frames[:, 1::3]), atol=1e-6)
    np.testing.assert_allclose(*(np.linalg.norm(np.diff(one[:, 1::3], axis=1), axis=2) for one in (moved, frames)), atol=1e-6)
    np.testing.assert_allclose(bond_directions(moved), bond_directions(frames) @ turn(), atol=1e-6)
    assert np.abs(bond_directions(moved) - bond_directions(frames)).max() > 1


def test_directions_times_lengths_summed_rebuild_the_backbone(enzyme):
    frames = enzyme.frames[::20].astype(float)
    lengths = np.linalg.norm(np.diff(frames, axis=1), axis=2)
    rebuilt = frames[:, :1] + np.cumsum(bond_directions(frames) * lengths[:, :, None], axis=1)
    np.testing.assert_allclose(rebuilt, frames[:, 1:], atol=1e-9)


def test_a_hard_map_is_the_distances_of_mdanalysis_cut_at_8_angstrom_and_a_soft_one_tends_to_it(enzyme):
    alpha = enzyme.frames[:2, 1::3].astype(float)
    apart = np.stack([distance_array(one, one) for one in alpha])
    np.testing.assert_array_equal(contact_map(alpha, width=0), apart <= 8)
    np.testing.assert_array_equal(contact_map(alpha, width=1e-4).round(), apart <= 8)
    np.testing.assert_allclose(contact_map(alpha), 1 / (1 + np.exp(apart - 8)), atol=1e-6)


def test_a_backbone_is_found_among_other_atoms_and_refused_when_it_is_not_whole(enzyme):
    assert backbone(enzyme).shape == (98, 642, 3)
    frames = np.arange(30.0).reshape(2, 5, 3)
    np.testing.assert_array_equal(backbone(Trajectory(frames, ("H", "N", "CA", "HA", "C"), [0] * 5)), frames[:, [1, 2, 4]])
    for atoms in (("CA", "N", "C", "H", "H"), ("N", "CA", "H", "H", "H"), ("H",) * 5):
        with pytest.raises(DataError, match="of a backbone"):
            backbone(Trajectory(frames, atoms, [0] * 5))
