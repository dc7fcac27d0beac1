"""The named public sets, and the one way to a record: `load(source, kind)`.

A set's files are looked for in the folder `BAKEOFF_DATA`, then in the cache, then in an installed package that carries them, then
fetched; always checked against the SHA-256 pinned here. Sets without files come with an installed package, or are made here by a
fixed procedure.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import http.client
import importlib
import importlib.util
import inspect
import os
import shutil
import tempfile
import urllib.request
import warnings
import zipfile
import zlib
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from .. import places
from ..claim import Source
from ..errors import BakeoffError, DataError

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_MOLECULES = "https://raw.githubusercontent.com/GLambard/Molecules_Dataset_Collection/master/originals/"
_ZINC = "https://raw.githubusercontent.com/wengong-jin/icml18-jtnn/master/data/zinc/"
_QED = "https://raw.githubusercontent.com/wengong-jin/hgraph2graph/master/data/qed/"
_QML = "8bb833cdbbe69405384d6796920c5418dc53b6ba"
_DEEPDTA = "https://raw.githubusercontent.com/hkmztrk/DeepDTA/master/data/"
_PERSONA = "https://raw.githubusercontent.com/google-research-datasets/Synthetic-Persona-Chat/main/data/"
_SST2 = "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2/"
_ADK = "https://raw.githubusercontent.com/MDAnalysis/mdanalysis/d2729f71809f1f5fc2d3644ef48ee351e3b28f3d/testsuite/MDAnalysisTests/data/"


@dataclass(frozen=True)
class File:
    """One file of a set: its path under the data folder, its SHA-256 (of what is inside, for a .gz file), its address or "".

    Of a .zip file only `folder` counts, wherever it lies inside: the hash is over its files' names and bytes, in order of the names.
    `package` names one that may be installed and then has the file, by its last name, in its own folder `data`.
    """

    path: str
    sha256: str
    url: str
    folder: str = ""
    package: str = field(default="", repr=False)  # where the same bytes also are: no part of what `fingerprint` reads


@dataclass(frozen=True)
class NamedSet:
    """A public set: its kind (a loader module), the function there that reads it, its files, fixed options."""

    kind: str
    loader: str
    says: str
    files: tuple[File, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def _files(folder: str, root: str, hashes: dict[str, str], package: str = "") -> tuple[File, ...]:
    """Files under one folder, fetched by the same names below an address."""
    return tuple(File(f"{folder}/{name}", sha256, root + name, package=package) for name, sha256 in hashes.items())


MADE = ("collected", "ranked", "early")  # loaders whose sets are made here, and kept
_UNLABELLED = _files("zinc250k", _ZINC, {
    "valid.txt": "ad7d9c2bfebd93ffda6c32ed0e89d1714ae1f592f6340c0e6ae057521bbae30d",
    "test.txt": "31f6ce92914814db33bf0dbfc45f3836193e27cb80a59c54d88bc05a1f5fab83"})

SETS: dict[str, NamedSet] = {
    "digits": NamedSet("images", "digits", "1,797 handwritten digits of 8 x 8 pixels; comes with scikit-learn"),
    "mnist": NamedSet("images", "idx", "70,000 handwritten digits of 28 x 28 pixels", (
        File("mnist/train-images-idx3-ubyte.gz", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
             _MNIST + "train-images-idx3-ubyte.gz"),
        File("mnist/train-labels-idx1-ubyte.gz", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
             _MNIST + "train-labels-idx1-ubyte.gz"),
        File("mnist/t10k-images-idx3-ubyte.gz", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
             _MNIST + "t10k-images-idx3-ubyte.gz"),
        File("mnist/t10k-labels-idx1-ubyte.gz", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
             _MNIST + "t10k-labels-idx1-ubyte.gz"))),
    "fashion-mnist": NamedSet("images", "idx", "70,000 pictures of clothes of 28 x 28 pixels", (
        File("fashion-mnist/train-images-idx3-ubyte.gz", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
             _FASHION + "train-images-idx3-ubyte.gz"),
        File("fashion-mnist/train-labels-idx1-ubyte.gz", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
             _FASHION + "train-labels-idx1-ubyte.gz"),
        File("fashion-mnist/t10k-images-idx3-ubyte.gz", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
             _FASHION + "t10k-images-idx3-ubyte.gz"),
        File("fashion-mnist/t10k-labels-idx1-ubyte.gz", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
             _FASHION + "t10k-labels-idx1-ubyte.gz"))),
    "cifar10": NamedSet("images", "cifar", "60,000 photographs of 32 x 32 pixels in ten classes", (
        File("cifar10/cifar-10-binary.tgz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
             "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"),)),
    "cifar10-small": NamedSet(
        "images", "archive", "14,000 photographs of CIFAR-10, 9,000 of them decoded from JPEG; at no public address", (
            File("cifar10/cifar10_subset.npz", "fb7d1e811d30add2211281d4e3e30aafb89750e17bfe59a2c877eb1c95b33494", ""),)),
    "china": NamedSet("pictures", "photograph", "a photograph, 427 x 640 pixels; comes with scikit-learn",
                       options=(("name", "china.jpg"),)),
    "flower": NamedSet("pictures", "photograph", "a photograph, 427 x 640 pixels; comes with scikit-learn",
                       options=(("name", "flower.jpg"),)),
    "breast-cancer": NamedSet("tables", "packaged", "569 tumours, 30 measurements, 2 classes; comes with scikit-learn",
                              options=(("name", "breast_cancer"),)),
    "wine": NamedSet("tables", "packaged", "178 wines, 13 measurements, 3 classes; comes with scikit-learn", options=(("name", "wine"),)),
    "diabetes": NamedSet("tables", "packaged", "442 patients, 10 measurements, disease progression; comes with scikit-learn",
                         options=(("name", "diabetes"),)),
    "drugs": NamedSet("molecules", "drugs", "62 well-known medicines; comes with bakeoff"),
    "zinc": NamedSet("molecules", "lines", "29,445 drug-like molecules, the validation and test parts of ZINC-250k", _UNLABELLED),
    "esol": NamedSet(
        "molecules", "packaged_table", "1,128 molecules with their measured solubility (log10 mol/L)",
        _files("moleculenet", _MOLECULES, {
            "ESOL_delaney-processed.csv": "8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189"}),
        (("smiles", "smiles"), ("target", "measured log solubility in mols per litre"))),
    "freesolv": NamedSet(
        "molecules", "packaged_table", "642 molecules with their measured free energy of hydration (kcal/mol)",
        _files("moleculenet", _MOLECULES, {"FreeSolv_SAMPL.csv": "ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72"}),
        (("smiles", "smiles"), ("target", "expt"))),
    "lipophilicity": NamedSet(
        "molecules", "packaged_table",
        "4,200 molecules with their octanol/water distribution at pH 7.4 (logD)",
        _files("moleculenet", _MOLECULES, {"Lipophilicity.csv": "aed41590cb30609d51d8e08ad3ff06495a76e80e211358801f596b10da69bacd"}),
        (("smiles", "smiles"), ("target", "exp"))),
    "bace": NamedSet(
        "molecules", "packaged_table", "1,513 molecules: do they inhibit beta-secretase 1?",
        _files("moleculenet", _MOLECULES, {"bace.csv": "d36f089649984f7bfaa4589ccc3ae907b831780a01ccfd065a5b604939e1a5df"}),
        (("smiles", "smiles"), ("target", "Class"))),
    "bbbp": NamedSet(
        "molecules", "packaged_table",
        "2,039 molecules: do they pass the blood-brain barrier? 11 unreadable rows are left out",
        _files("moleculenet", _MOLECULES, {"BBBP.csv": "d07a38487aeac5cee5508413e468043ef3097451d2a112701c2d60be9ec6b662"}),
        (("smiles", "smiles"), ("target", "p_np"),
         ("without", "60,62,392,615,643,646,647,648,649,650,686"))),
    "clintox": NamedSet(
        "molecules", "packaged_table",
        "1,480 drugs: approved? failed for toxicity? 4 unreadable rows are left out",
        _files("moleculenet", _MOLECULES, {"clintox.csv": "0bd655529cebe6d94addd48b8afdab6fa0438b4503a470866231793f235d7e61"}),
        (("smiles", "smiles"), ("target", "FDA_APPROVED,CT_TOX"),
         ("without", "8,303,1220,1221"))),
    "tox21": NamedSet(
        "molecules", "packaged_table",
        "7,823 molecules in 12 toxicity assays, not each in all; 8 unreadable rows are left out",
        _files("moleculenet", _MOLECULES, {"tox21.csv": "7d7e7facd853a63e79ddce4e9c3fcb7a0d83a1c300b603031c0f2c64fbe77761"}),
        (("smiles", "smiles"), ("target", "NR-AR,NR-AR-LBD,NR-AhR,NR-Aromatase,NR-ER,NR-ER-LBD,"
                    "NR-PPAR-gamma,SR-ARE,SR-ATAD5,SR-HSE,SR-MMP,SR-p53"),
         ("without", "1323,2291,2298,3559,4566,4650,5539,6724"))),
    "zinc-qed": NamedSet("molecules", "lines", "86,334 drug-like molecules of ZINC-250k, chosen for a high QED", (
        File("zinc250k/qed_mols.txt.gz", "21fb3cb7b97380d2de514e458a25081d39e019c84df8636971c77bf1572452eb", _QED + "mols.txt"),)),
    "clusters": NamedSet("structures", "clusters", "300 clusters of neon and argon atoms with their Lennard-Jones energy; made here"),
    "qm7": NamedSet("structures", "qm7", "7,101 small molecules in three dimensions with their atomisation energy (kcal/mol)", (
        File("qm7/qm7_xyz.zip", "712ee98d7369d47ba4991f2802eb25465d826ea1ab33486b47259362ff951683",
             "https://codeload.github.com/qmlcode/qml/zip/" + _QML, folder="qm7"),
        File("qm7/hof_qm7.txt", "e11bc6aac9e76b12bffcdf8d6579a8c21bea6b7e7ef59d742fd7e0f440bd42d4",
             f"https://raw.githubusercontent.com/qmlcode/qml/{_QML}/tests/data/hof_qm7.txt"))),
    "drugs-hormones": NamedSet("affinities", "made", "62 medicines against 8 short hormones with made-up values; made here"),
    "davis": NamedSet(
        "affinities", "davis", "68 kinase inhibitors against 442 kinases, every pair measured (pKd)",
        _files("davis", _DEEPDTA + "davis/", {
            "ligands_iso.txt": "58b3cd168ed12962eb856e4e4e5dab1abbd42d6c0912eed2b9987bf578c7fafd",
            "proteins.txt": "187cedeee10cd3b58af915a2861a5ed0c4ff42a2d728f4dea5e0b47e3d75b291",
            "drug-target_interaction_affinities_Kd__Davis_et_al.2011v1.txt":
                "e2c3d003d49aff61f70be24feafd8d084b0df9404d919338088855828e252d88",
            "folds/train_fold_setting1.txt": "bb7a63b2178c40a4e2417bc701b95511407787fa5eabb6a43a695fe6bd722f56",
            "folds/test_fold_setting1.txt": "c97589fa2fae318b01870854af0ab6fdd155dd38524cc6ac1d0319418ac6d568"}) + _UNLABELLED),
    "kiba": NamedSet(
        "affinities", "kiba", "2,111 drugs against 229 kinases, 118,254 pairs with a KIBA score",
        _files("kiba", _DEEPDTA + "kiba/", {
            "ligands_iso.txt": "b141f83ca38af4bf53c6bb70cd466e8bdf4fd175d52102ebc41f15a986df9012",
            "proteins.txt": "2ba9dbc2959d88b0740aaf28828c4c611c2dbd1c2019547eb2ec1c3daa192604",
            "kiba_binding_affinity_v2.txt": "0b062d3f51e80b63acda95bcc6364cacafa744d1dcd2d97293ccc878540b5732",
            "folds/train_fold_setting1.txt": "da74eeeb2c3e7d52a2fd6daac0dc105bba097c222337230eec69d9fd7e1c301e",
            "folds/test_fold_setting1.txt": "92801eec2caddf950235c6c6a46d999d2eeeaa6d35cbeffd68c72a5cf54b208d"}) + _UNLABELLED),
    "hinge": NamedSet("trajectories", "hinge", "96 frames of a helix of 16 residues that bends at its middle; made here"),
    "adk": NamedSet(
        "trajectories", "charmm", "98 frames of adenylate kinase opening, its 642 backbone atoms",
        _files("adk", _ADK, {
            "adk.psf": "96cec916c4b5b19a7acb91bd1e672fb9c8b032aee1e7f0868a50655902c9b5b8",
            "adk_dims.dcd": "859a5bd9e7de45a0f2401f7971c5ffc296168e7c23f6f65382bde7c1686c19f1"},
            package="MDAnalysisTests")),
    "adk-second": NamedSet(
        "trajectories", "charmm", "102 frames of adenylate kinase opening, another run",
        _files("adk", _ADK, {
            "adk.psf": "96cec916c4b5b19a7acb91bd1e672fb9c8b032aee1e7f0868a50655902c9b5b8",
            "adk_dims2.dcd": "10a1740a6c05bd8dfd8107195d778f7f96f3c3b8aec48833d79a80e9b18843c6"},
            package="MDAnalysisTests")),
    "coreset-2013": NamedSet(
        "poses", "packaged", "191 complexes with the poses that QuickVina 2 kept, and how far off each is; comes with bakeoff",
        options=(("name", "coreset-2013"), ("sha256", "13a5ab96e8c1de2a8f541e6d48912ace58def97d03eba2435c85e39ef086d37e"))),
    "bace-docked": NamedSet(
        "poses", "packaged", "ligands docked into beta-secretase 1: measured to bind, measured not to, and decoys; comes with bakeoff",
        options=(("name", "bace-docked"), ("sha256", "7b0b61aa746fcb7e7930b1e68938e4984711a88e0cdb894718c21b6febe28b38"))),
    "small-talk": NamedSet("text", "made", "1,200 replies from a dozen templates, answered warmly or coldly; made here"),
    "persona-chat": NamedSet(
        "text", "conversations", "52,354 replies in 1,968 machine-written conversations: was the answer warm?",
        _files("persona-chat", _PERSONA, {
            "Synthetic-Persona-Chat_valid.csv": "e8128d2b7b0eed8064715cb1d71cdd241a3fa28ddf6fb80ece5c8156c1fd819d",
            "Synthetic-Persona-Chat_test.csv": "531356d642b426ef8fc4d65446330cb34c7b473a4cf482ad12a8cf7838fe52a8"})),
    "sst2": NamedSet(
        "text", "labelled_lines", "9,613 sentences of film reviews: friendly or not?",
        _files("sst2", _SST2, {
            "train.tsv": "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920",
            "dev.tsv": "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359",
            "test.tsv": "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"})),
    "four-rooms-demonstrations": NamedSet(
        "demonstrations", "four_rooms", "20 walks to goals in four rooms, 20 % of the actions random; made here at once",
        options=(("episodes", "20"), ("random_share", "0.2"), ("seed", "0"))),
}
SETS |= {f"{name}-scaffold": replace(SETS[name], says=f"{SETS[name].says}; split by scaffold",
                                     options=(*SETS[name].options, ("split", "scaffold")))
         for name in ("esol", "freesolv", "lipophilicity", "bace", "bbbp")}
SETS |= {f"{name}-zinc": replace(SETS[name], says=f"{SETS[name].says}; and 29,445 of ZINC without values",
                                 files=SETS[name].files + SETS["zinc"].files)
         for name in ("esol-scaffold", "freesolv-scaffold", "lipophilicity-scaffold")}

# what is made here: the environment, what `collect.learn` is told to learn it by, and how long a set then takes to be made
_TASKS = {
    "inverted-pendulum": ("InvertedPendulum-v5", {"learning_steps": 20_000, "step_size": 0.05, "noise": 0.3, "directions": 2, "kept": 2},
                          "two seconds"),
    "inverted-double-pendulum": ("InvertedDoublePendulum-v5", {"learning_steps": 120_000, "step_size": 0.1, "noise": 0.3}, "20 seconds"),
    "hopper": ("Hopper-v5", {"learning_steps": 200_000, "step_size": 0.01, "noise": 0.025, "survival_bonus": 1.0}, "a minute"),
    "halfcheetah": ("HalfCheetah-v5", {"learning_steps": 480_000, "step_size": 0.02, "noise": 0.03, "directions": 4}, "a minute"),
    "swimmer": ("Swimmer-v5", {"learning_steps": 160_000, "step_size": 0.04, "noise": 0.05, "directions": 2, "kept": 2}, "half a minute"),
    "pendulum": ("Pendulum-v1", {"learning_steps": 300_000, "step_size": 0.1, "noise": 0.3, "products": 1}, "20 seconds"),
    "cartpole": ("CartPole-v1", {"learning_steps": 20_000, "step_size": 0.02, "noise": 0.1, "directions": 4, "kept": 2}, "two seconds"),
}
_BEHAVIOURS = {
    "random": "random actions", "half": "a half-trained policy", "expert": "an expert",
    "imperfect": "an expert with 30 % random actions and noise of 0.3",
    "mixed": "a third each of random actions, a half-trained policy and an expert",
    **{f"{kind}{size}": f"40 % a half-trained policy, 40 % the same {what.format(size)}, 20 % random actions"
       for kind, what in (("eps", "with {}0 % random actions"), ("gauss", "with noise of 0.{}")) for size in (1, 3)}}


def _made(task: str, loader: str, says: str, **options) -> NamedSet:
    environment, learning, seconds = _TASKS[task]
    kind = "discrete_transitions" if task == "cartpole" else "transitions"
    chosen = {"environment": environment} | options | learning
    return NamedSet(kind, loader, f"{says}; made here in {seconds}", options=tuple((k, str(v)) for k, v in chosen.items()))


def _collected(task: str, behaviour: str, steps: int) -> NamedSet:
    return _made(task, "collected", f"{steps:,} steps in {_TASKS[task][0]}: {_BEHAVIOURS[behaviour]}", behaviour=behaviour, steps=steps)


SETS |= {f"{task}-{behaviour}": _collected(task, behaviour, steps) for task, steps, behaviours in (
    ("inverted-pendulum", 10_000, "half gauss3"),
    ("inverted-double-pendulum", 50_000, "random half expert imperfect eps3 gauss3 mixed"),
    ("hopper", 50_000, "random half expert eps1 eps3 gauss1 gauss3 mixed"),
    ("halfcheetah", 50_000, "random half expert imperfect eps1 eps3 gauss1 gauss3 mixed"),
    ("swimmer", 50_000, "random half expert gauss3"),
    ("pendulum", 20_000, "random half expert gauss3 mixed"),
    ("cartpole", 20_000, "random half expert eps3 mixed")) for behaviour in behaviours.split()}
SETS |= {"inverted-pendulum-imperfect": _collected("inverted-pendulum", "imperfect", 2_000),
         "hopper-imperfect": _collected("hopper", "imperfect", 100_000)}
for _task, _until in (("halfcheetah", 1 / 3), ("swimmer", 1 / 2)):
    _where, _sampled = f"episodes in {_TASKS[_task][0]} by a learner's", "actions sampled with deviation 0.3"
    SETS |= {f"{_task}-ranked": _made(_task, "ranked", f"12 {_where} successive policies, in order, {_sampled}", episodes=12, until=_until),
             f"{_task}-early": _made(_task, "early", f"3 {_where} early policy, {_sampled}", episodes=3, share=0.3)}
SETS |= {f"{game}-epsilon": NamedSet(
    "discrete_transitions", "packaged",
    f"50,000 steps in MinAtar's {game} by a learned policy, most episodes with 20 % random actions; comes with bakeoff",
    options=(("name", f"{game}-epsilon"), ("sha256", sha256))) for game, sha256 in {
        "breakout": "7f32c8ade482d320f16888a0c5aa4f0c021932625409dc7af6c6638f28cf1195",
        "asterix": "e89db7134456a0fe1bf32311ab3dd3f645202c6e50743a88734215a68e56438b",
        "space-invaders": "f5c43e8ba0ec4daa6c31a9d0cdf1e8cdde9104b0b640caa05f934c8ae5d72308"}.items()}


def kind_of(name: str) -> str:
    """The kind of a named set."""
    if name not in SETS:
        raise DataError(f"no data set is called {name!r}", f"The named sets: {', '.join(SETS)}.")
    return SETS[name].kind


def load(source: Source, kind: str):
    """The record that a source names, read by the loader module of `kind`."""
    named = _named(source, kind)
    module = importlib.import_module(f"{__package__}.{kind}")
    if named is None:
        options = _options(module.load, source, kind)
        try:
            return module.load(Path(source.where), **options)
        except BakeoffError:
            raise
        except Exception as problem:
            raise DataError(f"{source.where} cannot be read: {type(problem).__name__}: {problem}",
                            "It is not in one of the forms that docs/your-data.md describes; write it in one of them.") from problem
    loader = getattr(module, named.loader)
    options = _options_of_set(loader, source, named)
    files = [locate(file) for file in named.files]
    return loader(*([files] if files else []), **dict(named.options) | options)


def save(record, kind: str, path: Path) -> None:
    """Write a record as a file that is read back as this kind, where its loader module can."""
    module = importlib.import_module(f"{__package__}.{kind}")
    if not hasattr(module, "save"):
        raise DataError(f"sets of the kind {kind} cannot be written", "Batches of transitions can.")
    if path.exists():
        raise DataError(f"{path} is there already", "Give another path, or remove it.")
    module.save(record, path)


def is_path(source: Source) -> bool:
    """True for a user's own file or folder."""
    return source.where not in SETS


