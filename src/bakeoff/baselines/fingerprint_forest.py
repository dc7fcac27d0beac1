"""Fingerprint forest: a random forest that looks at which surroundings of atoms a molecule has. The baseline to beat on small tables.

Rogers, Hahn. Extended-Connectivity Fingerprints. JCIM 2010. doi:10.1021/ci100050t; Breiman. Random Forests. Machine Learning 2001.

Morgan fingerprints of radius 2, folded to 2,048 bits, go into 200 trees grown to the end, each on a bootstrap sample; a third of
the bits is tried at a split for a number, the square root of them for a class. One forest a target, on the rows where it is known.

Tuned once, with 100 trees on scaffold splits of training rows alone: of a third, a tenth and the square root of the bits the third
did best for numbers (RMSE of ESOL 1.69, 1.70, 1.73; FreeSolv 2.16, 2.39, 2.66; Lipophilicity 0.92, 0.95, 0.98), the square root
for classes (ROC-AUC of BACE 0.92 beside 0.90 at a tenth). Leaves of two rows did worse on four of the five sets.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import NotFitted
from ..parts.fingerprints import morgan

FORESTS = {"regression": ("RandomForestRegressor", 1 / 3), "classification": ("RandomForestClassifier", "sqrt")}


class FingerprintForest:
    """A random forest on Morgan fingerprints that predicts T targets of a molecule.

    Args:
        task: "regression", or "classification" where every target is 0 or 1.
        radius: bonds from an atom that its surroundings reach.
        bits: length of the folded fingerprint.
        trees: trees of each forest.
        seed: of the bootstrap samples and the bits tried.

    Example:
        >>> from bakeoff.data.kinds.molecules import Molecules
        >>> known = Molecules(["CCO", "CCCO", "CCN", "CCCN"], [[1.0], [1.0], [0.0], [0.0]], ("alcohol",))
        >>> forest = FingerprintForest("classification", trees=20).fit(known)
        >>> (forest.predict(Molecules(["CCCCO", "CCCCN"]))[:, 0] > 0.5).tolist()
        [True, False]
    """

    def __init__(self, task="regression", *, radius=2, bits=2048, trees=200, seed=0):
        self.task, self.radius, self.bits, self.trees, self.seed = task, radius, bits, trees, seed

    def fit(self, molecules):
        """Learn from molecules, afresh.

        Args:
            molecules: a `Molecules` record with targets (N, T), NaN where nothing was measured.

        Returns:
            self.

        Raises:
            ValueError: an unknown task, a target never measured, or classes that are not 0 and 1.
        """
        if self.task not in FORESTS:
            raise ValueError(f"task={self.task!r}; expected one of {', '.join(FORESTS)}")
        x = morgan(molecules.smiles, radius=self.radius, bits=self.bits)
        self._forests = [self._grown(x, y) for y in molecules.targets.T]
        return self

    def predict(self, molecules) -> Tensor:
        """The targets (N, T) of molecules in their own units, or the probability of class 1.

        Args:
            molecules: a `Molecules` record; its targets are not looked at.
        """
        if not hasattr(self, "_forests"):
            raise NotFitted()
        x = morgan(molecules.smiles, radius=self.radius, bits=self.bits)
        return torch.tensor(np.stack([one.predict(x) if self.task == "regression" else one.predict_proba(x) @ one.classes_
                                      for one in self._forests], 1), dtype=torch.float32)

    def _grown(self, x: np.ndarray, y: np.ndarray):
        from sklearn import ensemble
        known = ~np.isnan(y)
        if not known.any():
            raise ValueError("a target without any measured value")
        if self.task == "classification" and not np.isin(y[known], (0, 1)).all():
            raise ValueError("classes other than 0 and 1")
        name, tried = FORESTS[self.task]
        forest = getattr(ensemble, name)(self.trees, max_features=tried, random_state=self.seed)
        return forest.fit(x[known], y[known])
