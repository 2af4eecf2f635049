"""RGB and back, against FFmpeg's own scale filter and against the equations of the standards."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivae.media import ColorInfo, Frame
from vivae.media.color import planes_of, recolor, video_frame

COLORS = [ColorInfo(range_, matrix) for range_ in ("limited", "full") for matrix in ("bt601", "bt709")]
WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
NAMES = {"limited": "tv", "full": "pc"}


def ffmpeg_scale(frame, out_format, **arguments):
    """What FFmpeg's own filter makes of a frame with accurate rounding and full chroma interpolation."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base,
    )
    flags = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    scale = graph.add("scale", ":".join([f"flags={flags}", *(f"{k}={v}" for k, v in arguments.items())]))
    shape = graph.add("format", out_format)
    graph.link_nodes(source, scale, shape, graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.pull()


@st.composite
def planes(draw):
    """Flat, noisy or mild 4:2:0 pictures of any size, short of the brightness at which FFmpeg itself overflows."""
    width, height = draw(st.integers(2, 40)), draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    half = (-(-height // 2), -(-width // 2))
    kind = draw(st.sampled_from(["flat", "noise", "mild"]))
    luma, chroma = {
        "flat": ((0, 225), (0, 256)),
        "noise": ((0, 200), (30, 210)),
        "mild": ((90, 160), (90, 160)),
    }[kind]

    def plane(shape, span):
        return (
            np.full(shape, rng.integers(*span), np.uint8)
            if kind == "flat"
            else rng.integers(*span, shape, np.uint8)
        )

    return plane((height, width), luma), plane(half, chroma), plane(half, chroma)


@pytest.mark.parametrize("color", COLORS, ids=str)
@settings(max_examples=60, deadline=None)
@given(yuv=planes())
def test_to_rgb_agrees_with_ffmpeg(color, yuv):
    frame = video_frame(yuv, color)
    frame.time_base = 1
    expected = ffmpeg_scale(
        frame, "rgb24", in_color_matrix=color.matrix, in_range=NAMES[color.range], out_range="pc"
    ).to_ndarray()
    ours = Frame(*yuv, time=0, duration=1, color=color).to_rgb()
    assert np.abs(ours.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("color", COLORS, ids=str)
@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    seed=st.integers(0, 2**32),
    low=st.sampled_from([0, 100]),
)
def test_from_rgb_agrees_with_ffmpeg(color, size, seed, low):
    rgb = np.random.default_rng(seed).integers(low, 256 - low, (*size, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
    frame.time_base = 1
    expected = planes_of(
        ffmpeg_scale(
            frame, "yuv420p", out_color_matrix=color.matrix, in_range="pc", out_range=NAMES[color.range]
        )
    )
    for ours, theirs in zip(Frame.from_rgb(rgb, color).planes, expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("range_", NAMES)
@given(y=st.integers(0, 255), u=st.integers(0, 255), v=st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_flat_colours_follow_the_standard_everywhere(matrix, range_, y, u, v):
    kr, kb = WEIGHTS[matrix]
    black, white, span = (0, 255, 255) if range_ == "full" else (16, 219, 224)
    luma, cb, cr = (y - black) / white, (u - 128) / span, (v - 128) / span
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    expected = np.clip(np.array([red, green, blue]) * 255, 0, 255)
    shapes = ((4, 6), (2, 3), (2, 3))
    frame = Frame(
        *(np.full(shape, value, np.uint8) for shape, value in zip(shapes, (y, u, v), strict=True)),
        time=0,
        duration=1,
        color=ColorInfo(range_, matrix),
    )
    assert np.abs(frame.to_rgb() - expected).max() <= 1


def test_saturated_blue_does_not_turn_black():
    planes = (np.full((4, 4), 235, np.uint8), np.full((2, 2), 255, np.uint8), np.full((2, 2), 128, np.uint8))
    assert (
        Frame(*planes, time=0, duration=1, color=ColorInfo("limited", "bt709")).to_rgb()[..., 2] == 255
    ).all()


@pytest.mark.parametrize("target", COLORS, ids=str)
def test_recolor_keeps_the_picture(target):
    rgb = np.random.default_rng(0).integers(80, 180, (3,), np.uint8) * np.ones((16, 16, 1), np.uint8)
    first = Frame.from_rgb(rgb, ColorInfo("limited", "bt601"))
    again = Frame(*recolor(first.planes, first.color, target), time=0, duration=1, color=target)
    assert np.abs(again.to_rgb().astype(int) - rgb).max() <= 4


def test_guess_follows_height_and_unusual_matrices_are_refused():
    assert ColorInfo.guess(576).matrix == "bt601"
    assert ColorInfo.guess(720).matrix == "bt709"
    assert ColorInfo.from_codes(2, 2, 2, 2, 480) == ColorInfo("full", "bt601")
    assert ColorInfo.from_codes(1, 9, 9, 14, 480) == ColorInfo("limited", "bt2020", 9, 14)
    assert ColorInfo.from_codes(1, 8, 2, 2, 480) is None
