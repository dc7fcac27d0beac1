"""The options of `bakeoff run` that are about `--data`: what each takes, and what it means. Each loader says which it takes."""

DATA_OPTIONS = {
    "target": ("COLUMN", "tables and molecules: the column to be predicted; text: the column with the labels"),
    "text": ("COLUMN", "text: the column with the texts"),
    "before": ("COLUMN", "text: the column with what was said before each"),
    "task": ("KIND", "tables: 'classes' or 'number', where the guess from the target would be wrong"),
    "drop": ("COLUMNS", "tables: columns to leave out, separated by commas"),
    "smiles": ("COLUMN", "molecules: the column with the SMILES"),
    "invalid": ("WAY", "molecules: 'drop' rows without a readable SMILES"),
    "mixtures": ("WAY", "molecules: 'keep', 'largest' or 'drop' for SMILES of several parts"),
    "duplicates": ("WAY", "molecules: 'keep', 'mean' or 'drop' for a molecule in several rows"),
    "radicals": ("WAY", "molecules and affinities: 'keep' or 'drop' molecules with unpaired electrons"),
    "wildcards": ("WAY", "molecules and affinities: 'keep' or 'drop' molecules with an atom *"),
    "large": ("WAY", "molecules and affinities: 'keep' (up to 5,000 atoms) or 'drop' molecules of over 500 atoms"),
    "unlabelled": ("PATH", "molecules and affinities: a file of SMILES to learn from beforehand; 'none'; by default 'drug-like', "
                            "5,000 of ZINC that come with bakeoff"),
    "sequence": ("COLUMN", "affinities: the column with the amino acids"),
    "split": ("WAY", "molecules: 'shuffle', 'scaffold' or 'balanced-scaffold'; affinities: 'pairs', 'cold-drug', 'cold-target' "
                     "or, for davis and kiba, 'published'"),
    "unit": ("UNIT", "affinities and structures: of the values; trajectories: 'angstrom' or 'nanometre'"),
    "atoms": ("NAMES", "trajectories: the atoms to read, separated by commas; 'all' for every one"),
    "environment": ("ID", "transitions, discrete transitions and demonstrations: the Gymnasium environment to be judged in"),
    "size": ("PIXELS", "images: scale every picture to this side; pictures: the side of the square that is cut out"),
}
