"""Named sets: found, checked, fetched; a source's fingerprint follows its bytes."""

import gzip
import hashlib
import http.server
import threading
import zipfile

import numpy as np
import pytest
from rdkit import Chem, rdBase

from bakeoff import places
from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.errors import DataError

BODY = b"some bytes of a public data set"


@pytest.fixture(scope="module")
def address():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/set.bin" else 404)
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def file(address, monkeypatch):
    monkeypatch.delenv("BAKEOFF_DATA", raising=False)
    return sets.File("one/set.bin", hashlib.sha256(BODY).hexdigest(), f"{address}/set.bin")


def test_a_file_is_fetched_once_and_then_found(file, monkeypatch):
    assert sets.locate(file).read_bytes() == BODY
    monkeypatch.setattr(sets.urllib.request, "urlopen", None)
    assert sets.locate(file).read_bytes() == BODY


def test_the_given_folder_is_looked_in_first(file, tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "one/set.bin").write_bytes(BODY)
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    assert sets.locate(file) == tmp_path / "one/set.bin"


def test_a_file_that_an_installed_package_carries_is_taken_from_there_unless_it_has_other_bytes(file, tmp_path, monkeypatch):
    (tmp_path / "carrier/data").mkdir(parents=True)
    (tmp_path / "carrier/__init__.py").write_text("raise RuntimeError('the package was imported')")
    (tmp_path / "carrier/data/set.bin").write_bytes(BODY)
    monkeypatch.syspath_prepend(tmp_path)
    carried = sets.replace(file, package="carrier")
    assert sets.locate(carried) == tmp_path / "carrier/data/set.bin"
    (tmp_path / "carrier/data/set.bin").write_bytes(b"another release")
    fetched = sets.locate(carried)
    assert fetched == sets.locate(sets.replace(file, package="no_such_package")) == places.cache() / "data/one/set.bin"
    (tmp_path / "carrier/data/set.bin").write_bytes(BODY)
    assert sets.locate(carried) == fetched  # what lies in the cache comes first


def test_where_else_a_file_is_leaves_the_fingerprint_of_its_set(monkeypatch):
    plain = sets.fingerprint(Source("adk"), "trajectories")
    files = sets.SETS["adk"].files
    assert {one.package for one in files} == {"MDAnalysisTests"}
    for change, same in (({"package": ""}, True), ({"sha256": "0"}, False)):
        monkeypatch.setitem(sets.SETS, "adk", sets.replace(sets.SETS["adk"], files=tuple(sets.replace(one, **change) for one in files)))
        assert (sets.fingerprint(Source("adk"), "trajectories") == plain) is same


def test_the_enzymes_frames_come_with_a_package(monkeypatch):
    monkeypatch.delenv("BAKEOFF_DATA", raising=False)
    monkeypatch.setattr(sets.urllib.request, "urlopen", None)
    assert [len(sets.load(Source(name), "trajectories")) for name in ("adk", "adk-second")] == [98, 102]


