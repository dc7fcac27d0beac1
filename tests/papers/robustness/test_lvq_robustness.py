"""Prototypes against closed forms: bisecting planes, the variants' common limit, and certificates that no attack breaks."""

import math

import pytest
import torch
from sklearn.datasets import load_digits

from bakeoff.errors import NotFitted
from bakeoff.papers.robustness.lvq_robustness import GLVQ, distances_to_wrong, principal_axes
from bakeoff.parts.attacks import deepfool, lengths, pgd, right


def digits():
    rows, labels = load_digits(return_X_y=True)
    return torch.tensor(rows / 16, dtype=torch.float32), torch.tensor(labels)


def moved(x, radius):
    """Every row of x (B, D) moved by its `radius` in a random direction."""
    return x + radius[:, None] * torch.nn.functional.normalize(torch.randn(x.shape, generator=torch.Generator().manual_seed(1)), dim=1)


def test_with_one_prototype_of_each_of_two_classes_the_distance_to_the_wrong_side_is_that_to_the_bisecting_plane():
    x = 0.5 + 0.05 * torch.randn(40, 9, generator=torch.Generator().manual_seed(0)) + torch.tensor([[-0.2], [0.2]]).repeat(20, 1)
    y = torch.arange(40) % 2
    model = GLVQ(1).fit(x, y, steps=50)
    first, second = model.prototypes.detach()[:, 0]
    exact = ((x - (first + second) / 2) @ (second - first) / (second - first).norm()).abs()
    found = torch.stack(list(distances_to_wrong(model, x, y).values())).amin(0)
    assert bool(right(model, x, y).all())
    torch.testing.assert_close(found, exact, atol=1e-3, rtol=1e-3)
    labels, radii = model.certify(x)
    assert torch.equal(labels, y)
    assert bool((radii <= exact + 1e-6).all())
    assert bool((radii > 0.3 * exact).all())


@pytest.mark.parametrize("variant", ["euclidean", "matrix", "tangent"])
def test_no_attack_and_no_random_change_breaks_a_certificate(variant):
    x, y = digits()
    model = GLVQ(2, variant, rank=3 if variant == "tangent" else None).fit(x[:800], y[:800], steps=60)
    x = x[800:860]
    labels, radii = model.certify(x)
    radii = radii.float()
    attacked = deepfool(model, x, labels, bounds=(-10.0, 10.0))
    assert bool((~right(model, attacked, labels)).all())
    assert bool((lengths(attacked - x, 2) > radii).all())
    assert float((radii / lengths(attacked - x, 2)).max()) > 0.2  # the proofs are not empty
    for strongest in torch.quantile(radii, torch.tensor([0.3, 0.6, 0.9])):
        proved = radii >= strongest
        inside = pgd(model, x[proved], labels[proved], radius=float(strongest), norm=2, steps=20, bounds=(-10.0, 10.0))
        assert bool(right(model, inside, labels[proved]).all())
    assert torch.equal(model.predict(moved(x, 0.999 * radii)), labels)


def test_the_matrix_certificate_is_exact_where_the_map_is_the_identity_on_a_line():
    model = GLVQ(1, "matrix").fit(torch.tensor([[0.0], [0.2], [0.8], [1.0]]), torch.tensor([0, 0, 1, 1]), steps=1)
    (low, high), (labels, radii) = model.prototypes.detach().flatten(), model.certify(torch.tensor([[0.3]]))
    assert labels.tolist() == [0]
    assert float(radii) == pytest.approx(float(low + high) / 2 - 0.3, abs=1e-5)


def test_identity_matrix_and_subspaces_of_rank_0_give_the_plain_method():
    x, y = digits()
    plain = GLVQ(2).fit(x, y, steps=0)
    matrix = GLVQ(2, "matrix").fit(x, y, steps=0)
    torch.testing.assert_close(64 * matrix(x), plain(x), rtol=1e-4, atol=1e-4)  # |I / 8|_F = 1
    tangent, learned = GLVQ(2, "tangent", rank=0).fit(x, y, steps=40), GLVQ(2).fit(x, y, steps=40)
    torch.testing.assert_close(tangent(x), learned(x))
    assert not torch.equal(learned.prototypes, plain.prototypes)


def test_the_relative_distance_and_the_tangent_distance_are_as_defined():
    x, y = digits()
    model = GLVQ(1, "tangent", rank=4, slope=3.0).fit(x, y, steps=30)
    w, axes = model.prototypes.detach()[:, 0], model.axes.detach()
    torch.testing.assert_close(axes.mT @ axes, torch.eye(4).expand(10, 4, 4), atol=1e-5, rtol=0)
    projector = torch.eye(64) - axes @ axes.mT  # (10, 64, 64)
    known = torch.einsum("kij,bkj->bki", projector, x[:, None] - w).square().sum(2)  # (B, 10)
    torch.testing.assert_close(-model(x), known, atol=1e-4, rtol=1e-4)
    mine = known[torch.arange(len(x)), y]
    known[torch.arange(len(x)), y] = math.inf
    mu = (mine - known.amin(1)) / (mine + known.amin(1))
    torch.testing.assert_close(model.relative_distance(x, y), mu, atol=1e-4, rtol=1e-3)
    assert torch.equal(mu < 0, model.predict(x) == y)
    torch.testing.assert_close(model.phi(mu), 1 / (1 + torch.exp(-3 * mu)))
    assert float(mu.abs().max()) <= 1


