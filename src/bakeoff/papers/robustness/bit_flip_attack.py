"""Bit-flip attack: a few bits of a network's stored 8-bit weights, found by gradient, ruin it where as many blind ones seldom do.

Rakin, He, Fan. Bit-Flip Attack: Crushing Neural Network with Progressive Bit Search. ICCV 2019. arXiv:1903.12269.

Method: each layer's weights lie in memory as N-bit two's-complement whole numbers, with one step of the layer,

    w = step * (-2^(N-1) b_{N-1} + sum_{i < N-1} 2^i b_i),  b_i in {0, 1},  step = max |w| / (2^(N-1) - 1).

With L the cross-entropy of one batch of images, the gradient of a bit is dL/db_i = dL/dw * step * (its factor above). A flip can raise L
only where b_i = 0 and the gradient is positive, or b_i = 1 and it is negative; elsewhere it is masked. One round of the progressive search:

    in each layer: of the `top_k` weights of largest |dL/dw|, flip the n bits of largest unmasked |dL/db|, note L, undo;
    across layers: flip them for good in the layer where L rose most. If it rose nowhere, the round is repeated with n + 1 bits.

n starts at 1 in each round. The network is in evaluation mode; only weights of convolutions and dense layers are stored in bits.
Random flips are blind, in the strongest of three ways by the loss of the same batch (any bit of any weight; sign bits; sign bits with
every layer drawn as often as another), or each the best of several tried out.

Departures: a small CNN of 52,000 weights, quantised after training with Adam, instead of ResNets and, on CIFAR-10, straight-through
training. The batch that guides the attack is from the training images; accuracy is that of images which neither has seen. Judged are
flips until the accuracy is no better than that of one class answered always, within a point; a run that never gets there counts one more
than it made. A layer's step is stored apart and not attacked. The paper's random flips are blind; against the strongest of three
blind ways the search won in 10 of 10 pairs (36 flips on average, the others never within 60). They spend nothing on choosing, so
the control judged here spends as much as the search: random sign bits, layers alike, each the best of as many as a round of the search
evaluates networks. In those ten pairs it took 30 flips on average: in a network so small, trying out is worth what the gradient is.

Out of reach: ImageNet's networks of 93 million bits, where the share of bits flipped is far smaller; flipping bits of real memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

PAPER = Paper(title="Bit-Flip Attack: Crushing Neural Network with Progressive Bit Search",
              authors=("Rakin", "He", "Fan"), year=2019, venue="ICCV", arxiv="1903.12269",
              also=("bit-flip attack", "bit flip attack", "progressive bit search", "BFA"))
CLAIM = Claim(says="A progressive search crushes an 8-bit ResNet-18 to chance by 13 flips of its 93 million bits (69.8 % to 0.1 % on "
                   "ImageNet), while 100 random flips cost less than 1 %.",
              data="fashion-mnist", metric="flips to chance", unit="flips", better="lower", margin=5.0,
              equal="steps", steps={"smoke": 30, "quick": 560, "full": 20_060})
__all__ = ["QuantizedModel", "bit_flip_attack", "random_flips"]


class Flip(NamedTuple):
    """One flipped bit: the name of its layer, the place of its weight in the flattened tensor, the bit (0 the least significant)."""

    layer: str
    index: int
    bit: int


class QuantizedModel(nn.Module):
    """A copy of a classifier whose weights are stored as whole numbers in two's complement, the bits of which can be flipped.

    `codes` maps a layer's name to its numbers (int8, as the weight), `steps` to the size of one; the copy computes with their product.
    All weights of `nn.Linear` and `nn.Conv2d` are stored so; biases and everything else stay as they are. A state_dict has both.

    Args:
        model: any classifier; it is left as it is.
        bits: of each weight, 2..8; the paper's N.

    Raises:
        ValueError: bits out of range, no such layer, or weights that are not finite or that a parametrization computes anew.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.bit_flip_attack import QuantizedModel
        >>> stored = QuantizedModel(torch.nn.Linear(1, 1, bias=False))
        >>> before = stored.codes[""].item()  # 127 or -127: one weight is the largest
        >>> stored.flip("", index=0, bit=7)
        >>> stored.codes[""].item() - before in (-128, 128)
        True
    """

    def __init__(self, model: nn.Module, bits: int = 8):
        super().__init__()
        if not 2 <= bits <= 8:
            raise ValueError(f"expected 2 to 8 bits, not {bits}")
        given = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        if not given or not all(isinstance(weight, nn.Parameter) and bool(weight.isfinite().all()) for weight in given):
            raise ValueError("expected a model with nn.Linear or nn.Conv2d layers whose weights are finite and plain parameters; take away "
                             "what computes them anew (weight_norm, a mask) by torch.nn.utils.parametrize.remove_parametrizations")
        self.model, self.bits = deepcopy(model).requires_grad_(False), bits
        self.layers = {name: layer for name, layer in self.model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
        self.codes, self.steps, top = {}, {}, 2 ** (bits - 1) - 1
        for name, layer in self.layers.items():
            step = layer.weight.abs().max().item() / top or 1.0
            self.codes[name], self.steps[name] = (layer.weight / step).round().clamp(-top, top).to(torch.int8), step
            layer.weight.copy_(self.codes[name] * step)

    def forward(self, x: Tensor) -> Tensor:
        """The logits (B, K) of the stored classifier."""
        return self.model(x)

    def get_extra_state(self):
        """The stored bits, as `state_dict` keeps them."""
        return {"bits": self.bits, "codes": self.codes, "steps": self.steps}

    def set_extra_state(self, state) -> None:
        """Take over the stored bits in a `state` that `get_extra_state` gave."""
        self.bits, self.codes, self.steps = (deepcopy(state[name]) for name in ("bits", "codes", "steps"))

    def flip(self, layer: str, index: int, bit: int) -> None:
        """Flip one stored bit; flipped again, all is as before.

        Args:
            layer: its name, a key of `codes`.
            index: the place of the weight in the layer's flattened weights.
            bit: 0 is the least significant, `bits` - 1 the sign.
        """
        code = self.codes[layer].view(-1)[index]
        code += factors(self.bits)[bit] * (1 - 2 * bits_of(code, self.bits)[bit])
        self.layers[layer].weight.view(-1)[index] = code * self.steps[layer]

    def gradients(self, x: Tensor, y: Tensor) -> tuple[float, dict[str, Tensor]]:
        """The loss of a batch x (B, ...) of classes y (B,), and its derivatives in every layer's codes: dL/dw * step, as the weight."""
        weights = {f"{name}.weight".lstrip("."): layer.weight.detach().requires_grad_() for name, layer in self.layers.items()}
        with evaluating(self.model), torch.enable_grad():
            loss = F.cross_entropy(torch.func.functional_call(self.model, weights, (x,)), y)
            found = torch.autograd.grad(loss, list(weights.values()))
        return loss.item(), {name: gradient * self.steps[name] for name, gradient in zip(self.layers, found, strict=True)}

    def loss(self, x: Tensor, y: Tensor) -> float:
        """The cross-entropy of a batch x (B, ...) of classes y (B,), in evaluation mode."""
        with evaluating(self.model), torch.no_grad():
            return F.cross_entropy(self(x), y).item()


