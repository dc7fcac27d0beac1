"""GTransformer: attention within a molecule whose queries, keys and values come from message passing (Rong et al., 2020, arXiv:2007.02835).

Two views of a molecule, one with states on its atoms, one on its directed bonds, each with nets of its own. In a view, every head h has
three message-passing nets, for Q, K and V, with states that all start from the raw features x and take K hops along the view's graph A:

    s_0 = act(W_in x),   s_k = act(W_in x + W (A s_(k-1)) + W_e c),   c: features of the bonds crossed (atom view),
    head_h = softmax(Q_h K_h^T / sqrt(d)) V_h  over the molecule's atoms (bonds),   H = norm(concat(head_1..head_H) W_o).

No residual stands inside; a single one reaches from the raw input to the view's two outputs, for atoms v and bonds e = (v -> w):

    out_v = norm(FFN([x_v, sum of H over what leads into v])),   out_e = norm(FFN([x_e, sum of H over what leads into v, but from w])).

In the bond view nothing passes from a bond to its own reverse. Molecules of a batch are padded to one size; padding changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .mlp import mlp
from .molecular_graphs import Graphs


@dataclass(frozen=True)
class Padded:
    """B molecules side by side, A atom and E directed-bond places each. All are zero where a molecule has no such atom or bond.

    Args:
        atoms: (B, A, F) raw features.
        bonds: (B, E, F + G) raw features of the atom that the bond leaves, and of the bond.
        atom_mask: (B, A) bool, true for atoms.
        bond_mask: (B, E) bool, true for bonds.
        beside: (B, A, A), 1 for two bonded atoms.
        into: (B, A, E), 1 where the bond enters the atom.
        before: (B, E, A), 1 where the atom is bonded to the start of the bond and is not its end.
        follows: (B, E, E), 1 where the first bond leaves the atom that the second enters, and the second is not its reverse.
    """

    atoms: Tensor
    bonds: Tensor
    atom_mask: Tensor
    bond_mask: Tensor
    beside: Tensor
    into: Tensor
    before: Tensor
    follows: Tensor


def padded(graphs: Graphs) -> Padded:
    """A packed batch of graphs as a padded one.

    Example:
        >>> from bakeoff.parts.molecular_graphs import featurise
        >>> batch = padded(featurise(["CCO", "C"]))
        >>> batch.atom_mask.tolist(), batch.beside[0, 1].tolist(), batch.follows[0].sum().item()
        ([[True, True, True], [True, False, False]], [1.0, 0.0, 1.0], 2.0)
    """
    atom_mask, bond_mask = _mask(graphs.atom_counts), _mask(graphs.bond_counts)
    first = torch.repeat_interleave(graphs.atom_counts.cumsum(0) - graphs.atom_counts, graphs.bond_counts)
    leaves, enters = (_spread(end - first, bond_mask, empty) for end, empty in zip(graphs.index, (-1, -2), strict=True))  # (B, E)
    atom = torch.arange(atom_mask.shape[1])
    into = (enters[:, None] == atom[:, None]).float()  # (B, A, E)
    out = (leaves[..., None] == atom).float()  # (B, E, A)
    beside = into @ out
    before = out @ beside - into.transpose(1, 2)
    follows = ((leaves[:, :, None] == enters[:, None]) & (enters[:, :, None] != leaves[:, None])).float()
    atoms = _spread(graphs.atoms, atom_mask)
    bonds = _spread(graphs.bonds, bond_mask)
    return Padded(atoms, torch.cat([out @ atoms, bonds], -1), atom_mask, bond_mask, beside, into, before, follows)


def _mask(counts: Tensor) -> Tensor:
    return torch.arange(max([1, *counts.tolist()])) < counts[:, None]


def _spread(rows: Tensor, mask: Tensor, empty: float = 0) -> Tensor:
    """Rows (N, ...) laid out at the N true places of mask (B, P): (B, P, ...)."""
    places = torch.full((*mask.shape, *rows.shape[1:]), empty, dtype=rows.dtype)
    return places.masked_scatter(mask.view(*mask.shape, *[1] * (rows.ndim - 1)), rows)


@dataclass(frozen=True)
class Embeddings:
    """The four outputs, packed as the graphs were: of the N atoms and of the E directed bonds, as the atom view and the bond view see them.

    Args:
        atoms: two (N, D).
        bonds: two (E, D); none where they were not asked for.
    """

    atoms: tuple[Tensor, ...]
    bonds: tuple[Tensor, ...]


class GraphTransformer(nn.Module):
    """The two views of molecules. Those of a batch that are of a size are padded together: a large one costs what it costs alone.

    Args:
        atom_features, bond_features: F and G.
        width: D, of the four outputs and of all heads together.
        heads: attention heads; they divide the width.
        dropout: share of the values dropped in training, in the feed-forward nets and before them.

    Example:
        >>> from bakeoff.parts.molecular_graphs import ATOM_FEATURES, BOND_FEATURES, featurise
        >>> network = GraphTransformer(ATOM_FEATURES, BOND_FEATURES, width=8, heads=2)
        >>> seen = network(featurise(["CCO", "C"]), hops=(3, 3))
        >>> [one.shape for one in (*seen.atoms, *seen.bonds)][::2]
        [torch.Size([4, 8]), torch.Size([4, 8])]
    """

    def __init__(self, atom_features: int, bond_features: int, width: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if width % heads:
            raise ValueError(f"width={width} and heads={heads}: heads must divide the width")
        directed = atom_features + bond_features
        self.atom_view = View(atom_features, bond_features, (atom_features, directed), width, heads, dropout)
        self.bond_view = View(directed, 0, (atom_features, directed), width, heads, dropout)

    def forward(self, graphs: Graphs, hops: tuple[int, int], *, bonds: bool = True) -> Embeddings:
        """The outputs of a packed batch, after so many hops in the atom view and in the bond view; those of bonds only if asked for."""
        groups = list(alike(graphs)) or [torch.arange(0)]
        seen = [self.padded(padded(graphs.take(rows)), hops, bonds=bonds) for rows in groups]
        if len(groups) == 1:
            return seen[0]
        owners = graphs.molecule, graphs.molecule[graphs.index[0]]
        orders = (torch.cat([torch.isin(owner, rows).nonzero()[:, 0] for rows in groups]).argsort() for owner in owners)
        return Embeddings(*(tuple(torch.cat(parts)[order] for parts in zip(*outputs, strict=True)) for order, outputs in zip(
            orders, ([one.atoms for one in seen], [one.bonds for one in seen]), strict=True)))

    def padded(self, batch: Padded, hops: tuple[int, int], *, bonds: bool = True) -> Embeddings:
        """The same of a padded batch."""
        crossed = batch.into @ batch.bonds[..., batch.atoms.shape[2]:]  # (B, A, G)
        atom = self.atom_view(batch.atoms, batch.beside, crossed, batch.atom_mask, hops[0])
        bond = self.bond_view(batch.bonds, batch.follows, None, batch.bond_mask, hops[1])
        to_atoms = batch.atoms, batch.atom_mask
        to_bonds = batch.bonds, batch.bond_mask
        return Embeddings(
            (self.atom_view.to_atoms(*to_atoms, batch.beside @ atom), self.bond_view.to_atoms(*to_atoms, batch.into @ bond)),
            (self.atom_view.to_bonds(*to_bonds, batch.before @ atom), self.bond_view.to_bonds(*to_bonds, batch.follows @ bond))
            if bonds else ())


def alike(graphs: Graphs, waste: float = 1.5, most: int = 32) -> Iterator[Tensor]:
    """Row numbers of molecules to pad together: the largest has at most `waste` times the bonds of the smallest (or 32 more).

    Example:
        >>> from bakeoff.parts.molecular_graphs import featurise
        >>> [rows.tolist() for rows in alike(featurise(["C" * 90, "CCO", "C" * 100, "CC"]))]
        [[1, 3], [0, 2]]
    """
    sizes, order = graphs.bond_counts.sort(stable=True)
    start = 0
    while start < len(order):
        limit = max(int(waste * sizes[start]), int(sizes[start]) + 32)
        end = min(int(torch.searchsorted(sizes, limit, right=True)), start + most)
        yield order[start:end].sort().values
        start = end


class View(nn.Module):
    """One view's stack: message passing and attention; `to_atoms` and `to_bonds` then add the residual from the raw input."""

    def __init__(self, features: int, crossed: int, raw: tuple[int, int], width: int, heads: int, dropout: float):
        super().__init__()
        self.passing = MessagePassing(features, crossed, nets=3 * heads, width=width // heads)
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.to_atoms, self.to_bonds = (Output(one, width, dropout) for one in raw)

    def forward(self, x: Tensor, along: Tensor, crossed: Tensor | None, mask: Tensor, hops: int) -> Tensor:
        states = self.passing(x, along, crossed, hops)  # (B, S, 3H, d)
        query, key, value = states.transpose(1, 2).chunk(3, 1)  # (B, H, S, d) each
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])  # (B, H, S, S)
        weights = scores.masked_fill(~mask[:, None, None], -1e9).softmax(-1)
        return self.dropout(self.norm(self.mix((weights @ value).transpose(1, 2).flatten(2))))  # (B, S, D)


