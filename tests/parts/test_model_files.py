"""Models on disk: what is read is what was written, and anything else is refused with its name."""

import json

import pytest
import torch

from bakeoff.errors import DataError
from bakeoff.parts import model_files


def test_weights_and_card_come_back_bit_for_bit(tmp_path):
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    tensors = {"a.weight": weight, "a.transposed": weight.T, "count": torch.tensor(7), "empty": torch.zeros(0)}  # shared storage
    model_files.save(tmp_path / "m.safetensors", tensors, {"model": "Scale", "tokens": ["C", "é"]})
    read, card = model_files.load(tmp_path / "m.safetensors", "Scale")
    assert all(torch.equal(read[name], one) for name, one in tensors.items())
    assert card == {"model": "Scale", "tokens": ["C", "é"]} == json.loads((tmp_path / "m.safetensors.json").read_text("utf-8"))
    assert torch.equal(model_files.part("a", read)["weight"], weight)


def test_what_is_missing_damaged_or_another_model_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(DataError, match="is not a file"):
        model_files.load(path, "Scale")
    model_files.save(path, {"w": torch.ones(2)}, {"model": "Scale"})
    with pytest.raises(DataError, match="holds Scale"):
        model_files.load(path, "Shift")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="no safetensors file"):
        model_files.load(path, "Scale")
