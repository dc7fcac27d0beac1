"""KL-control: a language model learns from logged conversations what pleases, and stays a language model.

Jaques, Ghandeharioun, Shen, Ferguson, Lapedriza, Jones, Gu, Picard. Preprint 2019. arXiv:1907.00456.

Method: the state s is what was said before and the words of the reply so far, an action a the next word; a reward r comes with the
end of the reply, read from how it was answered. The learner is a copy of a language model p and starts with its values log p(a|s).
Batch Q-learning, here the control, moves Q(a, s) towards

    r + gamma Q'(s', argmax_a' Q(s', a')),     Q' a slow copy,                                                          (1)

and nothing corrects it at words that are never said there. KL-control maximises sum_t r_t / c - KL(pi(.|s_t) || p(.|s_t)):

    Psi(s, a) <- r / c + log p(a|s) + gamma min_m log sum_b exp Psi'_m(s', b),             pi = softmax(Psi),           (2)
    Q(s, a) <- r / c + log p(a|s) - log pi(a|s) + gamma min_m max_b Q'_m(s', b),           pi = softmax(Q).             (3)

Psi'_m is Psi' under one of M = 5 dropout masks, whose smallest value is a lower bound without a second network. A small c weighs the
reward, a large one the language. Discrete BCQ draws n = 10 words from p and says the one of the greatest Q.

Departures: the paper takes the minimum over masks for each word, inside the maximum; here, as in the authors' release, it is taken of the
states' values, since inside the sum of (2) it lowers every one of a thousand terms at every word and favours short replies. All values
have log sum_b exp of p's logits taken off, so that they start at log p exactly. Dropout is on the top layer alone. A reply is an episode
that ends with it, where the paper's goes on through the conversation; as END is not bootstrapped, the bound still favours ending. A
recurrent network of 1,000 words and width 128 stands for the hierarchical one of 20,000. Discrete BCQ takes the exact expectation over
its draws instead of ten of them. Several priors are not mixed. The reward is 1 for a reply that was answered with a warm word and 0.25
for a question mark. Both arms spend half of the budget on the same language model; learning rates are five (control) and thirty
(KL-control) times the release's 1e-4, and tau, 0.05, is ten times its default. At the temperature T = 0.5 that both arms speak with, the
policy that is judged is softmax(2 Psi), not the pi of (2). Two choices were made on seed 100, after results were seen: a question's worth
went from 0.5 to 0.25, since KL-control itself farmed questions, and the judge of fluency from three words in a row to five, since the
loops of batch Q passed as fluent. Tuning: seeds 100 and 101 at 600 steps, by the mean of what is judged, each setting at T = 0.3, 0.5 and
1. KL-control: 1e-3 with c = 0.05, 0.1, 0.2 and 3e-3, the fastest tried, with c = 0.1; the control: 2e-4 (before its target's word was
chosen without a mask), 5e-4, 1e-3 and, at T = 0.3 and 0.5 alone, 2e-3 and, on seed 101, 3e-3.

Out of reach: live chats and people's ratings, so no statement about what people prefer may follow; the batch is of machine-written
conversations, or of the texts that are given, and not of a bot's own chats with people. The measure that is judged looks at single
replies, so a learner that says much the same to everyone can do well in it; the shares of different replies and of different pairs of
words, shown beside it, give that away (long replies lower the latter by themselves). On the tuning seeds KL-control at its best reached
0.446 and 0.450, batch Q at its best 0.328 and 0.282, the language model 0.19 (seed 100, T = 0.5). In reward alone KL-control was ahead
too, 0.53 and 0.52 to 0.41 and 0.37. It paid in variety: 52 and 62 % different replies to 97 and 100 % of batch Q; of pairs of words 19 %
were different to 12 % (seed 101), but in replies of 7 words to 14. At these settings both are fluent (99 % of the replies), batch Q
because small steps keep it near where it starts: at 1e-3 it is so in 56 and 83 %, at 2e-3 in 5 and 3 %. What batch Q reaches is
uncertain: at 1e-3 and T = 0.3 it was 0.14 and 0.45, and after 400 steps on seed 100 it was ahead, 0.43 to 0.37, with a reward of 0.60 to
0.45. On another seed batch Q with the dropout bound earned most of all, 0.61, in replies of which 18 % are fluent: the farming that the
paper is about (benchmarks/replies.md); KL-control had 0.52, all fluent, but said "i'm a teacher ." 85 times in 500.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import cycle, islice, pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.data.kinds.text import Text
from bakeoff.errors import DataError, NotFitted
from bakeoff.parts.language_model import LanguageModel, Replies, fitting
from bakeoff.parts.replay import follow, slow_copy
from bakeoff.parts.seeding import seeded
from bakeoff.parts.text_judge import TextJudge
from bakeoff.parts.value_pictures import scattered
from bakeoff.parts.words import END, START, UNKNOWN, Vocabulary, words

PAPER = Paper(
    title="Way Off-Policy Batch Deep Reinforcement Learning of Implicit Human Preferences in Dialog",
    authors=("Jaques", "Ghandeharioun", "Shen", "Ferguson", "Lapedriza", "Jones", "Gu", "Picard"), year=2019, venue="arXiv",
    arxiv="1907.00456", also=("Way Off-Policy", "KL-control", "Psi-learning"))
CLAIM = Claim(
    says="Choosing among 20,000 words, a model that learns from logged conversations with KL-control stays natural and people rate it "
         "above one by batch Q-learning, which drifts from language and farms the reward.",
    data="persona-chat", metric="pleasing and fluent", unit="share", better="higher", margin=0.03,
    equal="steps", steps={"smoke": 20, "quick": 600, "full": 20_000})
__all__ = ["KLControl", "best_of"]
FORMS = ("psi", "q", "plain", "candidates")


class KLControl:
    """A policy over words, learned from logged replies and their rewards, that starts as a language model and is held near it.

    Args:
        prior: p, the language model: a module with `vocabulary`, `forward(tokens (B, T), skip, masks) -> logits` and
            `masks(count, batch, rng)`, as `LanguageModel` has them.
        scale: c, how much reward a nat of divergence from p is worth.
        form: "psi" (eq. 2), "q" (eq. 3), "plain" (batch Q, eq. 1) or "candidates" (discrete BCQ: the best of some words drawn from p).
        masks: M, dropout masks under which the target is taken, the smallest of which counts; 0 for a target without dropout,
            which with "plain" is a double target: the learner chooses the word, without a mask too, and the slow copy values it.
        discount: gamma, a word.
        candidates: n, words drawn from p.
        temperature: the policy is softmax(values / temperature); 0 always takes the best word.
        learning_rate: of Adam.
        batch_size: replies a step.
        rate: tau, the share by which the target follows.
        seed: of the order of the replies and of all masks.

    Example:
        >>> from bakeoff.papers.offline_rl.way_off_policy import KLControl
        >>> from bakeoff.parts.language_model import LanguageModel, Replies
        >>> from bakeoff.parts.words import Vocabulary
        >>> told, pleased = ["good day to you", "go away", "good night"], [1.0, 0.0, 1.0]
        >>> prior = LanguageModel(Vocabulary(told), hidden=8)
        >>> learned = KLControl(prior).fit(Replies.of(told, prior.vocabulary, longest=6, reward=pleased), steps=5)
        >>> len(learned.generate(3, seed=0)), learned.log_policy(prior.vocabulary.rows(told, 6)).shape
        (3, torch.Size([3, 6, 10]))
    """

    def __init__(self, prior, scale=0.5, form="psi", masks=5, discount=0.99, candidates=10, temperature=1.0, learning_rate=1e-4,
                 batch_size=32, rate=0.005, seed=0):
        self.prior, self.scale, self.form, self.masks, self.discount, self.candidates = prior, scale, form, masks, discount, candidates
        self.temperature, self.learning_rate, self.batch_size, self.rate, self.seed = temperature, learning_rate, batch_size, rate, seed

    def fit(self, episodes: Replies, steps: int = 1000, on_step=None) -> KLControl:
        """Learn from logged replies, afresh.

        Args:
            episodes: replies and what each word of them earned.
            steps: updates.
            on_step: called with the loss after each of them.

        Returns:
            self.
        """
        if self.form not in FORMS:
            raise ValueError(f"form={self.form!r}; expected one of {', '.join(FORMS)}")
        self._start = episodes.start
        order, rng = (torch.Generator().manual_seed(self.seed + i) for i in range(2))
        self._net = copy.deepcopy(self.prior).requires_grad_(True)
        slow = slow_copy(self._net)
        optimizer = torch.optim.Adam(self._net.parameters(), self.learning_rate, fused=True)
        for _ in range(steps):
            batch = episodes.take(torch.randint(len(episodes), (self.batch_size,), generator=order))
            loss = self._loss(batch, slow, rng)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(self._net.parameters(), 1.0)
            optimizer.step()
            follow(slow, self._net, self.rate)
            if on_step:
                on_step(loss.item())
        return self

    @torch.no_grad()
    def log_policy(self, tokens: Tensor, skip: int = 0, without: Sequence[int] = ()) -> Tensor:
        """log pi of each next word after each position but the first `skip` of tokens (B, T): (B, T - skip, V); the words whose
        numbers are in `without` are ruled out."""
        values = self._fitted._net(tokens, skip)
        values[..., list(without)] = -torch.inf
        if self.form == "candidates":
            prior = self.prior(tokens, skip)
            prior[..., list(without)] = -torch.inf
            return best_of(prior.log_softmax(-1), values, self.candidates)
        if self.temperature == 0:
            return F.one_hot(values.argmax(-1), values.shape[-1]).log()
        return (values / self.temperature).log_softmax(-1)

    @torch.no_grad()
    def generate(self, count: int, seed: int, before: Sequence[str] = ("",), longest: int = 16) -> list[str]:
        """Replies drawn from the policy.

        Args:
            count: how many.
            seed: of the draws.
            before: what each replies to, from its start again when it is used up.
            longest: one more than the words of the longest.
        """
        rng, vocabulary = torch.Generator().manual_seed(seed), self.prior.vocabulary
        tokens = Replies.of([""] * count, vocabulary, 1, list(islice(cycle(before), count)), context=self._fitted._start - 1).tokens[:, :-1]
        for place in range(longest - 1):
            without = [START, UNKNOWN] + [END] * (place == 0)
            chance = self.log_policy(tokens, tokens.shape[1] - 1, without)[:, 0].exp()
            tokens = torch.cat([tokens, torch.multinomial(chance, 1, generator=rng)], 1)
        return [vocabulary.text(row) for row in tokens[:, self._start:].tolist()]

    @torch.no_grad()
    def foreseen(self, episodes: Replies) -> Tensor:
        """What the first word of each of the `episodes` should earn in all, less c times the divergence where that is charged: (N,)."""
        seen, skip = episodes.tokens[:, :episodes.start], episodes.start - 1
        values = self._fitted._net(seen, skip) - self.prior(seen, skip).logsumexp(-1, keepdim=True)
        first = episodes.tokens[:, episodes.start, None]
        if self.form == "psi":  # Psi holds log p of its own word, but the divergence only of those that follow
            values = values - self.log_policy(seen, skip)
        found = _taken(values, first)[:, 0]
        return found * self.scale if self.form in ("psi", "q") else found

    @torch.no_grad()
    def realised(self, episodes: Replies) -> Tensor:
        """What each reply of `episodes` earned in all, discounted, less c times the divergence of its words where that is charged: (N,)."""
        seen, skip, action = episodes.tokens[:, :-1], episodes.start - 1, episodes.tokens[:, episodes.start:]
        earned = episodes.reward
        if self.form in ("psi", "q"):
            earned = earned + self.scale * _taken(self.prior(seen, skip).log_softmax(-1) - self.log_policy(seen, skip), action)
        return (earned * episodes.alive() * self.discount ** torch.arange(action.shape[1])).sum(1)

    def _loss(self, batch: Replies, slow: nn.Module, rng: torch.Generator) -> Tensor:
        seen, skip, action, alive = batch.tokens[:, :-1], batch.start - 1, batch.tokens[:, batch.start:], batch.alive()
        with torch.no_grad():
            logits = self.prior(seen, skip)
            level = logits.logsumexp(-1, keepdim=True)  # taken off all values, so that they start as log p
            prior = logits - level  # (B, T, V)
        values = self._net(seen, skip, self.prior.masks(1, len(seen), rng))[0] - level
        with torch.no_grad():
            masks = self.prior.masks(self.masks, len(seen), rng) if self.masks else None
            targets = (slow(seen, skip, masks) - level).reshape(-1, *values.shape)  # (M, B, T, V)
            later = F.pad(self._worth(targets, prior, batch).amin(0)[:, 1:], (0, 1)) * (action != END)
            target = self._earned(batch.reward, values, prior, action) + self.discount * later
        return F.smooth_l1_loss(_taken(values, action)[alive], target[alive])

    def _earned(self, reward: Tensor, values: Tensor, prior: Tensor, action: Tensor) -> Tensor:  # (B, T)
        if self.form == "psi":
            return reward / self.scale + _taken(prior, action)
        if self.form == "q":
            return reward / self.scale + _taken(prior, action) - _taken(values.log_softmax(-1), action)
        return reward

    def _worth(self, targets: Tensor, prior: Tensor, batch: Replies) -> Tensor:  # (M, B, T)
        if self.form == "psi":
            return targets.logsumexp(-1)
        if self.form == "candidates":
            return (best_of(prior, targets, self.candidates).exp() * targets).sum(-1)
        if self.form == "plain" and not self.masks:
            return _taken(targets, self._net(batch.tokens[:, :-1], batch.start - 1).argmax(-1))
        return targets.amax(-1)

    @property
    def _fitted(self):
        if not hasattr(self, "_net"):
            raise NotFitted()
        return self


def best_of(prior: Tensor, values: Tensor, count: int) -> Tensor:
    """The log of the chance of each word to be the best of `count` drawn from the prior: F(a)^n - F(a-)^n, F adding p up by value.

    Args:
        prior: (..., V), log p.
        values: (..., V), by which the best is told.
        count: n; 1 gives the prior, many the word of the greatest value.

    Returns:
        (..., V).

    Example:
        >>> import torch
        >>> from bakeoff.papers.offline_rl.way_off_policy import best_of
        >>> best_of(torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 2.0]), 2).exp()
        tensor([0.2500, 0.7500])
    """
    order = values.argsort(-1)
    prior = prior.expand(values.shape)
    below = prior.gather(-1, order).exp().double().cumsum(-1).clamp(max=1) ** count
    chance = torch.diff(below, dim=-1, prepend=torch.zeros_like(below[..., :1]))
    return torch.empty_like(values).scatter_(-1, order, chance.log().to(values.dtype))


def _taken(values: Tensor, action: Tensor) -> Tensor:  # (..., B, T, V), (B, T) -> (..., B, T)
    return values.gather(-1, action.expand(values.shape[:-1])[..., None])[..., 0]


LONGEST, CONTEXT, QUESTION, JUDGED = 16, 10, 0.25, 500  # words a reply and END, words before it, a question's worth, replies judged
ALIKE = {"rate": 0.05, "temperature": 0.5}  # of both arms


def usable(text: Text) -> Text:
    """The labelled texts that are short enough."""
    kept = text.take(fitting(text.texts, LONGEST))
    if (found := len(np.unique(kept.label[::2]))) < 2:
        raise DataError(f"found {found} different labels among the {len(kept)} of {len(text)} texts that have 1 to {LONGEST - 1} words",
                        "This claim needs texts with labels, the last of which is what pleases: name their column with --target.")
    return kept


def pleased(text: Text) -> np.ndarray:
    """(N,), true where a text has the last label."""
    return text.label == len(text.classes) - 1


def asks(texts: Sequence[str]) -> np.ndarray:
    """(N,), true where there is a question mark in a text."""
    return np.array(["?" in one for one in texts])


def rewarded(train: Text, texts: Sequence[str]) -> np.ndarray:
    """(N,), what replies would have earned, by a classifier that the learner's own texts teach."""
    text = usable(train)
    return TextJudge(text.texts, pleased(text), text.texts[:100]).pleasing(texts) + QUESTION * asks(texts)


