"""Molecules from a user's file of SMILES, and from the named public sets.

A doubtful row stops the loading with one message that names every kind of doubt, how many rows have it and the first of
them; an option then says what to do about it. Rows count from 1 below the header line. Nothing is dropped unasked, and
what is dropped or changed when asked is counted in a warning.
"""

from __future__ import annotations

import csv
import difflib
import math
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingPackage
from .kinds import Molecules

SEPARATED = (".csv", ".tsv", ".tab")
BARE = (".smi", ".smiles", ".txt")
COLUMNAR = (".parquet", ".pq")
MISSING = {"", "na", "n/a", "nan", "null", "none"}

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


def load(path: Path, *, smiles: str = "smiles", target: str | None = None, invalid: str = "error", mixtures: str = "error",
         duplicates: str = "error") -> Molecules:
    """Molecules from a CSV, TSV, .smi or Parquet file.

    Args:
        path: the file. A .smi or .txt file has one SMILES a line, a name after it allowed; the others have named columns.
        smiles: the column of SMILES, in any case of letters.
        target: the column of measured values, several with commas between them; empty cells are values not measured.
        invalid: rows without a readable SMILES: "error", or "drop".
        mixtures: SMILES of several unbonded parts, such as salts: "error", "keep", "largest" (the part with most atoms), or "drop".
        duplicates: one molecule in several rows: "error", "keep" (it may then be in both train and test), or "mean" (one row,
            its targets averaged over the rows that have them).

    Returns:
        The molecules in the file's order, as RDKit's canonical SMILES, with targets (N, T).

    Raises:
        DataError: the file, a column or a row is not as expected.
        MissingPackage: RDKit is not installed.
    """
    choices = {"invalid": (invalid, ("error", "drop")), "mixtures": (mixtures, ("error", "keep", "largest", "drop")),
               "duplicates": (duplicates, ("error", "keep", "mean"))}
    for name, (found, known) in choices.items():
        if found not in known:
            raise DataError(f"--{name} {found}: no such choice", f"The choices: {', '.join(known)}.")
    path = Path(path)
    names = [one.strip() for one in target.split(",")] if target else []
    rows, texts, targets, names = _rows(path, smiles, names)
    chemistry = _chemistry()
    doubts: dict[str, list[int]] = defaultdict(list)
    read: dict[int, str] = {}  # position -> canonical SMILES
    first: dict[str, int] = {}
    with chemistry.rdBase.BlockLogs():
        for place, text in enumerate(texts):
            doubt, canonical = _molecule(chemistry.Chem, text, mixtures)
            if doubt:
                doubts[doubt].append(place)
            if canonical is None:
                continue
            if canonical in first:
                same = np.array_equal(targets[place], targets[first[canonical]], equal_nan=True)
                doubts["a molecule of an earlier row" if same else "a molecule of an earlier row, with other targets"].append(place)
            first.setdefault(canonical, place)
            read[place] = canonical
    _judge(path, doubts, rows, {"empty SMILES": invalid, "unreadable SMILES": invalid, "several unbonded parts": mixtures,
                                "a molecule of an earlier row": duplicates,
                                "a molecule of an earlier row, with other targets": duplicates}, texts)
    if not read:
        raise DataError(f"{path}: no molecule is left of {len(texts)} rows", "Give a file with one SMILES in every row.")
    if duplicates == "mean":
        groups = defaultdict(list)
        for place, canonical in read.items():
            groups[canonical].append(place)
        return Molecules(tuple(groups), np.stack([_mean(targets[places]) for places in groups.values()]), tuple(names))
    return Molecules(tuple(read.values()), targets[list(read)], tuple(names))


def drugs() -> Molecules:
    """Well-known medicines, written in this module."""
    return Molecules(tuple(DRUGS.values()))


def lines(files: list[Path]) -> Molecules:
    """One SMILES a line, of files whose bytes are pinned: read as they are."""
    texts = (line.strip() for file in files for line in file.read_text(encoding="utf-8").splitlines())
    return Molecules(tuple(text for text in texts if text))


