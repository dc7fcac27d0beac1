"""Attacks on classifiers: attack(model, x (B, ...), y (B,), ...) -> x' (B, ...), in bounds and ball exactly, the model left as it was.

In a ball: `fgsm`, `bim`, `pgd`. The smallest change: `deepfool`, `carlini_wagner`, `decoupled`. By labels alone: `boundary`.
Few pixels: `saliency`, `sparse_pgd`, `one_pixel`. What came of it: `right`, `accuracy`, `worst_of`.
"""

from .balls import lengths, project, random_change
from .decision import boundary
from .gradient import bim, fgsm, pgd
from .minimal import carlini_wagner, decoupled, deepfool
from .outcomes import accuracy, cross_entropy, dlr_loss, margin_loss, right, worst_of
from .sparse import one_pixel, saliency, sparse_pgd

__all__ = ["accuracy", "bim", "boundary", "carlini_wagner", "cross_entropy", "decoupled", "deepfool", "dlr_loss", "fgsm", "lengths",
           "margin_loss", "one_pixel", "pgd", "project", "random_change", "right", "saliency", "sparse_pgd", "worst_of"]
