"""Peers' networks read from TensorFlow graphs, and the warping error."""

import numpy as np
import pytest
import torch
from tensorboard.compat.proto.graph_pb2 import GraphDef

from vivae.errors import InputError
from vivae.measure.steadiness import warping_errors
from vivae.measure.superres import GraphNet, scaled_up


def constant(graph, name, values):
    node = graph.node.add(name=name, op="Const")
    tensor = node.attr["value"].tensor
    tensor.dtype = 1
    for side in values.shape:
        tensor.tensor_shape.dim.add(size=side)
    tensor.tensor_content = values.astype(np.float32).tobytes()


@pytest.fixture
def repeating(tmp_path):
    """A graph that repeats every sample four times."""
    graph = GraphDef()
    graph.node.add(name="in", op="Placeholder")
    constant(graph, "weight", np.ones((1, 1, 1, 4)))
    constant(graph, "bias", np.zeros(4))
    graph.node.add(name="conv", op="Conv2D", input=["in", "weight"])
    graph.node.add(name="sum", op="BiasAdd", input=["conv", "bias"])
    graph.node.add(name="out", op="DepthToSpace", input=["sum"]).attr["block_size"].i = 2
    path = tmp_path / "net.pb"
    path.write_bytes(graph.SerializeToString())
    return path


def test_a_graph_runs(repeating):
    luma = torch.rand(1, 1, 3, 5)
    out = GraphNet(repeating)(luma)
    assert torch.equal(out, luma.repeat_interleave(2, 2).repeat_interleave(2, 3))
    y = np.random.default_rng(0).integers(16, 236, (6, 8), np.uint8)
    grey = np.full((3, 4), 128, np.uint8)
    up = scaled_up(GraphNet(repeating), (y, grey, grey), 2)
    assert np.array_equal(up[0], y.repeat(2, 0).repeat(2, 1))
    assert up[1].shape == (6, 8)


def test_a_missing_graph_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.pb"):
        GraphNet(tmp_path / "none.pb")


def test_flicker_raises_the_warping_error():
    rng = np.random.default_rng(0)
    texture = np.repeat(rng.integers(40, 200, (96, 128, 1), np.uint8), 3, 2)
    moving = [np.ascontiguousarray(np.roll(texture, 2 * step, 1)) for step in range(4)]
    flickering = [picture + np.uint8(10 * (step % 2)) for step, picture in enumerate(moving)]
    own, worse = warping_errors(moving, flickering)
    assert worse > own + 25