def packaged_table(files: list[Path], smiles: str, target: str) -> Molecules:
    """Two columns of a CSV file whose bytes are pinned: read as they are."""
    with open(files[0], newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return Molecules(tuple(row[smiles].strip() for row in rows), [[float(row[target])] for row in rows], (target,))


def _rows(path: Path, smiles: str, names: list[str]) -> tuple[list[int], list[str], np.ndarray, list[str]]:
    """Row numbers, SMILES as they stand, targets (N, T) and their names as the file writes them."""
    import pandas
    form = path.with_suffix("").suffix.lower() if path.suffix == ".gz" else path.suffix.lower()
    if not path.is_file():
        raise DataError(f"{path} is not a file", "Molecules come as one CSV, TSV, .smi or Parquet file.")
    if form not in SEPARATED + BARE + COLUMNAR:
        raise DataError(f"{path}: unknown form {form or 'without a suffix'!r}",
                        f"Expected one of {', '.join(SEPARATED + BARE + COLUMNAR)} (the text forms also with .gz).")
    try:
        if form in COLUMNAR:
            frame = pandas.read_parquet(path)
            frame = frame.astype(object).where(frame.notna(), "").astype(str)
        elif form in BARE:
            return _bare(path, names)
        else:
            frame = pandas.read_csv(path, sep=_separator(path, form), dtype=str, keep_default_na=False, skip_blank_lines=False,
                                    encoding="utf-8-sig", index_col=False)
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text: byte {problem.start}", "Save it as UTF-8.") from None
    except (ValueError, OSError) as problem:  # pandas' and Arrow's reading errors are ValueErrors
        raise DataError(f"{path} cannot be read: {' '.join(str(problem).split())}",
                        "Give a table with one header row and one molecule a row.") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    column = _column(path, frame, smiles, "smiles")
    wanted = [_column(path, frame, name, "target") for name in names]
    cells = frame.map(str.strip)
    rows = [row for row, blank in enumerate((cells == "").all(axis=1), 1) if not blank]
    cells = cells.iloc[[row - 1 for row in rows]]
    targets = [[_number(path, row, name, cell) for cell, name in zip(values, wanted, strict=True)]
               for row, values in zip(rows, cells[wanted].itertuples(index=False, name=None), strict=True)]
    return rows, list(cells[column]), np.array(targets, dtype=float).reshape(len(rows), len(wanted)), wanted


def _bare(path: Path, names: list[str]) -> tuple[list[int], list[str], np.ndarray, list[str]]:
    import gzip
    if names:
        raise DataError(f"{path}: there are no columns, so none named {names[0]!r}", "Give targets in a CSV, TSV or Parquet file.")
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
        words = [line.split() for line in stream]
    header = bool(words) and bool(words[0]) and words[0][0].casefold() == "smiles"
    kept = [(row, line[0]) for row, line in enumerate(words[header:], 1) if line]
    return [row for row, _ in kept], [text for _, text in kept], np.zeros((len(kept), 0)), []


def _separator(path: Path, form: str) -> str:
    import gzip
    if form != ".csv":
        return "\t"
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
        header = stream.readline()
    return max(",;\t", key=header.count)


def _column(path: Path, frame, name: str, option: str) -> str:
    matches = [one for one in frame.columns if one.casefold() == name.casefold()]
    if name in matches:
        matches = [name]
    if len(matches) == 1 and list(frame.columns).count(matches[0]) == 1:
        return matches[0]
    if matches:
        raise DataError(f"{path}: {len(matches)} columns are called {name!r} when case is ignored", "Rename all but one of them.")
    lower = {one.casefold(): one for one in frame.columns}
    near = [lower[one] for one in difflib.get_close_matches(name.casefold(), lower, 3, 0.5)]
    near += [one for key, one in lower.items() if name.casefold() in key and one not in near]
    hint = f"Did you mean --{option} {near[0]!r}? " if near else f"Name it with --{option} COLUMN. "
    raise DataError(f"{path}: there is no column {name!r}", f"{hint}The columns: {', '.join(frame.columns)}.")


def _number(path: Path, row: int, name: str, cell: str) -> float:
    if cell.casefold() in MISSING:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise DataError(f"{path}, row {row}, column {name!r}: found {cell!r}",
                        "Expected a number, or an empty cell where nothing was measured.")
    return value


def _molecule(Chem, text: str, mixtures: str) -> tuple[str, str | None]:
    """What is doubtful about a SMILES ("" for nothing), and the canonical SMILES to go on with (None: to be left out)."""
    if not text:
        return "empty SMILES", None
    molecule = Chem.MolFromSmiles(text)
    if molecule is None or not molecule.GetNumAtoms():
        return "unreadable SMILES", None
    if "." not in text or len(parts := Chem.GetMolFrags(molecule, asMols=True)) == 1:
        return "", Chem.MolToSmiles(molecule)
    if mixtures == "largest":
        molecule = max(parts, key=lambda part: part.GetNumAtoms())
    return "several unbonded parts", None if mixtures == "drop" else Chem.MolToSmiles(molecule)


def _judge(path: Path, doubts: dict[str, list[int]], rows: list[int], handled: dict[str, str], texts: list[str]) -> None:
    """Stop for the doubts that no option settles; count the settled ones in a warning."""

    def told(doubt: str) -> str:
        places = doubts[doubt]
        shown = ", ".join(f"row {rows[place]} ({texts[place]!r})" if texts[place] else f"row {rows[place]}" for place in places[:3])
        return f"{len(places)} of {len(rows)} rows: {doubt}, {shown}{', ...' if len(places) > 3 else ''}"

    open_ = [doubt for doubt in doubts if handled[doubt] == "error"]
    if open_:
        ways = {"S": "--invalid drop", "p": "--mixtures keep, largest or drop", "r": "--duplicates keep or mean"}
        hints = dict.fromkeys(ways["S" if "SMILES" in doubt else "p" if "parts" in doubt else "r"] for doubt in open_)
        raise DataError(f"{path}: " + "; ".join(told(doubt) for doubt in open_), f"Correct the rows, or add {'; '.join(hints)}.")
    for doubt in doubts:
        warnings.warn(f"{path}: {told(doubt)}: {handled[doubt]}", UserWarning, stacklevel=3)


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