class Output(nn.Module):
    """The long-range residual: raw features (B, P, F) beside what was gathered for them (B, P, D), through a feed-forward net: (N, D)."""

    def __init__(self, features: int, width: int, dropout: float):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(features + width, 4 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, raw: Tensor, mask: Tensor, gathered: Tensor) -> Tensor:
        return self.norm(self.network(torch.cat([raw[mask], gathered[mask]], -1)))


class MessagePassing(nn.Module):
    """Several message-passing nets side by side, on one graph, with states that do not mix.

    Args:
        features: F, of the input.
        crossed: G, features of the bonds crossed; 0 without.
        nets: how many.
        width: d, of each one's states.
    """

    def __init__(self, features: int, crossed: int, nets: int, width: int):
        super().__init__()
        self.start = nn.Linear(features, nets * width)
        self.crossing = nn.Linear(crossed, nets * width, bias=False) if crossed else None
        self.hop = nn.Parameter(torch.empty(nets, width, width).uniform_(-1, 1) / math.sqrt(width))

    def forward(self, x: Tensor, along: Tensor, crossed: Tensor | None, hops: int) -> Tensor:
        start = self.start(x)  # (B, S, nets * d)
        states, every = start.relu(), start if crossed is None else start + self.crossing(crossed)
        nets, width, _ = self.hop.shape
        for _ in range(hops):
            message = (along @ states).unflatten(2, (nets, width))
            states = (every + torch.einsum("bsni,nij->bsnj", message, self.hop).flatten(2)).relu()
        return states.unflatten(2, (nets, width))


