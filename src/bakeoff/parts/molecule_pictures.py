"""Pictures of molecules whose atoms are coloured by a number: orange raises it, blue lowers it, none leaves it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import MissingPackage

RAISES, LOWERS = np.array([1.0, 0.55, 0.1]), np.array([0.2, 0.5, 1.0])


def coloured(smiles: Sequence[str], values: Sequence[np.ndarray], legends: Sequence[str], *, columns: int = 4, size: int = 250) -> str:
    """Molecules side by side as one PNG, base64; the strongest colour is the largest number among all of them.

    Args:
        smiles: N readable SMILES.
        values: N arrays or lists, a number for each atom in the order of the SMILES.
        legends: N texts to stand below.
        columns: molecules in a row.
        size: width and height of one, in pixels.

    Raises:
        ValueError: no molecules, not one array and one legend for each, or not one finite number for each atom.
        MissingPackage: RDKit is not installed.

    Example:
        >>> base64.b64decode(coloured(["CCO"], [np.array([0.0, -0.5, 1.0])], ["ethanol"]))[1:4]
        b'PNG'
    """
    try:
        from rdkit import Chem
        from rdkit.Chem.Draw import rdMolDraw2D
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    if isinstance(smiles, str) or not len(smiles):
        raise ValueError(f"smiles={smiles!r}; expected a list of at least one SMILES")
    if not len(smiles) == len(values) == len(legends):
        raise ValueError(f"{len(smiles)} molecules, {len(values)} arrays of numbers and {len(legends)} legends; expected as many of each")
    molecules, values = [Chem.MolFromSmiles(one) for one in smiles], [np.asarray(one, float) for one in values]
    for text, molecule, numbers in zip(smiles, molecules, values, strict=True):
        if molecule is None or not numbers.size or numbers.shape != (molecule.GetNumAtoms(),):
            raise ValueError(f"{numbers.size} numbers for the atoms of {text!r}")
        if not np.isfinite(numbers).all():
            raise ValueError(f"a number that is none for an atom of {text!r}")
    most = max(float(abs(one).max()) for one in values) or 1.0
    colours = [{place: shade(value / most) for place, value in enumerate(one)} for one in values]
    rows = -(-len(molecules) // columns)
    drawer = rdMolDraw2D.MolDraw2DCairo(size * min(columns, len(molecules)), size * rows, size, size)
    drawer.drawOptions().useBWAtomPalette()
    drawer.DrawMolecules(molecules, legends=list(legends), highlightAtoms=[list(one) for one in colours], highlightAtomColors=colours,
                         highlightBonds=[[] for _ in colours])
    drawer.FinishDrawing()
    return base64.b64encode(drawer.GetDrawingText()).decode()


def write(path: str | Path, smiles: Sequence[str], values: Sequence[np.ndarray], legends: Sequence[str], *, columns: int = 4,
          size: int = 250) -> None:
    """Write the PNG that `coloured` makes of the same to `path`."""
    Path(path).write_bytes(base64.b64decode(coloured(smiles, values, legends, columns=columns, size=size)))


def shade(value: float) -> tuple[float, float, float]:
    """The colour of a number from -1 (blue) over 0 (white) to 1 (orange).

    Example:
        >>> shade(0.0), shade(-0.5)
        ((1.0, 1.0, 1.0), (0.6, 0.75, 1.0))
    """
    end = RAISES if value > 0 else LOWERS
    return tuple(float(one) for one in 1 - abs(value) * (1 - end))
