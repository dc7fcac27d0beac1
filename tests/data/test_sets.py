"""Named sets: found, checked, fetched; a source's fingerprint follows its bytes."""

import gzip
import hashlib
import http.server
import threading

import pytest

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


def test_a_gzipped_file_is_known_by_what_is_inside(file, tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    (tmp_path / "set.gz").write_bytes(gzip.compress(BODY, mtime=1))
    assert sets.locate(sets.File("set.gz", file.sha256, file.url)) == tmp_path / "set.gz"
    (tmp_path / "set.gz").write_bytes(gzip.compress(BODY, mtime=1)[:-9])
    with pytest.raises(DataError, match="damaged"):
        sets.locate(sets.File("set.gz", file.sha256, file.url))


def test_other_bytes_are_refused_and_not_kept(file):
    other = sets.File(file.path, hashlib.sha256(b"other").hexdigest(), file.url)
    with pytest.raises(DataError, match="other bytes"):
        sets.locate(other)
    assert list((places.cache() / "data").rglob("*.*")) == []


def test_a_file_that_cannot_be_fetched_says_where_to_put_it(file):
    with pytest.raises(DataError, match="BAKEOFF_DATA"):
        sets.locate(sets.File(file.path, file.sha256, file.url + "x"))


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


def test_a_set_of_another_kind_and_an_unknown_place_are_told(tmp_path):
    with pytest.raises(DataError, match="holds images; this claim is about tables"):
        sets.load(Source("digits"), "tables")
    with pytest.raises(DataError, match="neither a file or folder nor a named set"):
        sets.load(Source(str(tmp_path / "none.csv")), "tables")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match="tables take no --smiles"):
        sets.load(Source(str(tmp_path / "t.csv"), (("smiles", "a"),)), "tables")