class AttentiveReadout(nn.Module):
    """A molecule's atoms (N, D) read several times over, each time with weights of its own: softmax(W2 tanh(W1 H^T)) H, (B, R D).

    Weights that sum to 1 forget how many atoms there are, so a tenth of the atoms' sum stands behind: (B, (R + 1) D) in all.

    Args:
        width: D.
        readings: R.
    """

    def __init__(self, width: int, readings: int = 4):
        super().__init__()
        self.weigh = nn.Sequential(nn.Linear(width, width, bias=False), nn.Tanh(), nn.Linear(width, readings, bias=False))

    def forward(self, atoms: Tensor, graphs: Graphs) -> Tensor:
        apart = torch.arange(len(graphs))[:, None] != graphs.molecule  # (B, N)
        weights = self.weigh(atoms).T[:, None].masked_fill(apart, -1e9).softmax(-1)  # (R, B, N)
        total = (~apart).to(atoms.dtype) @ atoms  # (B, D)
        return torch.cat([(weights @ atoms).transpose(0, 1).flatten(1), total / 10], 1)


class TwoHeads(nn.Module):
    """A head on the atoms of each view, attentive readout and then a network: packed graphs to two answers, each (B, T).

    Args:
        width: D.
        targets: T.
        dropout: share of the values dropped in training.
        readings: of each readout.
    """

    def __init__(self, width: int, targets: int, dropout: float, readings: int = 4):
        super().__init__()
        self.read = nn.ModuleList(AttentiveReadout(width, readings) for _ in range(2))
        self.answer = nn.ModuleList(
            nn.Sequential(nn.Dropout(dropout), mlp((readings + 1) * width, width, targets)) for _ in range(2))

    def forward(self, seen: Embeddings, graphs: Graphs) -> tuple[Tensor, ...]:
        return tuple(answer(read(atoms, graphs)) for answer, read, atoms in zip(self.answer, self.read, seen.atoms, strict=True))


def mean_rows(rows: Tensor, owner: Tensor, count: int) -> Tensor:
    """Means (count, D) of the rows (N, D) of each owner (N,); 0 for one without rows."""
    belongs = (torch.arange(count)[:, None] == owner).float()  # (count, N)
    return belongs @ rows / belongs.sum(1, keepdim=True).clamp(min=1)


def gradient_x_input(graphs: Graphs, answer: Callable[[Padded, Graphs], Tensor]) -> Tensor:
    """What each of the A atoms of one molecule adds to an answer: slope x input, of its features and of the bonds that leave it: (A,).

    Args:
        graphs: the molecule.
        answer: one number from it, padded and packed.

    Example:
        >>> from bakeoff.parts.molecular_graphs import featurise
        >>> gradient_x_input(featurise(["CCO"]), lambda batch, graphs: batch.bonds[..., -13].sum())  # each single bond, from both ends
        tensor([1., 2., 1.])
    """
    batch = padded(graphs)
    inputs = [batch.atoms.requires_grad_(), batch.bonds.requires_grad_()]
    slopes = torch.autograd.grad(answer(batch, graphs), inputs, materialize_grads=True)
    atoms, bonds = ((slope * x).detach().sum(2)[0] for slope, x in zip(slopes, inputs, strict=True))
    return atoms.index_add(0, graphs.index[0], bonds[:graphs.index.shape[1]])


def drawn_hops(mean: int, rng: torch.Generator) -> int:
    """A normal draw around `mean` with a sixth of it as deviation, drawn again beyond half of it, to the nearest whole number.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> sorted({drawn_hops(6, rng) for _ in range(1000)})
        [3, 4, 5, 6, 7, 8, 9]
    """
    while abs(draw := float(torch.randn((), generator=rng))) > 3:
        pass
    return round(mean + draw * mean / 6)
