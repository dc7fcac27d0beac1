"""Molecules from a user's file of SMILES, and from the named public sets.

A doubtful row stops the loading with one message that names every kind of doubt, how many rows have it and the first of
them; an option then says what to do about it. Rows count from 1 below the header line. Nothing is dropped unasked but
wholly empty rows, and what is dropped, changed, or kept without a measured value is counted in a warning.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingPackage
from .columns import COLUMNAR, DAMAGED, SEPARATED, choice, column, damaged, form_of, frame, numbers
from .kinds.molecules import SPLITS, Molecules

SHIPPED = "drug-like"
SAMPLE = Path(__file__).parent / "files" / "drug-like.smi.gz"
SAMPLE_SHA256 = "66c43ca1293b4ebd3cbe2bbd5ea80a1960ac21a32b10926a1ed614cfc9b2ead2"  # so that the data's hash knows its content

BARE = (".smi", ".smiles", ".txt")
LARGE = 500  # atoms
LARGEST = 5000  # atoms: RDKit writes SMILES by recursion, and somewhat larger molecules overflow the stack

WAYS = {"invalid": ("error", "drop"), "mixtures": ("error", "keep", "largest", "drop"), "radicals": ("error", "keep", "drop"),
        "wildcards": ("error", "keep", "drop"), "large": ("error", "keep", "drop"), "duplicates": ("error", "keep", "mean", "drop")}
EMPTY_ROW, EMPTY, UNREADABLE, PARTS = "empty row", "empty SMILES", "unreadable SMILES", "several unbonded parts"
NO_VALUE = "no value of any target"
UNPAIRED, WILDCARD, LARGER = "unpaired electrons", "a wildcard atom", f"more than {LARGE} atoms"
TOO_LARGE = f"more than {LARGEST:,} atoms"
AGAIN, CONFLICT = "a molecule of an earlier row", "a molecule of an earlier row, with other targets"
DISAGREEING = "a molecule of several rows, with different targets"
SETTLED_BY = {EMPTY: "invalid", UNREADABLE: "invalid", PARTS: "mixtures", UNPAIRED: "radicals", WILDCARD: "wildcards", LARGER: "large",
              TOO_LARGE: "large", AGAIN: "duplicates", CONFLICT: "duplicates", DISAGREEING: "duplicates"}
UNASKED = {EMPTY_ROW: "drop", NO_VALUE: "keep"}

DRUGS = {  # approved medicines, drawn without stereochemistry
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O", "paracetamol": "CC(=O)Nc1ccc(O)cc1", "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "naproxen": "COc1ccc2cc(ccc2c1)C(C)C(=O)O", "diclofenac": "O=C(O)Cc1ccccc1Nc1c(Cl)cccc1Cl",
    "ketoprofen": "CC(C(=O)O)c1cccc(c1)C(=O)c1ccccc1", "indometacin": "COc1ccc2c(c1)c(CC(=O)O)c(C)n2C(=O)c1ccc(Cl)cc1",
    "celecoxib": "Cc1ccc(cc1)-c1cc(nn1-c1ccc(cc1)S(N)(=O)=O)C(F)(F)F", "caffeine": "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "theophylline": "Cn1c(=O)c2[nH]cnc2n(C)c1=O", "nicotine": "CN1CCCC1c1cccnc1", "diazepam": "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc12",
    "lorazepam": "OC1N=C(c2ccccc2Cl)c2cc(Cl)ccc2NC1=O", "phenobarbital": "CCC1(c2ccccc2)C(=O)NC(=O)NC1=O",
    "phenytoin": "O=C1NC(=O)C(N1)(c1ccccc1)c1ccccc1", "carbamazepine": "NC(=O)N1c2ccccc2C=Cc2ccccc12", "gabapentin": "NCC1(CC(=O)O)CCCCC1",
    "lamotrigine": "Nc1nnc(c(N)n1)-c1cccc(Cl)c1Cl", "lidocaine": "CCN(CC)CC(=O)Nc1c(C)cccc1C", "procaine": "CCN(CC)CCOC(=O)c1ccc(N)cc1",
    "benzocaine": "CCOC(=O)c1ccc(N)cc1", "bupivacaine": "CCCCN1CCCCC1C(=O)Nc1c(C)cccc1C",
    "fluoxetine": "CNCCC(Oc1ccc(cc1)C(F)(F)F)c1ccccc1", "sertraline": "CNC1CCC(c2ccc(Cl)c(Cl)c2)c2ccccc12",
    "citalopram": "CN(C)CCCC1(OCc2cc(C#N)ccc12)c1ccc(F)cc1", "bupropion": "CC(NC(C)(C)C)C(=O)c1cccc(Cl)c1",
    "venlafaxine": "COc1ccc(cc1)C(CN(C)C)C1(O)CCCCC1", "amitriptyline": "CN(C)CCC=C1c2ccccc2CCc2ccccc12",
    "imipramine": "CN(C)CCCN1c2ccccc2CCc2ccccc12", "haloperidol": "OC1(CCN(CCCC(=O)c2ccc(F)cc2)CC1)c1ccc(Cl)cc1",
    "chlorpromazine": "CN(C)CCCN1c2ccccc2Sc2ccc(Cl)cc12", "propranolol": "CC(C)NCC(O)COc1cccc2ccccc12",
    "atenolol": "CC(C)NCC(O)COc1ccc(CC(N)=O)cc1", "metoprolol": "COCCc1ccc(OCC(O)CNC(C)C)cc1",
    "amlodipine": "CCOC(=O)C1=C(COCCN)NC(C)=C(C1c1ccccc1Cl)C(=O)OC", "nifedipine": "COC(=O)C1=C(C)NC(C)=C(C1c1ccccc1[N+](=O)[O-])C(=O)OC",
    "verapamil": "COc1ccc(CCN(C)CCCC(C#N)(C(C)C)c2ccc(OC)c(OC)c2)cc1OC", "captopril": "CC(CS)C(=O)N1CCCC1C(=O)O",
    "hydrochlorothiazide": "NS(=O)(=O)c1cc2c(cc1Cl)NCNS2(=O)=O", "furosemide": "NS(=O)(=O)c1cc(C(=O)O)c(NCc2ccco2)cc1Cl",
    "warfarin": "CC(=O)CC(c1ccccc1)c1c(O)c2ccccc2oc1=O", "metformin": "CN(C)C(=N)NC(N)=N", "tolbutamide": "CCCCNC(=O)NS(=O)(=O)c1ccc(C)cc1",
    "omeprazole": "COc1ccc2[nH]c(nc2c1)S(=O)Cc1ncc(C)c(OC)c1C", "ranitidine": "CNC(=C[N+](=O)[O-])NCCSCc1ccc(CN(C)C)o1",
    "cimetidine": "CN=C(NCCSCc1nc[nH]c1C)NC#N", "loratadine": "CCOC(=O)N1CCC(=C2c3ccc(Cl)cc3CCc3cccnc23)CC1",
    "cetirizine": "OC(=O)COCCN1CCN(CC1)C(c1ccccc1)c1ccc(Cl)cc1", "diphenhydramine": "CN(C)CCOC(c1ccccc1)c1ccccc1",
    "salbutamol": "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1", "sulfamethoxazole": "Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1",
    "trimethoprim": "COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC", "ciprofloxacin": "O=C(O)c1cn(C2CC2)c2cc(N3CCNCC3)c(F)cc2c1=O",
    "metronidazole": "Cc1ncc([N+](=O)[O-])n1CCO", "isoniazid": "NNC(=O)c1ccncc1", "fluconazole": "OC(Cn1cncn1)(Cn1cncn1)c1ccc(F)cc1F",
    "aciclovir": "Nc1nc2c(ncn2COCCO)c(=O)[nH]1", "imatinib": "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(n1)-c1cccnc1",
    "gefitinib": "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1",
    "sildenafil": "CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1", "fluorouracil": "O=c1[nH]cc(F)c(=O)[nH]1",
    "levodopa": "NC(Cc1ccc(O)c(O)c1)C(=O)O",
}


def load(path: Path, *, smiles: str = "smiles", target: str | None = None, split: str = "shuffle", invalid: str = "error",
         mixtures: str = "error", radicals: str = "error", wildcards: str = "error", large: str = "error",
         duplicates: str = "error", unlabelled: str = SHIPPED) -> Molecules:
    """Molecules from a CSV, TSV, .smi or Parquet file.

    Args:
        path: the file. A .smi or .txt file has one SMILES a line, a name after it allowed; the others have named columns.
        smiles: the column of SMILES, in any case of letters.
        target: the column of measured values, several with commas between them, unless one column is called just so; empty
            cells are values not measured.
        split: "shuffle", "scaffold" or "balanced scaffold", as `Molecules` explains.
        invalid: rows without a readable SMILES: "error", or "drop".
        mixtures: SMILES of several unbonded parts, such as salts: "error", "keep", "largest" (the part with most atoms), or "drop".
        radicals: molecules with unpaired electrons: "error", "keep", or "drop".
        wildcards: molecules with an atom `*` that stands for any: "error", "keep", or "drop".
        large: molecules of more than 500 atoms, hydrogen not counted: "error", "keep" (up to 5,000), or "drop".
        duplicates: one molecule in several rows: "error", "keep" (it may then be in both train and test), "mean" (one row,
            its targets averaged over the rows that have them), or "drop" (one row where all targets agree, else none). Rows
            agree where no target was measured differently; their targets are put together.
        unlabelled: molecules to learn from without values, as `beforehand` explains.

    Returns:
        The molecules in the file's order, as RDKit's canonical SMILES with their stereochemistry, without atom map numbers,
        with targets (N, T).

    Raises:
        DataError: the file, a column or a row is not as expected.
        MissingPackage: RDKit is not installed.
    """
    ways = chosen_ways(invalid=invalid, mixtures=mixtures, radicals=radicals, wildcards=wildcards, large=large, duplicates=duplicates)
    by = choice("split", split, SPLITS)
    found, targets, names = _read(Path(path), smiles, target or "", ways)
    return Molecules(found, targets, names, by, beforehand(unlabelled, smiles, ways))


def beforehand(source: str, smiles: str, ways: dict[str, str]) -> tuple[str, ...]:
    """Molecules to learn from without values.

    Args:
        source: "drug-like", the sample that comes with bakeoff; "none"; or the path of a file in a form that `load` takes.
        smiles: its column of SMILES, where it has columns; one called "smiles" is found too.
        ways: what to do about its doubtful rows, by option.

    The sample is 5,000 of the 29,445 molecules of the named set `zinc`: the one at position 29,445 i // 5,000 for each i from
    0 to 4,999, as RDKit's canonical SMILES with its stereochemistry, in the set's order.
    """
    if source == "none":
        return ()
    if source != SHIPPED:
        return _read(Path(source), smiles, "", ways, "smiles")[0]
    if (found := hashlib.sha256(SAMPLE.read_bytes()).hexdigest()) != SAMPLE_SHA256:
        raise DataError(f"{SAMPLE} is not the file it should be: SHA-256 {found[:12]}...", "Install bakeoff again.")
    return lines([SAMPLE]).smiles


def chosen_ways(**chosen: str) -> dict[str, str]:
    """What to do about doubtful rows, by option; a choice that an option does not have is refused."""
    return {name: choice(name, found, WAYS[name]) for name, found in chosen.items()}


def _read(path: Path, smiles: str, target: str, ways: dict[str, str], *other: str) -> tuple[tuple[str, ...], np.ndarray, tuple]:
    """Canonical SMILES, targets (N, T) and their names, after the doubtful rows have been told and settled."""
    rows, texts, targets, names = _rows(path, smiles, target, *other)
    doubts, read = examine(texts, ways)
    groups = defaultdict(list)
    for place, canonical in read.items():
        groups[canonical].append(place)
    conflicting = set()
    for canonical, places in groups.items():
        clashing = _clashing(targets[places])
        if clashing.any():
            conflicting.add(canonical)
        if clashing.any() and ways["duplicates"] == "drop":
            doubts[DISAGREEING] += places
            continue
        for place, clashes in zip(places[1:], clashing[1:], strict=True):
            doubts[CONFLICT if clashes else AGAIN].append(place)
    if names and (without := [place for place in read if np.isnan(targets[place]).all()]):
        doubts[NO_VALUE] = without
    judge(path, doubts, rows, ways, texts)
    if ways["duplicates"] == "drop":
        groups = {canonical: places for canonical, places in groups.items() if canonical not in conflicting}
    if not groups:
        raise DataError(f"{path}: no molecule is left of {len(texts)} rows", "Give a file with one SMILES in every row.")
    left, kept = tuple(read.values()), targets[list(read)]
    if ways["duplicates"] in ("mean", "drop"):
        left = tuple(groups)
        kept = np.stack([_mean(targets[places]) if one in conflicting else _first(targets[places]) for one, places in groups.items()])
    for name, before, after in zip(names, targets.T, kept.T, strict=True):
        _tell_of_target(path, name, before[~np.isnan(before)], after[~np.isnan(after)])
    return left, kept, names


def drugs(*, split: str = "shuffle") -> Molecules:
    """Well-known medicines, written in this module, with the share of carbon among their heavy atoms."""
    letters = [one.replace("Cl", "").upper() for one in DRUGS.values()]
    shares = [[one.count("C") / sum(letter.isalpha() and letter != "H" for letter in one)] for one in letters]
    return Molecules(tuple(DRUGS.values()), shares, ("share of carbon",), choice("split", split, SPLITS))


def lines(files: list[Path], *, split: str = "shuffle") -> Molecules:
    """One SMILES a line, of files whose bytes are pinned: read as they are."""
    texts = []
    for file in files:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as stream:
            texts += [line.strip() for line in stream if line.strip()]
    return Molecules(tuple(texts), by=choice("split", split, SPLITS))


def packaged_table(files: list[Path], smiles: str, target: str, without: str = "", *, split: str = "shuffle") -> Molecules:
    """Columns of a CSV file whose bytes are pinned, read as they are, but for the rows `without`, whose SMILES RDKit cannot read.

    `target` names one column, or several with commas between them; an empty cell is NaN. Rows count from 1. Files after the
    first hold molecules without values, one SMILES a line.
    """
    names = tuple(target.split(","))
    left_out = {int(row) for row in without.split(",") if row}
    with open(files[0], newline="", encoding="utf-8") as stream:
        rows = [row for place, row in enumerate(csv.DictReader(stream), 1) if place not in left_out]
    targets = [[float(row[name] or "nan") for name in names] for row in rows]
    return Molecules(tuple(row[smiles].strip() for row in rows), targets, names, choice("split", split, SPLITS), lines(files[1:]).smiles)


def examine(texts: list[str | None], ways: dict[str, str]) -> tuple[dict[str, list[int]], dict[int, str]]:
    """What is doubtful, as doubt -> positions, and what to go on with, as position -> canonical SMILES.

    `texts` has the SMILES as they stand, None for an empty row.
    """
    rdkit = _chemistry()
    doubts: dict[str, list[int]] = defaultdict(list)
    read: dict[int, str] = {}
    with rdkit.rdBase.BlockLogs():
        for place, text in enumerate(texts):
            found, canonical = _molecule(rdkit.Chem, text, ways)
            for doubt in found:
                doubts[doubt].append(place)
            if canonical is not None:
                read[place] = canonical
    return doubts, read


def judge(path: Path, doubts: dict[str, list[int]], rows: list[int], ways: dict[str, str], texts: list[str | None],
          settled_by: dict[str, str] = SETTLED_BY, shown: dict[str, list[str]] | None = None) -> None:
    """Stop for the doubts that no option settles; count the settled ones in warnings.

    A doubtful row is shown by its SMILES, but for the doubts in `shown`, which has other texts for every row.
    """

    def told(doubt: str) -> str:
        places, said = doubts[doubt], (shown or {}).get(doubt, texts)
        first = ", ".join(f"row {rows[place]} ({_short(said[place])})" if said[place] else f"row {rows[place]}" for place in places[:3])
        return f"{len(places)} of {len(rows)} rows: {doubt}, {first}{', ...' if len(places) > 3 else ''}"

    way = {doubt: UNASKED.get(doubt) or ways[settled_by[doubt]] for doubt in doubts}
    if unsettled := [doubt for doubt in doubts if way[doubt] == "error" or (doubt, way[doubt]) == (TOO_LARGE, "keep")]:
        left = WAYS | ({"large": ("error", "drop")} if TOO_LARGE in unsettled else {})
        hints = dict.fromkeys(f"--{option} {_either(left[option][1:])}" for option in (settled_by[doubt] for doubt in unsettled))
        raise DataError(f"{path}: " + "; ".join(told(doubt) for doubt in unsettled), f"Correct the rows, or add {'; '.join(hints)}.")
    for doubt in doubts:
        warnings.warn(f"{path}: {told(doubt)}: {way[doubt]}", UserWarning, stacklevel=3)


def _molecule(Chem, text: str | None, ways: dict[str, str]) -> tuple[list[str], str | None]:
    """What is doubtful about a SMILES, and the canonical SMILES to go on with (None: to be left out)."""
    if not text:
        return [EMPTY_ROW if text is None else EMPTY], None
    molecule = Chem.MolFromSmiles(text)
    if molecule is None or not molecule.GetNumAtoms():
        return [UNREADABLE], None
    doubts = []
    if "." in text and len(parts := Chem.GetMolFrags(molecule, asMols=True)) > 1:
        doubts.append(PARTS)
        if ways["mixtures"] == "largest":
            molecule = max(parts, key=lambda part: part.GetNumAtoms())
    atoms = list(molecule.GetAtoms())
    doubts += [UNPAIRED] * any(atom.GetNumRadicalElectrons() for atom in atoms)
    doubts += [WILDCARD] * any(atom.GetAtomicNum() == 0 for atom in atoms)
    if len(atoms) > LARGE:
        doubts.append(TOO_LARGE if len(atoms) > LARGEST else LARGER)
    if TOO_LARGE in doubts or any(ways[SETTLED_BY[doubt]] == "drop" for doubt in doubts):
        return doubts, None
    mapped = [atom for atom in atoms if atom.GetAtomMapNum()]
    for atom in mapped:
        atom.SetAtomMapNum(0)
    canonical = Chem.MolToSmiles(molecule)
    return doubts, Chem.CanonSmiles(canonical) if mapped else canonical  # once more, as numbered hydrogens had stayed atoms


def _rows(path: Path, smiles: str, target: str, *other: str) -> tuple[list[int], list[str | None], np.ndarray, tuple[str, ...]]:
    """Row numbers, SMILES as they stand (None for an empty row), targets (N, T) and their names as the file writes them."""
    form = form_of(path)
    if not path.is_file():
        raise DataError(f"{path} is not a file", "Molecules come as one CSV, TSV, .smi or Parquet file.")
    if form not in SEPARATED + BARE + COLUMNAR:
        raise DataError(f"{path}: unknown form {form or 'without a suffix'!r}",
                        f"Expected one of {', '.join(SEPARATED + BARE + COLUMNAR)} (the text forms also with .gz).")
    names = [one.strip() for one in target.split(",") if one.strip()]
    if form in BARE:
        return _bare(path, names)
    cells = frame(path)
    there = {name.casefold() for name in cells.columns}
    key = column(path, cells.columns, next((one for one in (smiles, *other) if one.casefold() in there), smiles), "smiles")
    names = [target.strip()] if target.strip().casefold() in there else names
    wanted = [column(path, cells.columns, name, "target") for name in names]
    if twice := [name for place, name in enumerate(wanted) if name in wanted[:place]]:
        raise DataError(f"{path}: --target names the column {twice[0]!r} twice", "Name each column once.")
    blank = (cells == "").all(axis=1)
    targets = np.array([numbers(path, name, list(cells[name])) for name in wanted], dtype=float).reshape(len(wanted), len(cells)).T
    texts = [None if nothing else text for text, nothing in zip(cells[key], blank, strict=True)]
    return list(range(1, len(cells) + 1)), texts, targets, tuple(wanted)


def _bare(path: Path, names: list[str]) -> tuple[list[int], list[str | None], np.ndarray, tuple[str, ...]]:
    if names:
        raise DataError(f"{path}: there are no columns, so none named {names[0]!r}", "Give targets in a CSV, TSV or Parquet file.")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
            words = [line.split() for line in stream.read().rstrip().splitlines()]
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text: byte {problem.start}", "Save it as UTF-8.") from None
    except DAMAGED as problem:
        raise damaged(path, problem) from None
    words = words[bool(words) and bool(words[0]) and words[0][0].casefold() == "smiles":]
    return list(range(1, len(words) + 1)), [line[0] if line else None for line in words], np.zeros((len(words), 0)), ()


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _either(choices: tuple[str, ...]) -> str:
    *most, last = choices
    return f"{', '.join(most)} or {last}" if most else last


def _tell_of_target(path: Path, name: str, before: np.ndarray, after: np.ndarray) -> None:
    """Warn of a target without values, and of averages between classes; `before` and `after` duplicates were settled, without NaN."""
    if not len(after):
        warnings.warn(f"{path}: column {name!r} has no value in any row", UserWarning, stacklevel=4)
    if np.isin(before, (0, 1)).all() and (between := (~np.isin(after, (0, 1))).sum()):
        warnings.warn(f"{path}: column {name!r} holds 0 and 1 alone; {between} of {len(after)} molecules, where rows disagree, have now "
                      "a mean between them", UserWarning, stacklevel=4)


def _first(targets: np.ndarray) -> np.ndarray:
    """The first value that there is in each column of (R, T); NaN where there is none."""
    return targets[(~np.isnan(targets)).argmax(0), np.arange(targets.shape[1])]


def _clashing(targets: np.ndarray) -> np.ndarray:
    """(R,) bool: the rows of (R, T) in which a value differs from the first one of its column."""
    return ((targets != _first(targets)) & ~np.isnan(targets)).any(1)


def _mean(targets: np.ndarray) -> np.ndarray:
    """Column means of (R, T) over the values there are; NaN where there are none."""
    known = ~np.isnan(targets)
    return np.where(known.any(0), np.where(known, targets, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def _chemistry():
    try:
        import rdkit.Chem
        import rdkit.rdBase
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    return rdkit