def test_a_gzipped_file_is_known_by_what_is_inside(file, tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    (tmp_path / "set.gz").write_bytes(gzip.compress(BODY, mtime=1))
    assert sets.locate(sets.File("set.gz", file.sha256, file.url)) == tmp_path / "set.gz"
    (tmp_path / "set.gz").write_bytes(gzip.compress(BODY, mtime=1)[:-9])
    with pytest.raises(DataError, match="damaged"):
        sets.locate(sets.File("set.gz", file.sha256, file.url))


def test_a_text_that_is_kept_gzipped_is_wrapped_when_it_is_fetched(file):
    kept = sets.locate(sets.File("one/set.gz", file.sha256, file.url))
    assert gzip.decompress(kept.read_bytes()) == BODY
    assert sets.locate(sets.File("one/set.gz", file.sha256, file.url)) == kept


def test_a_zip_is_known_by_one_folder_inside_wherever_it_lies(file, tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    expected = hashlib.sha256(b"a.txt\0one" + b"b.txt\0two").hexdigest()
    archived = sets.File("set.zip", expected, file.url, folder="inner")
    for names in (("inner/a.txt", "inner/b.txt", "other/a.txt"), ("top-1/inner/b.txt", "top-1/inner/", "top-1/inner/a.txt")):
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for name in names:
                archive.writestr(name, {"a": "one", "b": "two", "/": ""}[name[-5] if name.endswith("t") else "/"])
        assert sets.locate(archived) == tmp_path / "set.zip"
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("inner/a.txt", "onetwo")
    with pytest.raises(DataError, match="not the file it should be"):
        sets.locate(archived)


def test_other_bytes_are_refused_and_not_kept(file):
    other = sets.File(file.path, hashlib.sha256(b"other").hexdigest(), file.url)
    with pytest.raises(DataError, match="other bytes"):
        sets.locate(other)
    assert list((places.cache() / "data").rglob("*.*")) == []


def test_a_file_that_cannot_be_fetched_says_where_to_put_it(file):
    with pytest.raises(DataError, match="BAKEOFF_DATA"):
        sets.locate(sets.File(file.path, file.sha256, file.url + "x"))


def test_a_file_at_no_public_address_says_so(file):
    with pytest.raises(DataError, match="no public address"):
        sets.locate(sets.File(file.path, file.sha256, ""))


def test_a_fingerprint_follows_the_bytes_of_a_file_that_an_option_names(tmp_path):
    (tmp_path / "assay.csv").write_text("smiles\nCCO\n")
    (tmp_path / "more.smi").write_text("CCN\n")
    source = Source(str(tmp_path / "assay.csv"), (("unlabelled", str(tmp_path / "more.smi")),))
    first = sets.fingerprint(source, "molecules")
    (tmp_path / "more.smi").write_text("CCCl\n")
    assert sets.fingerprint(source, "molecules") != first


def test_a_fingerprint_follows_bytes_names_and_options(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    first = sets.fingerprint(Source(str(folder)), "images")
    assert sets.fingerprint(Source(str(folder)), "images") == first
    assert sets.fingerprint(Source(str(folder), (("size", "8"),)), "images") != first
    (folder / "a.png").rename(folder / "b.png")
    second = sets.fingerprint(Source(str(folder)), "images")
    (folder / "b.png").write_bytes(b"b")
    assert len({first, second, sets.fingerprint(Source(str(folder)), "images")}) == 3


def test_a_fingerprint_follows_the_option_of_a_named_set_and_every_text_behind_its_kind():
    plain = sets.fingerprint(Source("drugs"), "molecules")
    assert sets.fingerprint(Source("drugs"), "molecules") == plain
    assert sets.fingerprint(Source("drugs", (("split", "scaffold"),)), "molecules") != plain
    folder = sets.Path(sets.__file__).parent
    behind = {str(file.relative_to(folder)) for file in sets._texts(folder / "affinities.py")}
    assert behind == {"affinities.py", "columns.py", "molecules.py", "kinds/affinities.py", "kinds/molecules.py", "kinds/records.py",
                      "kinds/scaffolds.py"}
    assert {"collect.py", "kinds/environment.py"} <= {str(file.relative_to(folder)) for file in sets._texts(folder / "transitions.py")}


def test_a_set_of_another_kind_and_an_unknown_place_are_told(tmp_path):
    with pytest.raises(DataError, match="holds images; this claim is about tables"):
        sets.load(Source("digits"), "tables")
    with pytest.raises(DataError, match="neither a file or folder nor a named set"):
        sets.load(Source(str(tmp_path / "none.csv")), "tables")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match="tables take no --smiles"):
        sets.load(Source(str(tmp_path / "t.csv"), (("smiles", "a"),)), "tables")


def test_a_named_set_takes_only_the_options_it_leaves_open():
    for name, option, said in (("drugs", "target", "It takes --split."), ("digits", "size", "It takes no options")):
        with pytest.raises(DataError, match=f"'{name}' takes no --{option}") as told:
            sets.load(Source(name, ((option, "x"),)), sets.SETS[name].kind)
        assert said in told.value.hint


# rows, names of the targets, mean of the first target, rows of the test at any seed (None: not fixed)
MEASURED = {
    "esol": (1128, 1, -3.0501, None), "freesolv": (642, 1, -3.8030, None), "lipophilicity": (4200, 1, 2.1863, None),
    "bace": (1513, 1, 691 / 1513, None), "bbbp": (2039, 1, 1560 / 2039, None), "clintox": (1480, 2, 1386 / 1480, None),
    "tox21": (7823, 12, 308 / 7258, None), "zinc-qed": (86334, 0, None, None), "zinc": (29445, 0, None, None),
    "drugs": (62, 1, None, None), "esol-scaffold": (1128, 1, -3.0501, 226), "freesolv-scaffold": (642, 1, -3.8030, 129),
    "lipophilicity-scaffold": (4200, 1, 2.1863, 840), "bace-scaffold": (1513, 1, 691 / 1513, 303),
    "bbbp-scaffold": (2039, 1, 1560 / 2039, 408)}


def at_hand(name):
    """Whether a set's files lie in the folder that BAKEOFF_DATA names, or in a package; they are not fetched for a test."""
    given = places.given_data()
    return all((given and (given / file.path).is_file()) or sets._packaged(file) for file in sets.SETS[name].files)


def test_the_public_molecules_at_hand_are_as_many_and_measured_as_published():
    for name in filter(at_hand, MEASURED):
        rows, names, mean, test = MEASURED[name]
        found = sets.load(Source(name), "molecules")
        assert (len(found), len(found.names)) == (rows, names), name
        assert mean is None or np.nanmean(found.targets[:, 0]) == pytest.approx(mean, abs=1e-4), name
        assert test is None or [len(found.split(seed)[1]) for seed in (0, 1)] == [test, test], name


def test_the_rows_left_out_of_a_table_at_hand_are_those_that_rdkit_cannot_read():
    import csv
    for name in filter(at_hand, ("esol", "freesolv", "lipophilicity", "bace", "bbbp", "clintox", "tox21")):
        with open(sets.locate(sets.SETS[name].files[0]), newline="", encoding="utf-8") as stream, rdBase.BlockLogs():
            bad = [str(row) for row, one in enumerate(csv.DictReader(stream), 1) if Chem.MolFromSmiles(one["smiles"].strip()) is None]
        assert ",".join(bad) == dict(sets.SETS[name].options).get("without", ""), name


def test_the_public_affinities_at_hand_are_as_many_and_measured_as_published():
    for name, drugs, proteins, pairs, mean, low, high, test in (("davis", 68, 442, 30056, 5.4514, 5, 9 - np.log10(0.016), 5010),
                                                                ("kiba", 2111, 229, 118254, 11.7199, 0, 17.2002, 19709)):
        if at_hand(name):
            found = sets.load(Source(name, (("split", "published"),)), "affinities")
            assert (len(found.smiles), len(found.sequences), len(found), len(found.split(0)[1])) == (drugs, proteins, pairs, test)
            np.testing.assert_allclose([found.values.mean(), found.values.min(), found.values.max()], [mean, low, high], atol=1e-3)


def test_the_public_structures_and_trajectories_at_hand_are_plausible_matter():
    if at_hand("qm7"):
        found = sets.load(Source("qm7"), "structures")
        assert (len(found), len(found.numbers), set(found.numbers)) == (7101, 109600, {1, 6, 7, 8, 16})
        numbers, places_ = found.molecule(0)
        assert numbers.tolist() == [6, 1, 1, 1, 1]
        np.testing.assert_allclose(np.linalg.norm(places_[1:] - places_[0], axis=1), 1.09, atol=0.01)
        assert found.targets[:2, 0].tolist() == [-417.031, -711.117]
    for name, frames in (("adk", 98), ("adk-second", 102)):
        if at_hand(name):
            found = sets.load(Source(name), "trajectories")
            assert found.frames.shape == (frames, 642, 3)
            assert found.atoms == ("N", "CA", "C") * 214
            bonds = np.linalg.norm(np.diff(found.frames[:, 1::3], axis=1), axis=2)
            assert np.median(bonds) == pytest.approx(3.8, abs=0.1)
