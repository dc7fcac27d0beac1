"""Superposition against MDAnalysis, against what is known of mirror images, and against what rigid motion leaves alone."""

import numpy as np
from MDAnalysis.analysis import rms

from bakeoff.data.trajectories import hinge
from bakeoff.parts.superposition import mean_structure, rmsd, superposed


def turn(seed=0):
    found = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return found * np.sign(np.linalg.det(found))


def test_the_distance_after_superposition_is_that_of_mdanalysis():
    frames = hinge().frames.astype(float)
    loose = np.random.default_rng(0).normal(size=(12, 5, 3)) * 4  # as far from each other as chance has them, mirror images among them
    for one in (frames, loose):
        theirs = [rms.rmsd(frame, one[3], superposition=True) for frame in one]
        np.testing.assert_allclose(rmsd(one, one[3]), theirs, atol=1e-4)
        assert max(theirs) > 1
        np.testing.assert_allclose(rmsd(one, one[::-1]), [rms.rmsd(*pair, superposition=True) for pair in zip(one, one[::-1], strict=True)],
                                   atol=1e-4)


def test_rigid_motion_is_undone_and_a_mirror_image_is_not():
    frames = hinge(frames=5).frames.astype(float)
    np.testing.assert_allclose(superposed(frames @ turn() + [5, -90, 2], frames), frames, atol=1e-9)
    np.testing.assert_allclose(rmsd(frames @ turn(), frames), 0, atol=1e-9)
    assert rmsd(-frames, frames).min() > 1


def test_a_superposed_frame_is_turned_and_shifted_but_not_bent():
    frames = hinge(frames=5).frames.astype(float)
    found = superposed(frames, frames[0])
    lengths = [np.linalg.norm(one[:, :, None] - one[:, None], axis=3) for one in (frames, found)]
    np.testing.assert_allclose(*lengths, atol=1e-9)
    np.testing.assert_allclose(found.mean(1), np.broadcast_to(frames[0].mean(0), (5, 3)), atol=1e-9)
    nudged = [((superposed(found, frames[0]) @ one - frames[0]) ** 2).sum() for one in (np.eye(3), small_turn(0.01), small_turn(-0.01))]
    assert nudged[0] == min(nudged)


def small_turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def test_the_mean_structure_of_turned_copies_is_the_one_structure_and_stands_still():
    rest = hinge(frames=1).frames[0].astype(float)
    copies = np.stack([rest @ turn(seed) + seed for seed in range(6)])
    assert rmsd(mean_structure(copies)[None], rest)[0] < 1e-9
    frames = hinge().frames
    mean = mean_structure(frames, rounds=60)
    np.testing.assert_allclose(superposed(frames, mean).mean(0), mean, atol=1e-3)
    np.testing.assert_allclose(mean.mean(0), 0, atol=1e-9)