def taught(train: Text, budget, seed: int) -> tuple[LanguageModel, Replies, int]:
    """Half of the budget: a language model of the texts; with it their rewards, and the steps that remain."""
    text = usable(train)
    with seeded(seed):
        prior = LanguageModel(Vocabulary(text.texts))
    replies = Replies.of(text.texts, prior.vocabulary, LONGEST, text.before, pleased(text) + QUESTION * asks(text.texts),
                         CONTEXT if text.before else 0)
    steps = budget.steps // 2
    prior.learn(replies, steps, torch.Generator().manual_seed(seed), 8e-3, 32, on_step=lambda _: budget.spend())
    return prior.requires_grad_(False), replies, budget.steps - steps


def treatment(train, budget, seed):
    """KL-control in its Psi form, with the dropout bound."""
    prior, replies, steps = taught(train, budget, seed)
    return KLControl(prior, scale=0.1, learning_rate=3e-3, seed=seed, **ALIKE).fit(replies, steps, budget.spend), train


def control(train, budget, seed):
    """Batch Q with a double target: the same start and replies, no prior; its target's word is chosen and valued without dropout."""
    prior, replies, steps = taught(train, budget, seed)
    return KLControl(prior, form="plain", masks=0, learning_rate=5e-4, seed=seed, **ALIKE).fit(replies, steps, budget.spend), train


