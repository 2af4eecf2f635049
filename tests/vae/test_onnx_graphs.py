"""ONNX graphs of a model give what torch gives, step after step, whatever the model's shape."""

import json

import onnx
import pytest
import torch

from tests.vae.conftest import SMALL, randomised
from vivae.errors import InputError
from vivae.vae.config import VAEConfig
from vivae.vae.onnx_graphs import GRAPHS, Session, onnx_bytes
from vivae.vae.onnx_runtime import OnnxVAE, in_runtime
from vivae.vae.zoo import load_model

SHAPES = {
    "usual": {},
    "gaussian": {"posterior": "gaussian"},
    "two frames a latent": {"temporal_stride": 2},
    "gray": {"colour": "gray"},
    "conditional": {"condition_channels": 3},
    "single pictures": {"still": True},
    "one level": {"stride": 4, "widths": (8,), "encoder_depths": (1,), "decoder_depths": (1,)},
}


def made(changes):
    return randomised(VAEConfig.model_validate(SMALL | {"name": "small"} | changes))


@torch.no_grad()
@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES.keys())
def test_a_stream_through_the_graphs_is_that_of_torch(changes):
    model = made(changes)
    config = model.config
    encoder, decoder, prior = (Session(onnx_bytes(model, part)) for part in GRAPHS)
    fold = config.stride // 4
    h, w = 3 * fold, 5 * fold
    ours = theirs = model.initial_state(2, h, w)
    for step in range(3):
        torch.manual_seed(step)
        x, quality = torch.rand(2, config.picture_channels, h, w), torch.rand(2)
        condition = torch.rand(2, 3, h, w) if config.condition_channels else None
        given = {"quality": quality, "condition": condition}
        mean, deviation = model.encode(x, ours, quality, condition)
        found, *rest = encoder(x=x, picture=theirs.picture, memory=theirs.memory, **given)
        torch.testing.assert_close(found, mean, atol=1e-4, rtol=0)
        if deviation is not None:
            torch.testing.assert_close(rest[0], deviation, atol=1e-4, rtol=0)
        symbols = model.quantise(mean, quality)
        context = model.expect(ours, quality, condition)
        expected = model.prior.expect(context, symbols)
        location, scale, fresh = prior(
            symbols=symbols, last_symbols=theirs.symbols, context=theirs.context, **given
        )
        assert torch.equal(location, expected.mean)
        assert torch.equal(fresh, context)
        torch.testing.assert_close(scale, expected.scale, atol=0, rtol=1e-5)
        picture, ours = model.decode(symbols, ours, quality, condition)
        shown, memory = decoder(latent=symbols, picture=theirs.picture, memory=theirs.memory, **given)
        torch.testing.assert_close(shown, picture, atol=1e-4, rtol=0)
        ours = model.remember(ours, symbols, context)
        if not config.still:
            theirs = theirs._replace(picture=shown, memory=memory, symbols=symbols, context=fresh)


def test_a_graph_says_what_it_is_of(tmp_path):
    model = load_model("base")
    graph = onnx.load_model_from_string(onnx_bytes(model, "decoder"))
    told = {entry.key: entry.value for entry in graph.metadata_props}
    assert (told["model"], told["part"], told["sha256"]) == ("base", "decoder", model.hash)
    assert VAEConfig.model_validate(json.loads(told["config"])) == model.config
    assert [node.name for node in graph.graph.input] == ["latent", "picture", "memory", "quality"]


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"posterior": "gaussian"}], ids=["uniform", "gaussian"])
def test_the_runtime_serves_as_the_model_does(changes):
    model = made(changes)
    fast = OnnxVAE(model)
    state, quality = model.initial_state(1, 8, 12), torch.tensor([0.9])
    x = torch.rand(1, 24, 8, 12)
    latent, other = (each.find_latent(x, state, quality) for each in (model, fast))
    torch.testing.assert_close(latent, other, atol=1e-4, rtol=0)
    assert fast.hash == model.hash
    assert fast.config == model.config


def test_an_unknown_runtime_is_refused():
    with pytest.raises(InputError, match="torch or onnx"):
        in_runtime(made({}), "abacus")