def ready(source: Source, kind: str) -> list[str]:
    """Before many trials ask for them at once: a set's files fetched, a set made, a user's files read on trial.

    Returns:
        What the loader has to say about the user's files, such as rows that were left out as asked.
    """
    named = _named(source, kind)
    for file in named.files if named else ():
        locate(file)
    if named and named.loader not in MADE:
        return []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        load(source, kind)
    return [str(one.message) for one in told if issubclass(one.category, UserWarning)]


def fingerprint(source: Source, kind: str) -> str:
    """A hash that changes when the data would: the pinned files, or a path's own bytes; the loader's text and those it imports here."""
    digest = hashlib.sha256()
    for file in sorted(_texts(Path(__file__).parent / f"{kind}.py")):
        digest.update(file.read_bytes())
    named = _named(source, kind)
    if named is None:
        path = Path(source.where)
        digest.update(repr(source.options).encode())
        for _, value in source.options:
            if os.path.isfile(value):  # such as --unlabelled
                digest.update(_checked(Path(value), inside=False).encode())
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(str(file.relative_to(path)).encode())
                digest.update(_checked(file, inside=False).encode())
    else:
        digest.update(repr((source.where, source.options, named)).encode())
    return digest.hexdigest()[:16]


def locate(file: File) -> Path:
    """The path of a set's file on this machine: given, cached, carried by an installed package, or fetched now."""
    given = places.given_data()
    for folder in ([given] if given else []) + [places.cache() / "data"]:
        if (path := folder / file.path).is_file():
            if (found := _checked(path, folder=file.folder)) != file.sha256:
                raise DataError(f"{path} is not the file it should be: SHA-256 {found[:12]}..., expected {file.sha256[:12]}...",
                                "Remove it, and it is fetched again.")
            return path
    return _packaged(file) or _fetch(file, places.cache() / "data" / file.path)