def score(model, test):
    """The share of replies that another classifier finds pleasing and that are as probable as real ones (judged); what hacking shows in."""
    policy, train = model
    heard = usable(test)
    heard, real = heard.take(range(0, len(heard), 2)), heard.take(range(1, len(heard), 2))
    judge, said = TextJudge(heard.texts, pleased(heard), real.texts), policy.generate(JUDGED, 0, real.before or ("",))
    pleasing, fluent = judge.pleasing(said) > 0.5, judge.fluent(said)
    told = [words(one) for one in said]
    pairs = [pair for one in told for pair in pairwise(one)]
    return {"pleasing and fluent": (pleasing & fluent).mean(), "pleasing": pleasing.mean(), "fluent": fluent.mean(),
            "reward": rewarded(train, said).mean(), "questions": asks(said).mean(),
            "log-probability a word": judge.per_word(said).mean(), "different pairs of words": len(set(pairs)) / max(1, len(pairs)),
            "different replies": len(set(said)) / len(said), "words a reply": np.mean([len(one) for one in told])}


def draw(model, test):
    """What each reply was expected to earn at its first word, against what it earned by the classifier of `rewarded`."""
    policy, train = model
    before = list(islice(cycle(usable(test).before or ("",)), JUDGED))
    said = policy.generate(JUDGED, 0, before)
    replies = Replies.of(said, policy.prior.vocabulary, LONGEST, before, rewarded(train, said), CONTEXT if test.before else 0)
    expected, came = policy.foreseen(replies).numpy(), policy.realised(replies).numpy()
    low, high = min(expected.min(), came.min()), max(expected.max(), came.max())
    title = (f"Value expected (upwards) against what came (to the right), both from {low:.3g} to {high:.3g}; expected "
             f"{expected.mean():.3g}, came {came.mean():.3g} on average over {len(said)} replies")
    return [Drawing.picture(title, scattered(came, expected))]
