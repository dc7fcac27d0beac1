"""What masks cost: the search for a lottery ticket here, the same with torch.nn.utils.prune, and the same steps with no mask at all.

LeNet-300-100, 60 rows of 784 numbers a step, one thread, CPU seconds; the three take turns, the least of each is shown. Both
searches must find the same masks and end with the same weights. Writes benchmarks/lottery_ticket.md.
"""

import time
from pathlib import Path

import torch
from torch.nn.utils import prune

from bakeoff.papers.sparsity.lottery_ticket import LotteryTicket, lenet_300_100, prune_by_magnitude
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import train

ROUNDS, EACH, TURNS = 3, 300, 3
X = torch.rand(10_000, 784, generator=torch.Generator().manual_seed(0))
Y = torch.randint(10, (10_000,), generator=torch.Generator().manual_seed(1))
SETTINGS = {"steps": EACH, "learning_rate": 1.2e-3, "batch_size": 60}


def start():
    with seeded(0):
        return lenet_300_100(784, 10)


def ours():
    found = LotteryTicket(rounds=ROUNDS).fit(X, Y, steps=EACH * (ROUNDS + 1))
    return [value for name, value in found.ticket_.state_dict().items() if name in found.masks_]


def with_torch_prune():
    network, origin = start(), start()
    layers = [(layer, first.weight) for layer, first in zip(network, origin, strict=True) if hasattr(layer, "weight")]
    for number in range(ROUNDS):
        train(network, X, Y, seed=number, **SETTINGS)
        for layer, first in layers:
            trained = getattr(layer, "weight_orig", layer.weight)  # a pruned layer's .weight lags one step behind
            prune.l1_unstructured(layer, "weight", amount=0.1 if layer is layers[-1][0] else 0.2, importance_scores=trained)
            with torch.no_grad():
                layer.weight_orig.copy_(first)
                layer.bias.zero_()
    train(network, X, Y, seed=ROUNDS, **SETTINGS)
    return [layer.weight_orig.detach() * layer.weight_mask for layer, _ in layers]


def without_masks():
    network = start()
    for number in range(ROUNDS + 1):
        train(network, X, Y, seed=number, **SETTINGS)


def least(*candidates) -> list[float]:
    times = [[] for _ in candidates]
    for _ in range(TURNS):
        for candidate, taken in zip(candidates, times, strict=True):
            began = time.process_time()
            candidate()
            taken.append(time.process_time() - began)
    return [min(taken) for taken in times]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for one, other in zip(ours(), with_torch_prune(), strict=True):
        assert torch.equal(one, other), "the two searches differ"
    weight, layer, steps = torch.randn(300, 784), torch.nn.Linear(784, 300), EACH * (ROUNDS + 1)
    searches = {"`LotteryTicket`": ours, "the same with `torch.nn.utils.prune`": with_torch_prune, "as many steps, no mask": without_masks}
    prunings = {"`prune_by_magnitude`, 300 x 784": lambda: prune_by_magnitude(weight, 0.2),
                "`prune.l1_unstructured`, the same": lambda: prune.remove(prune.l1_unstructured(layer, "weight", amount=0.2), "weight")}
    times = least(*searches.values())
    rows = [(name, f"{1000 * taken / steps:.2f} ms a step, {100 * taken / times[-1] - 100:+.0f} %")
            for name, taken in zip(searches, times, strict=True)]
    rows += [(name, f"{1000 * taken:.1f} ms") for name, taken in zip(prunings, least(*prunings.values()), strict=True)]
    table = "\n".join(["| what | measured |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)])
    page = f"# Masked training\n\nWritten by `benchmarks/lottery_ticket.py`; {ROUNDS} rounds, one thread, CPU time.\n\n{table}\n"
    Path(__file__).with_suffix(".md").write_text(page, encoding="utf-8")
    print(table)