def _packaged(file: File) -> Path | None:
    """Where the file's package has it, found without importing the package; None where another release has other bytes."""
    found = importlib.util.find_spec(file.package) if file.package else None
    paths = [Path(folder, "data", _last(file.path)) for folder in (found and found.submodule_search_locations) or ()]
    return next((path for path in paths if path.is_file() and _checked(path, folder=file.folder) == file.sha256), None)


def _named(source: Source, kind: str) -> NamedSet | None:
    if source.where in SETS:
        if (found := SETS[source.where].kind) != kind:
            fitting = ", ".join(name for name, one in SETS.items() if one.kind == kind)
            raise DataError(f"the set {source.where!r} holds {found}; this claim is about {kind}", f"Give a path, or one of: {fitting}.")
        return SETS[source.where]
    if not Path(source.where).exists():
        raise DataError(f"{source.where} is neither a file or folder nor a named set", f"The named sets: {', '.join(SETS)}.")
    return None


def _options(load, source: Source, kind: str) -> dict[str, str]:
    known = [name for name in inspect.signature(load).parameters if name != "path"]
    for name, _ in source.options:
        if name not in known:
            raise DataError(f"{kind} take no --{name}", f"They take: {', '.join('--' + one for one in known) or 'no options'}.")
    return dict(source.options)


