"""What learners of replies do with a reward that is not the likelihood: KL-control, its parts one by one, and batch Q-learning.

    BAKEOFF_DATA=... python benchmarks/replies.py

It takes some four minutes of one core and writes benchmarks/replies.md.
"""

import os
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from bakeoff.claim import Budget, Source
from bakeoff.data.sets import SETS, load
from bakeoff.papers.offline_rl.way_off_policy import CLAIM, KLControl, score, taught

SEED = 200
PSI, PLAIN = {"scale": 0.1, "learning_rate": 3e-3}, {"form": "plain", "learning_rate": 1e-3}
LEARNERS = {
    "KL-control, Psi, 5 masks": PSI,
    "the same without dropout": {**PSI, "masks": 0},
    "KL-control, Q": {**PSI, "form": "q"},
    "discrete BCQ": {**PLAIN, "form": "candidates"},
    "batch Q with the dropout bound": {**PLAIN, "masks": 5},
    "batch Q, small steps (5e-4)": {**PLAIN, "learning_rate": 5e-4, "masks": 0},
    "batch Q, 1e-3": {**PLAIN, "masks": 0},
    "batch Q, 3e-3, as KL-control has": {**PLAIN, "learning_rate": 3e-3, "masks": 0},
}
SHOWN = ("reward", "questions", "pleasing", "fluent", "log-probability a word", "different replies", "words a reply",
         "pleasing and fluent")


def main() -> None:
    torch.set_num_threads(1)
    lines = ["# Replies: reward without likelihood", "",
             f"Written by `benchmarks/replies.py`: seed {SEED}, the quick budget ({CLAIM.steps['quick']} steps, half of them for the",
             "language model, which all share), temperature 0.5, 500 replies each. The reward is foretold by a classifier",
             "that the learner's own texts teach, plus 0.25 for a question; what is pleasing and fluent is told by another,",
             "taught by texts kept from the learner. A learner farms its reward where the reward is high and the share",
             "of fluent replies low, or where one phrase comes back.", ""]
    for name in ("persona-chat", "small-talk"):
        train, test = load(Source(name), SETS[name].kind).split(SEED)
        prior, replies, steps = taught(train, Budget("quick", CLAIM.steps["quick"]), SEED)
        lines += [f"## {name}", "", "| learner | " + " | ".join(SHOWN) + " | its commonest reply |", "|---" * (len(SHOWN) + 2) + "|"]
        for learner, options in {"the language model": None, **LEARNERS}.items():
            policy = KLControl(prior, temperature=0.5, rate=0.05, seed=SEED, **(options or {}))
            policy.fit(replies, steps if options else 0)
            found = score((policy, train), test)
            said = Counter(policy.generate(500, 0, test.before[:500] if test.before else ("",))).most_common(1)[0]
            numbers = " | ".join(f"{found[one]:.3g}" for one in SHOWN)
            lines.append(f"| {learner} | {numbers} | {said[1]} times `{said[0].replace('|', '/')}` |")
            print(lines[-1], flush=True)
        lines.append("")
    Path(__file__).with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
