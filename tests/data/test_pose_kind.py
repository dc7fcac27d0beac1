"""The kind `Poses`: what is packed comes apart and together again; families stay on one side; wrong records are named."""

from dataclasses import fields, replace

import numpy as np
import pytest

from bakeoff.data.kinds.poses import ELEMENTS, RESIDUES, TRAITS, Poses, joined, traits, typed
from bakeoff.errors import DataError


def poses(counts=(2, 1, 3), groups=("a", "b", "a"), seed=0):
    """Complexes of random contacts; the ranks of each count down."""
    rng = np.random.default_rng(seed)
    ends, contacts = np.concatenate([[0], np.cumsum(counts)]), rng.integers(0, 5, sum(counts))
    edges = int(contacts.sum())
    return Poses([f"{'C' * (i + 3)}O" for i in range(len(counts))], groups, ends, np.concatenate([np.arange(n)[::-1] for n in counts]),
                 rng.normal(size=ends[-1]), rng.uniform(0, 8, ends[-1]), 4 * np.arange(len(counts) + 1),
                 rng.integers(0, 288, 4 * len(counts)),
                 np.concatenate([[0], np.cumsum(contacts)]), rng.integers(0, 3, (edges, 2)), rng.uniform(2, 5, edges),
                 np.arange(len(counts)) % 2, [f"c{i}" for i in range(len(counts))])


def same(one, other):
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Poses))


def test_complexes_taken_one_by_one_and_joined_are_the_record():
    record = poses()
    assert same(joined([record.take([i]) for i in range(3)]), record)
    assert same(joined([record.take([2]), record.take([0])]), record.take([2, 0]))


def test_a_pose_keeps_its_contacts_wherever_it_is_taken():
    record = poses()
    moved = record.take([2, 0])
    for old, new in ((3, 0), (4, 1), (5, 2), (0, 3), (1, 4)):
        was, now = (slice(*one.contact_offsets[place:place + 2]) for one, place in ((record, old), (moved, new)))
        assert np.array_equal(record.contacts[was], moved.contacts[now])
        assert np.array_equal(record.distances[was], moved.distances[now])
        assert record.rmsd[old] == moved.rmsd[new]


def test_the_first_pose_is_the_one_ranked_best():
    first = poses().first()
    assert first.rank.tolist() == [0, 0, 0]
    assert first.rmsd.tolist() == poses().rmsd[[1, 2, 5]].tolist()


def test_a_group_is_never_on_both_sides_and_the_seed_decides():
    record = poses(counts=(1,) * 30, groups=[f"family {i % 10}" for i in range(30)])
    parts = [record.split(seed) for seed in range(5)]
    for train, test in parts:
        assert not set(train.groups) & set(test.groups)
        assert (len(train), len(test)) == (24, 6)
    assert len({test.names for _, test in parts}) > 1
    assert same(record.split(3)[1], record.split(3)[1])


def test_a_type_says_what_it_was_made_from():
    for element in range(len(ELEMENTS)):
        for bits in range(8):
            for residue in range(len(RESIDUES)):
                flags = [bits & 1 > 0, bits & 2 > 0, bits & 4 > 0]
                row = traits(np.array([typed(element, *flags, residue)]))[0]
                told = {f"element {ELEMENTS[element]}", f"residue {RESIDUES[residue]}",
                        *(name for name, flag in zip(("aromatic", "donor", "acceptor"), flags, strict=True) if flag)}
                assert {TRAITS[i] for i in np.flatnonzero(row)} == told


@pytest.mark.parametrize(("change", "said"), [
    ({"rank": [0, 1, 2, 0, -1, 1]}, "rank"), ({"pose_offsets": [0, 2, 2, 6]}, "pose_offsets"), ({"groups": ["a"]}, "groups"),
    ({"pocket": np.full(12, 999)}, "pocket"), ({"active": [0, 2, 1]}, "active"), ({"names": ["x"]}, "names"),
])
def test_a_wrong_record_is_named(change, said):
    with pytest.raises(DataError, match=f"Poses.{said}"):
        replace(poses(), **change)


def test_a_contact_outside_its_own_pocket_is_found():
    record = poses()
    contacts = record.contacts.copy()
    contacts[-1, 1] = 4  # there is an atom 4 in the file, but the complex has four of its own
    with pytest.raises(DataError, match="contacts"):
        replace(record, contacts=contacts)