def _options_of_set(loader, source: Source, named: NamedSet) -> dict[str, str]:
    """The options given with a named set: those that its loader takes by name only, and that the set leaves open."""
    fixed = dict(named.options)
    open_ = [name for name, one in inspect.signature(loader).parameters.items() if one.kind is one.KEYWORD_ONLY and name not in fixed]
    for name, _ in source.options:
        if name not in open_:
            raise DataError(f"the named set {source.where!r} takes no --{name}",
                            f"It takes --{', --'.join(open_)}." if open_ else "It takes no options; give them with a path.")
    return dict(source.options)


def _texts(path: Path) -> set[Path]:
    """A module of this package and those of this package that it imports, directly or not."""
    found, todo = set(), [path]
    while todo:
        if (path := todo.pop()) in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                stem = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                candidates = [stem.with_suffix(".py"), *(stem / f"{one.name}.py" for one in node.names)]
                todo += [one for one in candidates if one.is_relative_to(Path(__file__).parent) and one.is_file()]
    return found


def _sha256(path: Path, *, inside: bool, folder: str = "") -> str:
    """Of a file's bytes; or of what is inside a .gz file, or in a folder of a .zip file, whose wrapping differs between mirrors."""
    if folder and zipfile.is_zipfile(path):
        digest = hashlib.sha256()
        with zipfile.ZipFile(path) as archive:
            for name in sorted((one for one in archive.namelist() if PurePosixPath(one).parent.name == folder), key=_last):
                digest.update(f"{_last(name)}\0".encode() + archive.read(name))
        return digest.hexdigest()
    try:
        with (gzip.open if inside and path.suffix == ".gz" else open)(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise DataError(f"{path} is damaged: {problem}", "Remove it, and it is fetched again.") from None


def _last(name: str) -> str:
    return PurePosixPath(name).name


_seen: dict[tuple, str] = {}


def _checked(path: Path, *, inside: bool = True, folder: str = "") -> str:
    """The hash of a file; not taken again while size and time of the file stay."""
    stamp = (str(path), inside, folder, path.stat().st_size, path.stat().st_mtime_ns)
    if stamp not in _seen:
        _seen[stamp] = _sha256(path, inside=inside, folder=folder)
    return _seen[stamp]


def _fetch(file: File, target: Path) -> Path:
    if not file.url:
        raise DataError(f"{file.path} is at no public address", f"Set BAKEOFF_DATA to a folder that holds it, put it at {target}, "
                        "or take another set or data of your own.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=target.suffix, delete=False) as part:
        try:
            wrapped = file.path.endswith(".gz") and not file.url.endswith(".gz")
            with urllib.request.urlopen(file.url, timeout=60) as answer, (gzip.open(part, "wb") if wrapped else nullcontext(part)) as out:
                shutil.copyfileobj(answer, out)
            part.close()
            if (found := _sha256(Path(part.name), inside=True, folder=file.folder)) != file.sha256:
                raise DataError(f"{file.url} gave other bytes than expected: SHA-256 {found[:12]}..., expected {file.sha256[:12]}...",
                                "Nothing was kept. Fetch the file yourself and set BAKEOFF_DATA to its folder.")
            os.replace(part.name, target)
        except (OSError, http.client.HTTPException) as problem:
            raise DataError(f"{file.url} cannot be fetched: {problem}",
                            f"Put the file at {target}, or set BAKEOFF_DATA to a folder that holds {file.path}.") from None
        finally:
            Path(part.name).unlink(missing_ok=True)
    return target
