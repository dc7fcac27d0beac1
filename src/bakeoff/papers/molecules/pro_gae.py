"""ProGAE: an autoencoder of a protein's frames with one code for what rigid motion leaves alone and one for where its bonds point.

Tatro, Das, Chen, Chenthamarakshan, Lai. 2022. arXiv:2205.10423.

Method: a frame X (3n, 3) is the backbone N, CA, C of n residues, superposed on the mean structure. Two encoders read it:

    A_jk = s((8 - |x_j - x_k|) / w),  x the CA atoms, w = 1 angstrom,          z_i = encoder_i(A): intrinsic;               (1)
    O_m = (X_m+1 - X_m) / |X_m+1 - X_m|,                                       z_e = encoder_e(O): extrinsic.               (2)

s is the sigmoid; width w = 0 gives a hard map. Nothing is lost by (2): with the bonds' lengths, X_m = X_1 + sum_l<m length_l O_l.
Residual convolutions that halve the chain at every stage, then a dense layer, give each code; a dense layer and the mirrored
convolutions give the frame back from both, X' = decoder(z_i, z_e). With D the distances of all pairs of CA atoms, least is made of

    smooth_l1((X' - X) / scale) + geometry * mean |D(X') - D(X)| + calm * mean |z|^2.                                        (3)

A Gaussian fitted to the codes is sampled for new frames, one code held if wanted. For another state or another protein every
convolution stays as it is, and only the dense layers next to the codes are learned anew.

Departures: the paper's layers, widths and weights were not at hand, nor whether its map is soft; those here are this file's. Encoder_i
runs over both axes of the map as over a picture, with noise on what encoders read; the chain's convolutions take a residue as a place,
its three bonds or atoms as channels; the decoder starts from the mean structure. The paper names no such rival: the control is the
one that its idea calls for. Constants were chosen on one split that is not judged, at `quick`, errors of treatment and control:
rate 0.005 gave 0.452 and 0.443, 0.01 gave 0.435 and 0.421; then three times the weight `geometry` 0.428 and 0.417, or twice the noise
0.420 and 0.428. So both have the larger weight, and the treatment alone the larger noise.

Out of reach: the long ensembles of a spike protein with and without drugs, and telling the drugs apart. A hundred frames of one enzyme
opening are no conformational landscape: neighbours in time are near copies, the motion is nearly one-dimensional, and most blocks held
out lie between blocks learned from, so a low error is interpolation. Sixteen principal modes, found in a hundredth of a second, err less
here than either arm (0.38 on that split): no gain over them may be read into this. A swap in which z_i decides the contacts says whom the
decoder hears, not that each code knows only its own: directions with bond lengths already fix the frame. Kept convolutions help a
transfer for the first second of learning; after five, learning from scratch is as good or better (benchmarks/protein_frames.md).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bakeoff.baselines.principal_modes import PrincipalModes
from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import DataError, NotFitted
from bakeoff.parts import model_files
from bakeoff.parts.backbone import backbone, bond_directions, contact_map
from bakeoff.parts.chain_convolutions import ChainAutoencoder
from bakeoff.parts.schedules import rise_and_fall
from bakeoff.parts.seeding import seeded
from bakeoff.parts.superposition import mean_structure, rmsd, superposed
from bakeoff.parts.supervised import minibatches
from bakeoff.parts.trace_pictures import bars, overlaid

PAPER = Paper(title="Learning Geometrically Disentangled Representations of Protein Folding Simulations",
              authors=("Tatro", "Das", "Chen", "Chenthamarakshan", "Lai"), year=2022, venue="arXiv", arxiv="2205.10423",
              also=("ProGAE", "Protein Geometric AutoEncoder", "intrinsic and extrinsic encoders of protein structure"))
CLAIM = Claim(says="With 16 numbers a frame, an autoencoder that reads a protein's contact map and its bonds' directions with an encoder "
                   "each gives held-out frames of a simulation back more exactly than one of equal size that reads the superposed "
                   "coordinates (its abstract promises experimental resolution or near it, without a figure).",
              data="adk", metric="CA RMSD", unit="angstrom", better="lower", margin=0.05,
              equal="steps", steps={"smoke": 5, "quick": 800, "full": 20_000})
__all__ = ["ProteinAutoencoder"]


class ProteinAutoencoder:
    """Compresses frames of one protein's backbone to two small codes, gives frames back from codes, and makes new ones.

    Args:
        residues: n, of the protein.
        intrinsic: k_i, numbers in the code of the contact map; 0 for no such encoder.
        extrinsic: k_e, numbers in the other code.
        reads: what the other encoder reads of superposed frames: "directions" of bonds, or "coordinates".
        hidden: channels of the decoder.
        chain_channels: of the other encoder.
        map_channels: of the contact map's encoder.
        contact_width: w of eq. 1 in angstrom, 0 for a hard map.
        geometry: weight of the distances in eq. 3, per angstrom.
        calm: weight of the codes' size in eq. 3.
        noise: deviation of Gaussian noise on what encoders read while they learn, where what they read has deviation 1.
        learning_rate: Adam's highest; it rises over the first twentieth of the steps and falls as a cosine.
        batch_size: frames a step.
        seed: decides the start weights and the order of frames.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.trajectories import hinge
        >>> from bakeoff.papers.molecules.pro_gae import ProteinAutoencoder
        >>> frames = hinge(residues=8, frames=40).frames
        >>> model = ProteinAutoencoder(8, intrinsic=2, extrinsic=2).fit(frames, steps=60)
        >>> z_i, z_e = model.encode(frames)
        >>> z_i.shape, z_e.shape, model.decode(z_i, z_e).shape, model.sample(5).shape
        ((40, 2), (40, 2), (40, 24, 3), (5, 24, 3))
    """

    def __init__(self, residues, intrinsic=8, extrinsic=8, reads="directions", hidden=64, chain_channels=32, map_channels=16,
                 contact_width=1.0, geometry=0.3, calm=1e-4, noise=1.0, learning_rate=1e-2, batch_size=8, seed=0):
        self.residues, self.intrinsic, self.extrinsic, self.reads = residues, intrinsic, extrinsic, reads
        self.hidden, self.chain_channels, self.map_channels, self.contact_width = hidden, chain_channels, map_channels, contact_width
        self.geometry, self.calm, self.noise = geometry, calm, noise
        self.learning_rate, self.batch_size, self.seed = learning_rate, batch_size, seed

    def fit(self, frames, steps: int = 2000, on_step=None) -> ProteinAutoencoder:
        """Learn from frames, afresh.

        Args:
            frames: (T, 3n, 3) in angstrom, the atoms N, CA, C of each residue in order; superposed here.
            steps: minibatches to learn from; with 0 the network stays at its start.
            on_step: called after every step with the loss of eq. 3.

        Returns:
            self.

        Raises:
            DataError: the frames are fewer than two, not of 3n atoms, or not finite, or an atom lies where the one before it does.
            ValueError: `reads` is neither of the two.
        """
        self._prepare(frames)
        return self._learn(frames, self._network.parameters(), steps, on_step)

    def transfer(self, frames, residues: int, steps: int = 2000, on_step=None) -> ProteinAutoencoder:
        """A model of another state or protein that has this one's convolutions: only the dense layers next to the codes are learned.

        Args:
            frames: (T, 3 residues, 3) of the other protein, in angstrom.
            residues: how many it has.
            steps: minibatches to learn from.
            on_step: called after every step with the loss of eq. 3.
        """
        other = ProteinAutoencoder(**model_files.arguments(self) | {"residues": residues})
        other._prepare(frames)
        convolutions = {name: one for name, one in self._fitted._network.state_dict().items() if "dense" not in name}
        other._network.load_state_dict(convolutions, strict=False)
        return other._learn(frames, [one for name, one in other._network.named_parameters() if "dense" in name], steps, on_step)

    def encode(self, frames) -> tuple[np.ndarray, np.ndarray]:
        """The codes of frames (T, 3n, 3), wherever they lie in space: intrinsic (T, k_i) and extrinsic (T, k_e)."""
        codes = self._fitted._codes(self._checked(frames))
        return codes[:, :self.intrinsic], codes[:, self.intrinsic:]

    def decode(self, z_i, z_e) -> np.ndarray:
        """The frames (T, 3n, 3) in angstrom of intrinsic codes z_i (T, k_i) and extrinsic codes z_e (T, k_e), as they lie on the mean."""
        network, codes = self._fitted._network, torch.tensor(np.concatenate([z_i, z_e], 1), dtype=torch.float32)
        if not len(codes):
            return np.zeros((0, 3 * self.residues, 3))
        with torch.no_grad():
            return self._placed(network.decoder(codes)).numpy().astype(float)

    def reconstruct(self, frames) -> np.ndarray:
        """The frames (T, 3n, 3) through both codes and back, as they lie on the mean structure."""
        return self.decode(*self.encode(frames))

    def sample(self, count: int, intrinsic=None, extrinsic=None, seed: int = 0) -> np.ndarray:
        """New frames (count, 3n, 3) of codes drawn from the Gaussian fitted to those of the frames learned from.

        Args:
            count: how many.
            intrinsic: (k_i,) a code to hold, or None to draw.
            extrinsic: (k_e,) a code to hold, or None to draw.
            seed: decides the draw.
        """
        codes = np.random.default_rng(seed).multivariate_normal(*self._fitted._gaussian, size=count)  # (count, k_i + k_e)
        for held, place in ((intrinsic, slice(self.intrinsic)), (extrinsic, slice(self.intrinsic, None))):
            if held is not None:
                codes[:, place] = held
        return self.decode(codes[:, :self.intrinsic], codes[:, self.intrinsic:])

    def save(self, path) -> None:
        """Write the weights to `path`, a .safetensors file, and a card beside it."""
        held = {"reference": self._fitted._reference, "mean": self._gaussian[0], "covariance": self._gaussian[1]}
        tensors = {**self._network.state_dict(prefix="network."), **{f"view.{name}": one for name, one in self._centres.items()}}
        model_files.save(path, tensors | {name: torch.tensor(one) for name, one in held.items()},
                         {"model": "ProteinAutoencoder", "arguments": model_files.arguments(self), "scales": self._scales})

    @classmethod
    def load(cls, path) -> ProteinAutoencoder:
        """The model that `save` wrote to `path`; it encodes and decodes as it did, and may be fitted again.

        Raises:
            DataError: there is no such file, or the model in it is not whole.
        """
        tensors, card = model_files.load(path, "ProteinAutoencoder")
        with model_files.rebuilding(path):
            model = model_files.built(cls, card["arguments"])
            model._reference, model._centres = tensors["reference"].numpy(), model_files.part("view", tensors)
            model._scales, model._gaussian = card["scales"], (tensors["mean"].numpy(), tensors["covariance"].numpy())
            model._network = model_files.filled(model._built(), model_files.part("network", tensors))
            if not all(0 < scale < math.inf for scale in model._scales.values()):
                raise ValueError(f"scales={model._scales}; expected numbers above 0")
            model.reconstruct(model.sample(1))  # whatever else is missing, or of another shape, is missed here
        return model

    def parameters(self) -> int:
        """How many numbers the network has to learn."""
        with torch.device("meta"):
            return sum(one.numel() for one in self._built().parameters())

    def _prepare(self, frames) -> None:
        """The reference, what is taken off from each view, and a network at its start."""
        if self.reads not in ("directions", "coordinates"):
            raise ValueError(f"reads is {self.reads!r}; expected 'directions' or 'coordinates'")
        self._reference = mean_structure(self._checked(frames, least=2))
        self._centres, self._scales = {}, {}
        placed = superposed(frames, self._reference)
        for name, view in self._raw(placed).items():
            self._centres[name] = view.mean(0)
            self._scales[name] = float((view - view.mean(0)).square().mean().sqrt()) or 1.0
        self._network = self._built()

    def _learn(self, frames, learned, steps: int, on_step) -> ProteinAutoencoder:
        """Make eq. 3 small over the parameters named `learned`, then fit the Gaussian."""
        placed = superposed(frames, self._reference)
        views, target = self._views(placed), torch.tensor(placed, dtype=torch.float32)
        learned = list(learned)
        optimiser = torch.optim.Adam(learned, self.learning_rate, fused=True)
        rng = torch.Generator().manual_seed(self.seed)
        schedule = rise_and_fall(optimiser, max(steps, 1))
        for rows in minibatches(len(frames), self.batch_size, steps, self.seed):
            codes = self._network.encode(*(one[rows] + self.noise * torch.randn(one[rows].shape, generator=rng) for one in views))
            loss = self._loss(self._placed(self._network.decoder(codes)), target[rows], codes)
            optimiser.zero_grad()
            loss.backward(inputs=learned)
            optimiser.step()
            schedule.step()
            if on_step is not None:
                on_step(loss.item())
        self._network.requires_grad_(False)
        codes = self._codes(frames)
        self._gaussian = codes.mean(0), np.cov(codes.T).reshape(codes.shape[1], -1)
        return self

    @torch.no_grad()
    def _codes(self, frames) -> np.ndarray:  # (T, k_i + k_e)
        if not len(frames):
            return np.zeros((0, self.intrinsic + self.extrinsic))
        return self._network.encode(*self._views(superposed(frames, self._reference))).numpy().astype(float)

    def _loss(self, found: Tensor, frames: Tensor, codes: Tensor) -> Tensor:
        """Eq. 3."""
        apart = (torch.cdist(found[:, 1::3], found[:, 1::3]) - torch.cdist(frames[:, 1::3], frames[:, 1::3])).abs().mean()
        return F.smooth_l1_loss(found / self._scales["coordinates"], frames / self._scales["coordinates"]) \
            + self.geometry * apart + self.calm * codes.square().mean()

    def _raw(self, placed) -> dict[str, Tensor]:
        """What encoders may read of superposed frames, a residue as a place: contacts (T, 1, n, n), the others (T, 9, n)."""
        lined = {"directions": np.pad(bond_directions(placed), ((0, 0), (0, 1), (0, 0))), "coordinates": placed}
        found = {name: one.reshape(len(placed), -1, 9).transpose(0, 2, 1) for name, one in lined.items()}
        if self.intrinsic:
            maps = (contact_map(one[None, 1::3], width=self.contact_width) for one in placed)  # (1, n, n) each, for memory's sake
            found["contacts"] = np.stack([one.astype(np.float32) for one in maps])
        return {name: torch.tensor(one, dtype=torch.float32) for name, one in found.items()}

    def _views(self, placed) -> list[Tensor]:
        """What this model's encoders read, about 0 and of size 1."""
        raw = self._raw(placed)
        return [(raw[name] - self._centres[name]) / self._scales[name] for name in ("contacts", self.reads) if name in raw]

    def _placed(self, out: Tensor) -> Tensor:
        """What the decoder gives (B, 9, n), as atoms about the mean structure (B, 3n, 3)."""
        deviation = out.transpose(1, 2).reshape(len(out), -1, 3)
        return torch.tensor(self._reference, dtype=torch.float32) + self._scales["coordinates"] * deviation

    def _built(self) -> ChainAutoencoder:
        with seeded(self.seed):
            return ChainAutoencoder(self.residues, self.intrinsic, self.extrinsic, self.hidden, self.chain_channels, self.map_channels)

    def _checked(self, frames, least: int = 0) -> np.ndarray:
        frames = np.asarray(frames, float)
        if frames.ndim != 3 or frames.shape[1:] != (3 * self.residues, 3) or len(frames) < least or not np.isfinite(frames).all():
            raise DataError(f"found frames of shape {frames.shape}" + ("" if np.isfinite(frames).all() else " with numbers missing"),
                            f"Expected at least {least} frames with N, CA, C of {self.residues} residues: (T, {3 * self.residues}, 3).")
        if len(same := np.argwhere((np.diff(frames, axis=1) == 0).all(2))):
            raise DataError(f"in frame {same[0, 0]} atom {same[0, 1] + 1} lies where atom {same[0, 1]} does, counted from 0",
                            "Give frames with a place of its own for every atom; a missing one is often written as 0, 0, 0.")
        return frames

    @property
    def _fitted(self) -> ProteinAutoencoder:
        if not hasattr(self, "_gaussian"):
            raise NotFitted()
        return self


