"""The kind `Text`: short texts, perhaps with a label each, perhaps with what was said before each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .records import frozen, require, two_parts


@dataclass(frozen=True)
class Text:
    """Sentences, or replies in conversations.

    Args:
        texts: N texts, none of them blank.
        label: (N,) whole numbers 0..K-1, the class of each text; empty when nothing is known about them.
        classes: K class names, or () without labels.
        before: N texts, what was said just before each ("" where nothing was), or () when texts stand alone.
        group: (N,) numbers, the same for texts that a split must not part, such as those of one conversation; empty when any may be.

    Example:
        >>> from bakeoff.data.kinds.text import Text
        >>> told = Text(("i like tea .", "go away !"), [1, 0], ("cold", "warm"), before=("and you ?", "hello"))
        >>> len(told), told.take([1]).texts, told.take([1]).before
        (2, ('go away !',), ('hello',))
    """

    texts: tuple[str, ...]
    label: np.ndarray | Sequence[int] = ()
    classes: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    group: np.ndarray | Sequence[int] = ()

    def __post_init__(self):
        frozen(self, label=np.int64, group=np.int64)
        object.__setattr__(self, "texts", tuple(self.texts))
        object.__setattr__(self, "before", tuple(self.before))
        count, known = len(self.texts), len(self.classes)
        blank = next((i for i, one in enumerate(self.texts) if not one.strip()), None)
        require(blank is None, f"Text.texts[{blank}]", "a blank text", "at least one word")
        require(self.label.shape in ((0,), (count,)), "Text.label", f"shape {self.label.shape}", f"({count},), or (0,) for none")
        inside = bool(((self.label >= 0) & (self.label < known)).all())
        require(inside, "Text.label", "a number of no class", f"0 to {known - 1}")
        require(self.group.shape in ((0,), (count,)), "Text.group", f"shape {self.group.shape}", f"({count},), or (0,) for none")
        require(len(self.before) in (0, count), "Text.before", f"{len(self.before)} texts", f"{count}, one a text, or none")

    def __len__(self):
        return len(self.texts)

    def take(self, rows) -> Text:
        """The texts at these positions."""
        return replace(self, texts=tuple(self.texts[i] for i in rows), label=self.label[rows] if len(self.label) else (),
                       before=tuple(self.before[i] for i in rows) if self.before else (),
                       group=self.group[rows] if len(self.group) else ())

    def split(self, seed: int) -> tuple[Text, Text]:
        """80 % train, 20 % test, shuffled; of the groups where there are any."""
        if not len(self.group):
            train, test = two_parts(len(self), seed)
            return self.take(train), self.take(test)
        groups = np.unique(self.group)
        test = np.isin(self.group, groups[two_parts(len(groups), seed)[1]])
        return self.take(np.flatnonzero(~test)), self.take(np.flatnonzero(test))
