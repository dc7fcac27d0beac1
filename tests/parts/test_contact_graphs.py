import numpy as np
import pytest
import torch

from bakeoff.data.kinds.poses import Poses
from bakeoff.parts.contact_graphs import PER_GATHER, ContactGraphs, LigandGraph


@pytest.fixture(scope="module")
def poses():
    """Three ligands of one, two and one poses; contacts 3 and 4.2 angstrom long."""
    return Poses(["CC(=O)N", "c1ccccc1O", "C"], "abc", [0, 1, 3, 4], [0, 0, 1, 0], [-5.0] * 4, [1.0] * 4, [0, 2, 3, 4], [49, 7, 0, 3],
                 [0, 2, 3, 5, 5], [[0, 0], [3, 1], [6, 0], [0, 0], [6, 0]], [3.0, 4.2, 3.0, 4.2, 3.0])


def test_the_ligands_convolution_is_that_of_the_equation_written_as_loops_over_bonds(poses):
    graphs = ContactGraphs(poses, 4.5)
    batch = graphs.batch([1, 0])
    torch.manual_seed(0)
    network = LigandGraph(hidden=5, layers=2)
    one = batch.ligands
    with torch.no_grad():
        found = network(batch)
        h = network.start(one.atoms).relu()
        for own, heard in zip(network.own, network.heard, strict=True):
            fresh = []
            for atom in range(len(h)):
                total = own(h[atom])
                for bond, (leaves, enters) in enumerate(one.index.T.tolist()):
                    if enters == atom:
                        total = total + heard(torch.cat([h[leaves], one.bonds[bond]]))
                fresh.append(total.relu())
            h = torch.stack(fresh)
        expected = torch.stack([h[one.molecule == place].sum(0) for place in range(2)]) / PER_GATHER
    torch.testing.assert_close(found, expected)


def test_a_batch_has_the_contacts_that_are_nearer_than_the_cutoff_with_the_atoms_they_name(poses):
    batch = ContactGraphs(poses, 4.0).batch([1, 0])  # of poses 1, 2, 0
    starts = batch.ligands.atom_counts.cumsum(0) - batch.ligands.atom_counts
    atom, pose = batch.atoms[batch.ends[0]], batch.atom_pose[batch.ends[0]]
    seen = sorted(zip(pose.tolist(), (atom - starts[batch.ligand[pose]]).tolist(), batch.distances.tolist(), strict=True))
    assert seen == [(0, 6, 3.0), (1, 6, 3.0), (2, 0, 3.0)]
    assert np.array_equal(batch.rank, [0, 1, 0])