class Pair(NamedTuple):
    """An autoencoder, and the straight modes of the same frames with as many numbers a frame."""

    model: ProteinAutoencoder
    modes: PrincipalModes


INTRINSIC, EXTRINSIC = 8, 8


def learned(model: ProteinAutoencoder, frames, budget) -> Pair:
    return Pair(model.fit(frames, budget.steps, budget.spend), PrincipalModes(INTRINSIC + EXTRINSIC).fit(frames))


def as_large(wanted: int, residues: int, seed: int) -> ProteinAutoencoder:
    """One encoder of coordinates, with as many channels as bring the network closest to this many parameters."""
    sizes = [ProteinAutoencoder(residues, 0, INTRINSIC + EXTRINSIC, "coordinates", chain_channels=channels, noise=0.5, seed=seed)
             for channels in range(4, 129)]
    return min(sizes, key=lambda one: abs(one.parameters() - wanted))


def swapped(model: ProteinAutoencoder, frames) -> float:
    """Of frames decoded from z_i of one and z_e of another: how many have a contact map closer to the first's; NaN without z_i."""
    if not model.intrinsic:
        return math.nan
    z_i, z_e = model.encode(frames)
    other = np.roll(np.arange(len(frames)), len(frames) // 2)
    maps, mixed = (contact_map(one[:, 1::3]) for one in (frames, model.decode(z_i, z_e[other])))
    return float((np.abs(mixed - maps).mean((1, 2)) < np.abs(mixed - maps[other]).mean((1, 2))).mean())


def treatment(train, budget, seed):
    """An encoder for contacts, another for directions."""
    frames = backbone(train)
    return learned(ProteinAutoencoder(frames.shape[1] // 3, INTRINSIC, EXTRINSIC, seed=seed), frames, budget)


def control(train, budget, seed):
    """One encoder for superposed coordinates, equal in parameters and code."""
    frames = backbone(train)
    wanted = ProteinAutoencoder(frames.shape[1] // 3, INTRINSIC, EXTRINSIC).parameters()
    return learned(as_large(wanted, frames.shape[1] // 3, seed), frames, budget)


def score(model, test):
    """The error of held-out frames (judged); that of the modes; bonds; whose contacts come out when codes are swapped."""
    frames, (model, modes) = backbone(test), model
    found = model.reconstruct(frames)
    bonds = np.linalg.norm(np.diff(found[:, 1::3], axis=1), axis=2)
    return {CLAIM.metric: float(rmsd(found[:, 1::3], frames[:, 1::3]).mean()),
            "CA RMSD of principal modes": float(rmsd(modes.decode(modes.encode(frames))[:, 1::3], frames[:, 1::3]).mean()),
            "backbone RMSD": float(rmsd(found, frames).mean()),
            "share of CA pseudo-bonds within 0.1 of 3.8 angstrom": float((np.abs(bonds - 3.8) < 0.1).mean()),
            "share of swaps with the contacts of the intrinsic code": swapped(model, frames)}


def draw(model, test):
    """CA traces of three held-out frames and what comes back of them; below, every frame's error, 1 angstrom the full height."""
    frames, (model, _) = backbone(test), model
    found = model.reconstruct(frames)[:, 1::3]
    true, some = superposed(frames[:, 1::3], found), np.linspace(0, len(frames) - 1, 3).astype(int)
    errors, pages = rmsd(found, true), overlaid(true[some], found[some])
    return [Drawing.picture(f"Held-out CA traces (grey), as they come back (orange), each frame's error (mean {errors.mean():.2f} A)",
                            np.concatenate([pages, bars(errors, pages.shape[1])]))]
