"""The named public sets, and the one way to a record: `load(source, kind)`.

A set's files are looked for in the folder `BAKEOFF_DATA`, then in the cache, then fetched; always checked against
the SHA-256 pinned here. Sets without files come with an installed package, or are made here by a fixed procedure.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import importlib
import inspect
import os
import shutil
import tempfile
import urllib.request
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

from .. import places
from ..claim import Source
from ..errors import BakeoffError, DataError

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_MOLECULES = "https://raw.githubusercontent.com/GLambard/Molecules_Dataset_Collection/master/originals/"
_ZINC = "https://raw.githubusercontent.com/wengong-jin/icml18-jtnn/master/data/zinc/"


@dataclass(frozen=True)
class File:
    """One file of a set: its path under the data folder, its SHA-256 (of what is inside, for a .gz file), where it is fetched."""

    path: str
    sha256: str
    url: str


@dataclass(frozen=True)
class NamedSet:
    """A public set: its kind (a loader module), the function there that reads it, its files, fixed options."""

    kind: str
    loader: str
    says: str
    files: tuple[File, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


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
    "zinc": NamedSet("molecules", "lines", "29,445 drug-like molecules, the validation and test parts of ZINC-250k", (
        File("zinc250k/valid.txt", "ad7d9c2bfebd93ffda6c32ed0e89d1714ae1f592f6340c0e6ae057521bbae30d", _ZINC + "valid.txt"),
        File("zinc250k/test.txt", "31f6ce92914814db33bf0dbfc45f3836193e27cb80a59c54d88bc05a1f5fab83", _ZINC + "test.txt"))),
    "esol": NamedSet("molecules", "packaged_table", "1,128 molecules with their measured solubility", (
        File("moleculenet/ESOL_delaney-processed.csv", "8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189",
             _MOLECULES + "ESOL_delaney-processed.csv"),),
        (("smiles", "smiles"), ("target", "measured log solubility in mols per litre"))),
    "inverted-pendulum-imperfect": NamedSet(
        "transitions", "imperfect", "2,000 steps of imperfect demonstrations in InvertedPendulum-v5; made here in a second",
        options=(("environment", "InvertedPendulum-v5"), ("steps", "2000"), ("learning_steps", "20000"), ("step_size", "0.3"),
                 ("noise", "1.0"))),
    "inverted-double-pendulum-imperfect": NamedSet(
        "transitions", "imperfect", "50,000 steps of imperfect demonstrations in InvertedDoublePendulum-v5; made here in 15 seconds",
        options=(("environment", "InvertedDoublePendulum-v5"), ("steps", "50000"), ("learning_steps", "120000"), ("step_size", "0.1"),
                 ("noise", "0.3"))),
    "hopper-imperfect": NamedSet(
        "transitions", "imperfect", "100,000 steps of imperfect demonstrations in Hopper-v5; made here in half a minute",
        options=(("environment", "Hopper-v5"), ("steps", "100000"), ("learning_steps", "200000"), ("step_size", "0.01"), ("noise", "0.025"),
                 ("survival_bonus", "1.0"))),
}


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
    if source.options:
        raise DataError(f"the named set {source.where!r} takes no options", "Give options only with a path.")
    files = [locate(file) for file in named.files]
    return getattr(module, named.loader)(*([files] if files else []), **dict(named.options))


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
    if named and named.kind != "transitions":
        return []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        load(source, kind)
    return [str(one.message) for one in told if issubclass(one.category, UserWarning)]


def fingerprint(source: Source, kind: str) -> str:
    """A hash that changes when the data would: the pinned files and the loader's text, or a path's own bytes."""
    digest = hashlib.sha256((Path(__file__).parent / f"{kind}.py").read_bytes())
    if kind == "transitions":
        digest.update((Path(__file__).parent / "collect.py").read_bytes())
    named = _named(source, kind)
    if named is None:
        path = Path(source.where)
        digest.update(repr(source.options).encode())
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(str(file.relative_to(path)).encode())
                digest.update(_checked(file, inside=False).encode())
    else:
        digest.update(repr((source.where, named)).encode())
    return digest.hexdigest()[:16]


def locate(file: File) -> Path:
    """The path of a set's file on this machine: given, cached, or fetched now."""
    given = places.given_data()
    for folder in ([given] if given else []) + [places.cache() / "data"]:
        if (path := folder / file.path).is_file():
            if (found := _checked(path)) != file.sha256:
                raise DataError(f"{path} is not the file it should be: SHA-256 {found[:12]}..., expected {file.sha256[:12]}...",
                                "Remove it, and it is fetched again.")
            return path
    return _fetch(file, places.cache() / "data" / file.path)


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


def _sha256(path: Path, *, inside: bool) -> str:
    """Of a file's bytes; or of what is inside a .gz file, whose wrapping differs between mirrors."""
    try:
        with (gzip.open if inside and path.suffix == ".gz" else open)(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise DataError(f"{path} is damaged: {problem}", "Remove it, and it is fetched again.") from None


_seen: dict[tuple, str] = {}


def _checked(path: Path, *, inside: bool = True) -> str:
    """The hash of a file; not taken again while size and time of the file stay."""
    stamp = (str(path), inside, path.stat().st_size, path.stat().st_mtime_ns)
    if stamp not in _seen:
        _seen[stamp] = _sha256(path, inside=inside)
    return _seen[stamp]


def _fetch(file: File, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=target.suffix, delete=False) as part:
        try:
            with urllib.request.urlopen(file.url, timeout=60) as answer:
                shutil.copyfileobj(answer, part)
            part.close()
            if (found := _sha256(Path(part.name), inside=True)) != file.sha256:
                raise DataError(f"{file.url} gave other bytes than expected: SHA-256 {found[:12]}..., expected {file.sha256[:12]}...",
                                "Nothing was kept. Fetch the file yourself and set BAKEOFF_DATA to its folder.")
            os.replace(part.name, target)
        except (OSError, http.client.HTTPException) as problem:
            raise DataError(f"{file.url} cannot be fetched: {problem}",
                            f"Put the file at {target}, or set BAKEOFF_DATA to a folder that holds {file.path}.") from None
        finally:
            Path(part.name).unlink(missing_ok=True)
    return target
