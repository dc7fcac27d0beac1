"""Codes under rigid motion and codes whose part in a frame is known, what a transfer leaves alone, arms of one size."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bakeoff.claim import Budget, Source
from bakeoff.data import sets
from bakeoff.data.trajectories import hinge
from bakeoff.errors import DataError, NotFitted
from bakeoff.papers.molecules import pro_gae as paper
from bakeoff.papers.molecules.pro_gae import ProteinAutoencoder
from bakeoff.parts import model_files
from bakeoff.parts.superposition import rmsd, superposed


@pytest.fixture(scope="module")
def enzyme():
    """Adenylate kinase, as MDAnalysisTests carries it."""
    return sets.load(Source("adk"), "trajectories")


@pytest.fixture(scope="module")
def frames():
    return hinge(frames=48).frames


@pytest.fixture(scope="module")
def model(frames):
    return ProteinAutoencoder(16, 3, 2, hidden=16, chain_channels=8, map_channels=4).fit(frames, steps=150)


def turn(seed=0):
    found = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return found * np.sign(np.linalg.det(found))


def test_codes_stay_where_a_frame_is_moved_to(model, frames):
    for before, after in zip(model.encode(frames), model.encode(frames[::-1] @ turn() + 50), strict=True):
        np.testing.assert_allclose(after[::-1], before, atol=1e-3)
        assert np.ptp(before, 0).min() > 0.1


def test_frames_learned_from_come_back_and_an_unlearned_network_gives_the_mean(frames):
    start, end = (ProteinAutoencoder(16, 6, 6, hidden=32, calm=0).fit(frames, steps=steps) for steps in (1, 300))
    errors = [rmsd(one.reconstruct(frames), frames).mean() for one in (start, end)]
    assert errors[0] == pytest.approx(rmsd(np.broadcast_to(start._reference, frames.shape), frames).mean(), rel=0.2)
    assert errors[1] < 0.2 * errors[0]


def test_a_transfer_leaves_every_convolution_bit_for_bit_and_learns_the_dense_layers(model):
    other = hinge(residues=21, frames=24).frames
    moved = model.transfer(other, 21, steps=100)
    before, after = (one._network.state_dict() for one in (model, moved))
    dense = {name for name in before if "dense" in name}
    assert len(dense) == 6
    for name in set(before) - dense:
        assert torch.equal(before[name], after[name]), name
    fresh = model.transfer(other, 21, steps=1)
    assert rmsd(moved.reconstruct(other), other).mean() < 0.7 * rmsd(fresh.reconstruct(other), other).mean()
    assert model.residues == 16
    assert moved.sample(2).shape == (2, 63, 3)


@pytest.mark.parametrize(("heard", "share"), [(0, 1.0), (1, 0.0)])
def test_a_swap_tells_whose_code_the_decoder_hears(frames, heard, share):
    number = np.arange(len(frames))[:, None]
    deaf = SimpleNamespace(intrinsic=1, encode=lambda _: (number, number), decode=lambda *codes: frames[codes[heard][:, 0]])
    assert paper.swapped(deaf, frames) == share
    assert np.isnan(paper.swapped(SimpleNamespace(intrinsic=0), frames))


def test_samples_follow_the_codes_gaussian_and_keep_a_code_that_is_held(model, frames):
    z_i, z_e = model.encode(frames)
    codes = np.concatenate([z_i, z_e], 1)
    drawn = np.random.default_rng(5).multivariate_normal(codes.mean(0), np.cov(codes.T), 4)
    np.testing.assert_allclose(model.sample(4, seed=5), model.decode(drawn[:, :3], drawn[:, 3:]), atol=1e-5)
    held = model.sample(4, intrinsic=z_i[0], extrinsic=z_e[7])
    np.testing.assert_allclose(held, np.repeat(model.decode(z_i[:1], z_e[7:8]), 4, 0), atol=1e-5)


def test_a_saved_model_comes_back_as_it_was(model, frames, tmp_path):
    model.save(tmp_path / "hinge.safetensors")
    again = ProteinAutoencoder.load(tmp_path / "hinge.safetensors")
    np.testing.assert_array_equal(again.reconstruct(frames), model.reconstruct(frames))
    np.testing.assert_array_equal(again.sample(3), model.sample(3))
    np.testing.assert_array_equal(again.fit(frames, steps=150).sample(3), model.sample(3))


def test_both_arms_have_codes_and_networks_of_one_size(enzyme):
    train, test = enzyme.split(100)
    arms = [arm(train, Budget("smoke", 1), 0) for arm in (paper.treatment, paper.control)]
    sizes = [sum(one.numel() for one in arm.model._network.parameters()) for arm in arms]
    assert sizes == [arm.model.parameters() for arm in arms]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)
    assert [arm.model.intrinsic + arm.model.extrinsic for arm in arms] == [16, 16]
    floors = [paper.score(arm, test)["CA RMSD of principal modes"] for arm in arms]
    assert floors[0] == floors[1]
    placed = superposed(test.frames, arms[0].modes._reference)
    assert floors[0] <= np.sqrt(((arms[0].modes.decode(arms[0].modes.encode(test.frames)) - placed)[:, 1::3] ** 2).sum(2).mean(1)).mean()


def test_what_cannot_be_learned_from_is_told(frames):
    for wrong, said in ((frames[:, :-1], r"\(48, 47, 3\)"), (frames[:1], "shape"), (np.full((4, 48, 3), np.nan), "numbers missing")):
        with pytest.raises(DataError, match=said):
            ProteinAutoencoder(16).fit(wrong, steps=1)
    with pytest.raises(NotFitted):
        ProteinAutoencoder(16).sample(1)
    with pytest.raises(ValueError, match="'angles'"):
        ProteinAutoencoder(16, reads="angles").fit(frames)


def test_the_loss_is_that_of_equation_three_written_out(frames):
    model = ProteinAutoencoder(16, 3, 2, hidden=8, chain_channels=4, map_channels=2, geometry=0.3, calm=0.02)
    model._prepare(frames)
    found, codes = frames[:4] + np.random.default_rng(0).normal(size=frames[:4].shape), np.random.default_rng(1).normal(size=(4, 5))
    off = np.abs(found - frames[:4]) / model._scales["coordinates"]
    apart = [np.linalg.norm(one[:, 1::3, None] - one[:, None, 1::3], axis=3) for one in (found, frames[:4])]
    expected = np.where(off < 1, off**2 / 2, off - 0.5).mean() + 0.3 * np.abs(apart[0] - apart[1]).mean() + 0.02 * (codes**2).mean()
    assert float(model._loss(*(torch.tensor(one) for one in (found, frames[:4], codes)))) == pytest.approx(expected, rel=1e-4)


def test_noise_is_only_for_learning_and_without_steps_nothing_is_learned(frames):
    loud, still = (ProteinAutoencoder(16, 3, 2, hidden=8, chain_channels=4, map_channels=2, noise=noise).fit(frames, steps=3)
                   for noise in (1, 0))
    assert not np.allclose(loud.reconstruct(frames), still.reconstruct(frames), atol=1e-4)
    start = ProteinAutoencoder(16, 3, 2, hidden=16, chain_channels=8, map_channels=4, seed=4).fit(frames, steps=0)
    for own, fresh in zip(start._network.parameters(), start._built().parameters(), strict=True):
        assert torch.equal(own, fresh)
    assert np.isfinite(start.sample(2)).all()


def test_atoms_at_one_place_and_frames_that_are_none(model, frames):
    missing = frames.copy()
    missing[3, 5:8] = 0
    for asked in (model.encode, ProteinAutoencoder(16).fit, ProteinAutoencoder(16, 0, reads="coordinates").fit):
        with pytest.raises(DataError, match="in frame 3 atom 6 lies where atom 5 does"):
            asked(missing)
    for codes, width in zip(model.encode(frames[:0]), (3, 2), strict=True):
        assert codes.shape == (0, width)
    for found in (model.decode(*model.encode(frames[:0])), model.sample(0), model.reconstruct(frames[:0])):
        assert found.shape == (0, 48, 3)


def test_a_file_whose_card_and_weights_do_not_fit_is_told(model, tmp_path):
    model.save(tmp_path / "whole")
    tensors, card = model_files.load(tmp_path / "whole", "ProteinAutoencoder")
    scales = card["scales"]
    wrong = [(tensors, {"model": card["model"], "scales": scales}), (tensors, card | {"arguments": card["arguments"] | {"colour": 1}}),
             (tensors, card | {"arguments": card["arguments"] | {"residues": 15}}),
             *((tensors, card | {"scales": one}) for one in ({}, None, dict.fromkeys(scales, 0.0), dict.fromkeys(scales, "wide"))),
             *(({name: one for name, one in tensors.items() if name != gone}, card)
               for gone in ("reference", "covariance", "view.contacts", next(name for name in tensors if "decoder" in name)))]
    for place, (weights, told) in enumerate(wrong):
        model_files.save(tmp_path / f"{place}", weights, told)
        with pytest.raises(DataError, match="does not fit together"):
            ProteinAutoencoder.load(tmp_path / f"{place}")