def bits_of(codes: Tensor, bits: int = 8) -> Tensor:
    """Whole numbers -2^(bits-1)..2^(bits-1) - 1 as two's complement: (..., bits) of 0 and 1, the least significant first."""
    return codes.int()[..., None] >> torch.arange(bits, device=codes.device) & 1


def factors(bits: int) -> Tensor:
    """What each bit adds to its number: 1, 2, 4, ..., and -2^(bits-1) for the last: (bits,)."""
    powers = 2 ** torch.arange(bits)
    powers[-1] *= -1
    return powers


def bit_flip_attack(model: QuantizedModel, x: Tensor, y: Tensor, *, flips: int = 20, top_k: int = 10,
                    on_step: Callable[[float], None] | None = None) -> list[Flip]:
    """Flip the bits of `model`, in place, that a progressive search finds to raise the loss of one batch most.

    The search ends early where no set of bits in any one layer raises the loss. `model.flip(*flip)` undoes a flip.

    Args:
        model: the stored classifier; its bits are flipped.
        x: (B, ...) inputs that guide the search; the paper takes 128.
        y: (B,) their class numbers.
        flips: how many bits to flip at most.
        top_k: weights of largest gradient, in each layer, whose bits are looked at.
        on_step: called with the loss after every flip.

    Returns:
        The flips in their order; a bit may come back in it, flipped again.

    Raises:
        ValueError: flips or top_k below 1.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.bit_flip_attack import QuantizedModel, bit_flip_attack
        >>> layer = torch.nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, -0.9], [-0.9, 0.8]]))
        >>> stored = QuantizedModel(layer)
        >>> flips = bit_flip_attack(stored, torch.eye(2), torch.tensor([0, 1]), flips=2)
        >>> [flip.bit for flip in flips], stored(torch.eye(2)).argmax(1).tolist()  # two signs, and it says one class always
        ([7, 7], [0, 0])
    """
    if flips < 1 or top_k < 1:
        raise ValueError(f"expected flips and top_k of 1 or more, not {flips} and {top_k}")
    made = []
    while len(made) < flips:
        before, gradients = model.gradients(x, y)
        for count in range(1, flips - len(made) + 1):
            tried = [(_trial(model, chosen, x, y), chosen) for chosen in _in_layers(model, gradients, top_k, count)]
            after, best = max(tried, key=lambda pair: pair[0], default=(before, []))
            if after > before:
                break
        else:
            break
        _flip(model, best)
        made += best
        for _ in best if on_step is not None else ():
            on_step(after)
    return made