def test_learning_lowers_the_loss_and_keeps_the_matrix_at_norm_1():
    x, y = digits()
    for variant in ("euclidean", "matrix", "tangent"):
        start = GLVQ(2, variant, rank=None if variant == "matrix" else 4).fit(x, y, steps=0)
        model = GLVQ(2, variant, rank=None if variant == "matrix" else 4).fit(x, y, steps=80)
        assert bool(model.relative_distance(x, y).mean() < start.relative_distance(x, y).mean() - 0.02)
        assert float((model.predict(x) == y).double().mean()) > 0.9
    model = GLVQ(2, "matrix", rank=5).fit(x, y, steps=20)
    assert model.omega.shape == (5, 64)
    assert float(model.omega.detach().norm()) == pytest.approx(1, abs=1e-5)


def test_the_first_axes_are_those_of_the_singular_value_decomposition():
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(50, 6, generator=rng) * torch.tensor([5.0, 3.0, 0.5, 0.3, 0.1, 0.05])
    axes, known = principal_axes(points, 2, rng), torch.linalg.svd(points)[2][:2].T
    torch.testing.assert_close(axes @ axes.T, known @ known.T, atol=1e-4, rtol=0)


def test_what_cannot_be_is_refused_and_fitting_again_changes_nothing():
    x, y = digits()
    with pytest.raises(NotFitted):
        GLVQ().predict(x)
    with pytest.raises(ValueError, match="variant='manhattan'; expected one of euclidean, matrix, tangent"):
        GLVQ(1, "manhattan").fit(x, y)
    with pytest.raises(ValueError, match="a class has 1 images; expected at least prototypes_per_class=2"):
        GLVQ(2).fit(x[:10], y[:10])
    model = GLVQ(1, "tangent", rank=2)
    once = model.fit(x, y, steps=5)(x)
    torch.testing.assert_close(model.fit(x, y, steps=5)(x), once, rtol=0, atol=0)
    for labels in (y - 1, y[:5], y.float()):
        with pytest.raises(ValueError, match="expected whole numbers from 0 as labels"):
            GLVQ(1).fit(x, labels)
    for rank, said in ((64, "every distance is 0"), (-1, "every distance is 0")):
        with pytest.raises(ValueError, match=said):
            GLVQ(1, "tangent", rank=rank).fit(x, y)
    with pytest.raises(ValueError, match="rank 0 for images of 64 numbers"):
        GLVQ(1, "matrix", rank=0).fit(x, y)
    for bad in (x.byte(), x.where(x > 0, torch.nan)):
        with pytest.raises(ValueError, match="expected finite floats"):
            model.fit(bad, y)
    same = GLVQ(1, "tangent", rank=2).fit(x.numpy(), y.numpy(), steps=5)
    assert same.predict(x.double().numpy()).tolist() == once.argmax(1).tolist()


@pytest.mark.parametrize("variant", ["euclidean", "matrix", "tangent"])
def test_a_fresh_model_loads_what_another_learned_and_answers_alike(variant, tmp_path):
    x, y = digits()
    how = {"variant": variant, "rank": None if variant == "euclidean" else 3}
    learned = GLVQ(2, **how).fit(x, y, steps=10)
    torch.save(learned.state_dict(), tmp_path / "saved.pt")
    saved = torch.load(tmp_path / "saved.pt")
    for model in (GLVQ(2, **how), GLVQ(2, **how).fit(x[:300, :20], y[:300], steps=1)):
        assert str(model.load_state_dict(saved)) == "<All keys matched successfully>"
        assert torch.equal(model.predict(x), learned.predict(x))
        assert all(torch.equal(one, other) for one, other in zip(model.certify(x), learned.certify(x), strict=True))
    nested = torch.nn.Sequential(torch.nn.Flatten(), GLVQ(2, **how))
    nested.load_state_dict(torch.nn.Sequential(torch.nn.Flatten(), learned).state_dict())
    assert torch.equal(nested(x), learned(x))
    for other in (GLVQ(2, "matrix" if variant == "tangent" else "tangent"), GLVQ(3, **how)):
        with pytest.raises(RuntimeError, match=f"saved was the variant '{variant}' with prototypes_per_class=2"):
            other.load_state_dict(saved)
    with pytest.raises(RuntimeError, match="Missing key"):
        learned.load_state_dict({})
