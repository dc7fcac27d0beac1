"""A model put into evaluation mode for a while, every module's own mode put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside the block all of `model` is in evaluation mode; outside, each module is in the mode it had.

    Args:
        model: any network; a mixture of modes is kept.

    Example:
        >>> from torch import nn
        >>> model = nn.Dropout()
        >>> with evaluating(model):
        ...     model.training
        False
        >>> model.training
        True
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
