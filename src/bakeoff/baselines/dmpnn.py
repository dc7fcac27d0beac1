"""D-MPNN: a molecule's property from messages that run along its bonds, each direction by itself.

Yang, Swanson, Jin, Coley, Eiden, Gao, et al. Analyzing Learned Molecular Representations for Property Prediction. JCIM 2019.
arXiv:1904.01561.

Every directed bond v -> w has a state. It hears the bonds that enter v, all but its own reverse, so that nothing is told
straight back to where it came from; at last each atom sums what enters it, and the molecule sums its atoms:

    h_vw^0 = relu(W_i [x_v, e_vw])          m_vw = sum_{u in N(v) \\ w} h_uv^t          h_vw^{t+1} = relu(W_i [x_v, e_vw] + W_h m_vw)
    h_v = relu(W_o [x_v, sum_{u in N(v)} h_uv])      h = sum_v h_v (or mean_v)      y = W_2 relu(W_1 h)

Adam; its rate climbs from a tenth to the peak in the first part of the steps, and falls back to a tenth exponentially. Targets
are standardised on the training rows (regression) or judged by cross-entropy (classification); a missing one teaches nothing.

Tuned once, one seed, on scaffold splits of training rows alone (FreeSolv and ESOL, RMSE after 110 and 90 steps; BACE, ROC-AUC after
45): the paper's mean of the atoms at a peak rate of 1e-3 gave 2.04, 1.56 and 0.632; the sum 1.55, 1.46 and 0.685; the sum at 2e-3,
which is kept, 1.31, 1.43 and 0.679. Width 300, depth 3 and batches of 50 are the paper's.

Directed bonds of one batch whose surroundings are alike up to t bonds away have the same h^t: it is computed once for all of them,
which saves three of four products with W_h. The sums are the same; dropout, where it is asked for, then drops units of all of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import NotFitted
from ..parts.mlp import mlp
from ..parts.molecular_graphs import ATOM_FEATURES, BOND_FEATURES, BOND_KINDS, Graphs, featurise
from ..parts.seeding import seeded
from ..parts.supervised import minibatches

TASKS, READOUTS = ("regression", "classification"), ("sum", "mean")


class DMPNN:
    """A directed message passing network that predicts T targets of a molecule.

    Args:
        task: "regression", or "classification" where every target is 0 or 1.
        hidden: width of the states and of the head's hidden layer.
        depth: how often bonds hear each other, plus one; the paper's T.
        readout: "sum" or "mean" of the atoms.
        dropout: share of each state that is left out while learning.
        batch_size: molecules a step.
        learning_rate: Adam's at its peak.
        warm_up: share of the steps in which the rate climbs.
        seed: of the start, the order of molecules and the dropout.

    Example:
        >>> from bakeoff.data.kinds.molecules import Molecules
        >>> chains = Molecules(["C" * n for n in range(1, 9)], [[float(n)] for n in range(1, 9)], ("atoms",))
        >>> network = DMPNN(hidden=32, batch_size=8, learning_rate=1e-2).fit(chains, steps=100)
        >>> bool(abs(network.predict(chains) - torch.tensor(chains.targets)).max() < 1)
        True
    """

    def __init__(self, task="regression", *, hidden=300, depth=3, readout="sum", dropout=0.0, batch_size=50, learning_rate=2e-3,
                 warm_up=0.07, seed=0):
        self.task, self.hidden, self.depth, self.readout, self.dropout = task, hidden, depth, readout, dropout
        self.batch_size, self.learning_rate, self.warm_up, self.seed = batch_size, learning_rate, warm_up, seed

    def fit(self, molecules, steps=1000, on_step=None):
        """Learn from molecules, afresh.

        Args:
            molecules: a `Molecules` record with targets (N, T), NaN where nothing was measured.
            steps: minibatches to learn from.
            on_step: called with the loss after each.

        Returns:
            self.

        Raises:
            ValueError: an unknown task or readout, no targets, or classes that are not 0 and 1.
        """
        targets = torch.tensor(molecules.targets, dtype=torch.float32)  # (N, T)
        self._check(targets)
        graphs = featurise(molecules.smiles)
        self._scale = standard(targets) if self.task == "regression" else (torch.zeros(1), torch.ones(1))
        targets = (targets - self._scale[0]) / self._scale[1]
        with seeded(self.seed):
            self._network = Network(targets.shape[1], self.hidden, self.depth, self.readout, self.dropout)
            optimiser = torch.optim.Adam(self._network.parameters(), fused=True)
            for step, rows in enumerate(minibatches(len(graphs), self.batch_size, steps, self.seed)):
                for group in optimiser.param_groups:
                    group["lr"] = self.learning_rate * climb_and_fall(step, steps, self.warm_up)
                loss = known_loss(self._network(graphs.take(rows)), targets[rows], self.task)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                if on_step:
                    on_step(loss.item())
        self._network.eval()
        return self

    def predict(self, molecules) -> Tensor:
        """The targets (N, T) of molecules in their own units, or the probability of class 1.

        Args:
            molecules: a `Molecules` record; its targets are not looked at.
        """
        if not hasattr(self, "_network"):
            raise NotFitted()
        graphs = featurise(molecules.smiles)
        with torch.no_grad():
            outputs = torch.cat([self._network(graphs.take(rows)) for rows in torch.arange(len(graphs)).split(256)])
        return outputs.sigmoid() if self.task == "classification" else outputs * self._scale[1] + self._scale[0]

    def _check(self, targets: Tensor) -> None:
        known = targets[~targets.isnan()]
        for wrong, found in (
            (self.task not in TASKS, f"task={self.task!r}; expected one of {', '.join(TASKS)}"),
            (self.readout not in READOUTS, f"readout={self.readout!r}; expected one of {', '.join(READOUTS)}"),
            (not len(known), "no targets to learn from"),
            (self.task == "classification" and not bool(((known == 0) | (known == 1)).all()), "classes other than 0 and 1"),
        ):
            if wrong:
                raise ValueError(found)


class Network(nn.Module):
    """The network alone: packed graphs of M molecules to outputs (M, T).

    Args:
        outputs: T.
        hidden, depth, readout, dropout: as in `DMPNN`.

    Example:
        >>> Network(2, hidden=8)(featurise(["CCO", "C"])).shape
        torch.Size([2, 2])
    """

    def __init__(self, outputs: int, hidden=300, depth=3, readout="sum", dropout=0.0):
        super().__init__()
        self.depth, self.readout = depth, readout
        self.first = nn.Linear(ATOM_FEATURES + BOND_FEATURES, hidden, bias=False)  # W_i
        self.between = nn.Linear(hidden, hidden, bias=False)  # W_h
        self.last = nn.Linear(ATOM_FEATURES + hidden, hidden)  # W_o
        self.drop = nn.Dropout(dropout)
        self.head = nn.Sequential(self.drop, mlp(hidden, hidden, outputs))

    def forward(self, graphs: Graphs) -> Tensor:  # (M, T)
        return self.head(self.encode(graphs))

    def encode(self, graphs: Graphs) -> Tensor:
        """The states of the molecules, (M, hidden)."""
        total = enter(self.states(graphs), graphs.molecule, len(graphs))
        return total if self.readout == "sum" else total / graphs.atom_counts[:, None]

    def states(self, graphs: Graphs) -> Tensor:
        """The states of the atoms, (N, hidden)."""
        leaves, enters = graphs.index
        rng = torch.Generator().manual_seed(0)
        rows, first = alike(graphs.atom_kind[leaves] * BOND_KINDS + graphs.bond_kind)
        start = self.first(torch.cat([graphs.atoms[leaves[rows]], graphs.bonds[rows]], 1))  # (U, hidden)
        state, place, name = start.relu(), first, names(rows, rng)[first]  # name (E, 1)
        for _ in range(self.depth - 1):
            rows, then = alike(name + messages(names(rows, rng)[place], graphs))
            heard = messages(state.index_select(0, place), graphs, rows)  # (U', hidden)
            state, place = self.drop((start.index_select(0, first[rows]) + self.between(heard)).relu()), then
        heard = enter(state.index_select(0, place), enters, len(graphs.mass))  # (N, hidden)
        rows, place = alike(graphs.atom_kind[:, None] + enter(names(rows, rng)[place], enters, len(graphs.mass)))
        atoms = self.last(torch.cat([graphs.atoms[rows], heard.index_select(0, rows)], 1)).relu()
        return self.drop(atoms).index_select(0, place)


def messages(state: Tensor, graphs: Graphs, rows: Tensor | None = None) -> Tensor:
    """What directed bonds v -> w hear: the sum over the bonds that enter v, without their own reverse.

    Args:
        state: (E, D) of all directed bonds.
        graphs: what they belong to.
        rows: the R directed bonds that are asked for; all of them by default.

    Returns:
        (R, D).

    Example:
        >>> messages(torch.tensor([[1.0], [10.0], [100.0], [1000.0]]), featurise(["CCO"])).T.tolist()  # 0-1, 1-0, 1-2, 2-1
        [[0.0, 1000.0, 1.0, 0.0]]
    """
    rows = torch.arange(len(state)) if rows is None else rows
    heard = enter(state, graphs.index[1], len(graphs.mass))
    return heard.index_select(0, graphs.index[0][rows]) - state.index_select(0, graphs.reverse[rows])


def enter(rows: Tensor, place: Tensor, places: int) -> Tensor:
    """The sum of the rows (R, D) that go to each place: (places, D)."""
    return rows.new_zeros(places, rows.shape[1]).index_add(0, place, rows)


def alike(key: Tensor) -> tuple[Tensor, Tensor]:
    """One row of each distinct key, (U,), and for every row the place of its key among them, (R,); key is (R,) or (R, 1)."""
    distinct, place = key.view(-1).unique(return_inverse=True)
    return torch.empty_like(distinct).scatter_(0, place, torch.arange(len(place))), place


def names(rows: Tensor, rng: torch.Generator) -> Tensor:
    """A number of 64 bits for each of the rows, (U, 1): sums of such numbers, modulo 2^64, tell one multiset of rows from another."""
    return torch.randint(-2**63, 2**63 - 1, (len(rows), 1), generator=rng)


def known_loss(outputs: Tensor, targets: Tensor, task: str) -> Tensor:
    """Mean loss over the targets there are: squared error, or cross-entropy of logits; the gradient of a missing one is 0."""
    known = ~targets.isnan()
    loss = F.mse_loss if task == "regression" else F.binary_cross_entropy_with_logits
    return loss(outputs[known], targets[known], reduction="sum") / max(1, int(known.sum()))


def standard(targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column (N, T) over what is known; (0, 1) where a column has no spread."""
    mean = targets.nanmean(0).nan_to_num()
    spread = (targets - mean).square().nanmean(0).sqrt().nan_to_num()
    return mean, torch.where(spread > 0, spread, 1.0)


def climb_and_fall(step: int, steps: int, warm_up: float) -> float:
    """The rate at a step, in units of its peak: linearly from 0.1 to 1 in the first `warm_up` of the steps, then down to 0.1.

    Example:
        >>> [round(climb_and_fall(step, 101, 0.5), 3) for step in (0, 25, 50, 75, 100)]
        [0.1, 0.55, 1.0, 0.316, 0.1]
    """
    done = step / max(1, steps - 1)
    return 0.1 + 0.9 * done / warm_up if done < warm_up else 0.1 ** ((done - warm_up) / (1 - warm_up))
