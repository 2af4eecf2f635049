"""Weights on disk: what is loaded runs as what was saved, and nothing else is accepted."""

import hashlib
import zlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from vivae.errors import FormatError, InputError
from vivae.vae.zoo import is_named, list_models, load_any, load_model, notes_of, resolve, serialise


def opened(path):
    """What a file of weights says of them, and the tensors."""
    with safe_open(path, "pt") as file:
        # Copies: the file is written anew, and tensors are views of it.
        return file.metadata(), {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118


def check_refused(path, told, tensors, match):
    """A file of such tensors is not loaded, and it is said why."""
    path.write_bytes(save(tensors, metadata=told))
    with pytest.raises(FormatError, match=match):
        load_model(path)


def test_saved_models_come_back(make_model, tmp_path):
    model = make_model()
    path = tmp_path / "mine.safetensors"
    data = serialise(model, {"minutes": 3})
    path.write_bytes(data)
    loaded = load_model(path)
    assert loaded.config == model.config
    assert loaded.hash == hashlib.sha256(data).hexdigest()
    assert notes_of(path) == {"minutes": 3}
    assert serialise(loaded, {"minutes": 3}) == data
    x = torch.rand(1, 24, 8, 8)
    state = model.initial_state(1, 8, 8)
    one, _ = model.encode(x, state, torch.ones(1))
    two, _ = loaded.encode(x, state, torch.ones(1))
    torch.testing.assert_close(one, two, atol=0.05, rtol=0.01)


def test_a_prior_in_single_bytes_is_the_same(make_model, tmp_path):
    """Its weights are used as whole numbers of 8 bits, and the file may hold just those."""
    saved = []
    for size in (1, 2):
        path = tmp_path / f"{size}.safetensors"
        path.write_bytes(serialise(make_model(prior_bytes=size)))
        saved.append(load_model(path))
        assert serialise(saved[-1]) == path.read_bytes()
    small, usual = saved
    weights = sum(layer.weight.numel() for layer in usual.prior.modules() if isinstance(layer, nn.Conv2d))
    sizes = [(tmp_path / f"{size}.safetensors").stat().st_size for size in (1, 2)]
    assert weights / 2 < sizes[1] - sizes[0] < 2 * weights
    symbols = torch.randint(-3, 4, (1, small.config.latent_channels, 6, 6)).float()
    quality = torch.tensor([0.4])
    state = small.initial_state(1, 24, 24)._replace(symbols=symbols)
    one, two = (model.prior.expect(model.expect(state, quality), symbols) for model in saved)
    assert torch.equal(one.mean, two.mean)
    assert torch.equal(one.scale, two.scale)


def test_weights_of_eight_bits_are_half_as_large_and_nearly_the_same(make_model, tmp_path):
    model = make_model()
    sizes, loaded = [], []
    for bits in (8, 16):
        path = tmp_path / f"{bits}.safetensors"
        path.write_bytes(serialise(model, bits=bits))
        sizes.append(path.stat().st_size)
        loaded.append(load_model(path))
    small, usual = loaded
    assert serialise(small, bits=8) == (tmp_path / "8.safetensors").read_bytes()
    filters = 0
    for key, weight in usual.state_dict().items():
        if key.startswith("prior.") or key == "tables" or weight.dim() < 2:
            assert torch.equal(small.state_dict()[key], weight), key
            continue
        filters += weight.numel()
        step = weight.flatten(1).abs().amax(1) / 127
        assert ((small.state_dict()[key] - weight).flatten(1).abs() <= 0.51 * step[:, None]).all(), key
    assert sizes[1] - sizes[0] > 0.7 * filters


def test_damaged_steps_are_refused(make_model, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(serialise(make_model(), bits=8))
    told, tensors = opened(path)
    name = next(key for key in tensors if key.endswith(".step"))
    for wrong in (torch.tensor(3.0), torch.ones(1000), torch.ones(2, 2)):
        check_refused(path, told, tensors | {name: wrong}, "steps")
    check_refused(path, told, tensors | {"nothing.step": torch.ones(3)}, "steps")
    del tensors[name]
    check_refused(path, told, tensors, "no steps")


def test_unknown_names_list_the_known(tmp_path):
    with pytest.raises(InputError, match="no model 'nonesuch'"):
        load_model("nonesuch")


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, save({"x": torch.zeros(2)})])
def test_foreign_files_are_refused(content, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        load_model(path)


def test_truncated_weights_are_refused(make_model, tmp_path):
    data = serialise(make_model())
    path = tmp_path / "x.safetensors"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError):
        load_model(path)


def test_a_damaged_prior_is_refused(make_model, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(serialise(make_model(prior_bytes=1)))
    told, tensors = opened(path)
    for wrong in (torch.tensor(3, dtype=torch.int32), torch.zeros(2, 2, dtype=torch.int32)):
        check_refused(path, told, tensors | {"prior.trunk.exponent": wrong}, "disagree")


def test_damaged_tables_are_refused(make_model, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(serialise(make_model()))
    told, tensors = opened(path)
    raw = zlib.decompress(tensors["tables"].numpy().tobytes())
    for wrong in (
        b"nothing",
        zlib.compress(raw[:-4]),
        zlib.compress(raw + bytes(4)),
        zlib.compress(raw)[:-9],
    ):
        spoiled = torch.frombuffer(bytearray(wrong), dtype=torch.uint8)
        check_refused(path, told, tensors | {"tables": spoiled}, "tables")


def test_tables_as_they_were_stored_first_are_read_still(make_model, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(serialise(make_model()))
    model = load_model(path)
    told, tensors = opened(path)
    path.write_bytes(save(tensors | {"tables": model.tables}, metadata=told))
    assert torch.equal(load_model(path).tables, model.tables)


def test_a_model_is_known_by_the_hashes_it_went_by(make_model, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(serialise(make_model(), {"formerly": ["ab" * 32]}))
    model = load_model(path)
    assert is_named(model, model.hash)
    assert is_named(model, "ab" * 16)
    assert not is_named(model, "ba" * 16)
    assert not is_named(model, "")


def test_all_shipped_weights_together_stay_small():
    assert sum(resolve(name).stat().st_size for name in list_models()) < 40_000_000


@pytest.mark.parametrize("name", list_models())
def test_shipped_models_load(name):
    model = load_any(name)
    assert model.config.name == name