def _in_layers(model: QuantizedModel, gradients: dict[str, Tensor], top_k: int, count: int) -> Iterator[list[Flip]]:
    """In each layer, the `count` bits of largest unmasked gradient among its `top_k` weights; fewer where fewer can raise the loss."""
    for layer, gradient in gradients.items():
        places = gradient.flatten().abs().topk(min(top_k, gradient.numel())).indices  # (k,)
        stored = bits_of(model.codes[layer].flatten()[places], model.bits)  # (k, bits)
        slopes = gradient.flatten()[places, None] * factors(model.bits)  # (k, bits) dL/db
        sizes = slopes.abs() * (stored != (slopes > 0))  # masked: a flip along the slope raises the loss
        largest, chosen = sizes.flatten().topk(min(count, sizes.numel()))
        found = [Flip(layer, places[one // model.bits].item(), one % model.bits) for one in chosen[largest > 0].tolist()]
        if found:
            yield found


def _flip(model: QuantizedModel, flips: list[Flip]) -> None:
    for flip in flips:
        model.flip(*flip)


def _trial(model: QuantizedModel, flips: list[Flip], x: Tensor, y: Tensor) -> float:
    """The loss with these bits flipped; they are flipped back."""
    _flip(model, flips)
    loss = model.loss(x, y)
    _flip(model, flips)
    return loss


def random_flips(model: QuantizedModel, x: Tensor, y: Tensor, *, flips: int = 20, sign_only: bool = False, layers_alike: bool = False,
                 candidates: int = 1, seed: int = 0, on_step: Callable[[float], None] | None = None) -> list[Flip]:
    """Flip random bits of `model`, in place; no bit twice.

    Args:
        model: the stored classifier; its bits are flipped.
        x: (B, ...) inputs whose loss decides among candidates.
        y: (B,) their class numbers.
        flips: how many bits to flip.
        sign_only: only most significant bits, which change a weight by half the range of its layer.
        layers_alike: every layer is drawn as often as another; otherwise every weight.
        candidates: bits drawn for each flip, of which that with the highest loss is flipped.
        seed: decides the bits.
        on_step: called with the loss after every flip.

    Returns:
        The flips in their order.

    Raises:
        ValueError: flips or candidates below 1, or more flips than there are bits to draw.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.bit_flip_attack import QuantizedModel, random_flips
        >>> stored = QuantizedModel(torch.nn.Linear(4, 2))
        >>> len(set(random_flips(stored, torch.zeros(1, 4), torch.tensor([0]), flips=8, sign_only=True)))  # all eight signs
        8
    """
    sizes = {layer: codes.numel() for layer, codes in model.codes.items()}
    lowest = model.bits - 1 if sign_only else 0
    total = (model.bits - lowest) * sum(sizes.values())
    if not (1 <= flips <= total and candidates >= 1):
        raise ValueError(f"expected candidates of 1 or more and 1 to {total} flips, not {candidates} and {flips}")
    chances = torch.tensor([1.0 if layers_alike else float(size) for size in sizes.values()])
    rng, made = torch.Generator().manual_seed(seed), []

    def draw() -> Flip:
        layer = list(sizes)[torch.multinomial(chances, 1, generator=rng).item()]
        weight, bit = (torch.randint(low, high, (), generator=rng).item() for low, high in ((0, sizes[layer]), (lowest, model.bits)))
        return flip if (flip := Flip(layer, weight, bit)) not in made else draw()

    for _ in range(flips):
        drawn = [draw() for _ in range(candidates)]
        made.append(drawn[0] if candidates == 1 else max(drawn, key=lambda flip: _trial(model, [flip], x, y)))
        model.flip(*made[-1])
        if on_step is not None:
            on_step(model.loss(x, y))
    return made


FLIPS = {"smoke": 10, "quick": 60, "full": 60}
BATCH = 128
BLIND = ({}, {"sign_only": True}, {"sign_only": True, "layers_alike": True})


def attacked(train, budget, seed, attack):
    """A network stored in 8 bits, the flips that `attack`(model, x, y, flips) makes in a copy, and the strongest blind ones."""
    network, flips = small_cnn(train.pixels.shape[1:], len(train.classes), seed=seed, width=8, hidden=64), FLIPS[budget.name]
    x, y = torch.tensor(train.pixels[:10_000]), torch.tensor(train.labels[:10_000])
    learn(network, x, y, steps=budget.steps - flips, learning_rate=2e-3, batch_size=BATCH, seed=seed, on_step=budget.spend)
    stored, x, y = QuantizedModel(network), x[:BATCH], y[:BATCH]
    made, losses = attack(deepcopy(stored), x, y, flips)
    for number in range(flips):  # a search that ended early has spent no less
        budget.spend(losses[min(number, len(losses) - 1)])
    return stored, made, strongest(stored, x, y, flips, seed, BLIND)[0]


def strongest(stored, x, y, flips, seed, ways):
    """Random flips in the one of these ways that raises the loss most, and the losses on the way."""
    tries = [(losses := [], random_flips(deepcopy(stored), x, y, flips=flips, seed=seed, on_step=losses.append, **way)) for way in ways]
    return max(tries, key=lambda tried: tried[0][-1])[::-1]


def accuracies(stored, flips, test) -> list[float]:
    """Accuracy in percent on at most 1,000 test images, before the flips and after each."""
    stored, x, y = deepcopy(stored), torch.tensor(test.pixels[:1000]), torch.tensor(test.labels[:1000])
    found = []
    with evaluating(stored), torch.no_grad():
        for flip in (None, *flips):
            if flip is not None:
                stored.flip(*flip)
            found.append(100 * (stored(x).argmax(1) == y).double().mean().item())
    return found


def flips_to_chance(path, test) -> int:
    """Flips after which the accuracy is that of the commonest class, plus a point; where it never is, one more than were made."""
    chance = 100 * torch.tensor(test.labels).bincount().max().item() / len(test) + 1
    return next((flips for flips, found in enumerate(path) if found <= chance), len(path))


def treatment(train, budget, seed):
    """The progressive bit search."""
    def attack(model, x, y, flips):
        losses = []
        return bit_flip_attack(model, x, y, flips=flips, on_step=losses.append), losses or [model.loss(x, y)]

    return attacked(train, budget, seed, attack)


def control(train, budget, seed):
    """Random sign bits, each the best of as many as the search evaluates networks in a round; or blind ones, where these are stronger."""
    def attack(model, x, y, flips):
        return strongest(model, x, y, flips, seed, (*BLIND, {**BLIND[2], "candidates": len(model.layers) + 3}))  # a gradient costs 3

    return attacked(train, budget, seed, attack)


def score(model, test):
    """Flips to chance (judged), the accuracies on the way, and flips to chance of blind random flips."""
    stored, made, blind = model
    path = accuracies(stored, made, test)
    return {CLAIM.metric: flips_to_chance(path, test),
            **{f"accuracy after {flips} flips": path[min(flips, len(path) - 1)] for flips in (0, 5, 10, 20, 40)},
            "lowest accuracy": min(path),
            "flips to chance of blind random flips": flips_to_chance(accuracies(stored, blind, test), test),
            "bits stored": float(stored.bits * sum(codes.numel() for codes in stored.codes.values()))}


def draw(model, test):
    """Accuracy against flips, as bars."""
    heights = torch.tensor(accuracies(*model[:2], test))  # (F,)
    bars = 1 - 0.6 * (torch.arange(100, 0, -1)[:, None] <= heights).float()  # (100, F)
    return [Drawing.picture(f"Test accuracy (0 to 100 %) after 0 to {len(heights) - 1} flips", bars.repeat_interleave(4, 1).numpy())]
