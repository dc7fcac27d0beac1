"""Principal modes against MDAnalysis, and where the answer is known."""

import MDAnalysis
import numpy as np
import pytest
from MDAnalysis.analysis import pca
from MDAnalysis.coordinates.memory import MemoryReader

from bakeoff.baselines.principal_modes import PrincipalModes
from bakeoff.data.trajectories import hinge
from bakeoff.errors import NotFitted
from bakeoff.parts.superposition import rmsd


def test_variances_and_axes_are_those_of_mdanalysis():
    frames = hinge(residues=8, frames=30).frames.astype(float)
    universe = MDAnalysis.Universe.empty(frames.shape[1], trajectory=True)
    universe.load_new(frames.copy(), format=MemoryReader)  # it aligns in place
    theirs = pca.PCA(universe, align=True, n_components=4).run().results  # on the first frame
    ours = PrincipalModes(4, rounds=0).fit(frames)
    np.testing.assert_allclose(ours.variances, theirs.variance[:4], rtol=1e-4)
    steps = ours.decode(np.eye(4)) - ours.mean
    np.testing.assert_allclose(np.abs(steps.reshape(4, -1) @ theirs.p_components), np.eye(4), atol=1e-3)


def test_as_many_modes_as_frames_give_every_frame_back_and_fewer_give_what_the_left_variances_say():
    frames = hinge(frames=20).frames
    whole = PrincipalModes(99).fit(frames)
    assert whole.encode(frames).shape == (20, 19)
    np.testing.assert_allclose(rmsd(whole.decode(whole.encode(frames)), frames), 0, atol=1e-6)
    few = PrincipalModes(3).fit(frames)
    placed = whole.decode(whole.encode(frames))
    left = ((few.decode(few.encode(frames)) - placed) ** 2).sum((1, 2)).sum() / 19
    assert left == pytest.approx(whole.variances[3:].sum(), rel=1e-6)


def test_codes_do_not_depend_on_where_a_frame_lies():
    frames = hinge(frames=20).frames.astype(float)
    modes = PrincipalModes(4).fit(frames)
    turned = frames @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + [7, 8, 9]
    np.testing.assert_allclose(modes.encode(turned), modes.encode(frames), atol=1e-8)
    with pytest.raises(NotFitted):
        PrincipalModes().encode(frames)
