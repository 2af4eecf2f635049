"""Stylising brings a shot to the style's colours, steadily, and leaves alone what it was told to."""

import cv2
import numpy as np
import pytest

from vivae.errors import InputError, OutputError
from vivae.media import Frame, open_video, probe
from vivae.tasks.stylize import stylize, watched
from vivae.vae.zoo import styles


def frames_of(path, **span):
    with open_video(path, **span) as reader:
        return list(reader)


def picture(path, tint):
    """A smooth picture around one colour (B, G, R)."""
    ramp = np.linspace(-60, 60, 64)[None, :, None]
    cv2.imwrite(str(path), np.clip(np.full((48, 64, 3), tint, float) + ramp, 0, 255).astype(np.uint8))
    return path


@pytest.fixture
def blue(tmp_path):
    return picture(tmp_path / "blue.png", (170, 100, 60))


@pytest.fixture
def red(tmp_path):
    return picture(tmp_path / "red.png", (60, 90, 180))


def tint_of(frames):
    return np.mean([[frame.u.mean(), frame.v.mean()] for frame in frames], 0)


def styled(src, tmp_path, style, **options):
    stylize(src, tmp_path / "out.mkv", style=style, codec="ffv1", end=0.2, force=True, **options)
    return frames_of(tmp_path / "out.mkv")


def test_colours_become_those_of_the_style(bikes, blue, tmp_path):
    goal = tint_of([Frame.from_rgb(cv2.imread(str(blue))[..., ::-1].copy(), probe(bikes).color)])
    before = tint_of(frames_of(bikes, end=0.2))
    after = tint_of(styled(bikes, tmp_path, blue))
    assert np.abs(after - goal).sum() < 0.2 * np.abs(before - goal).sum()


def test_strength_leads_from_the_source_to_the_style(bikes, blue, tmp_path):
    source = frames_of(bikes, end=0.2)
    untouched = styled(bikes, tmp_path, blue, strength=0)
    for old, new in zip(source, untouched, strict=True):
        assert max(np.abs(a.astype(int) - b).max() for a, b in zip(old.planes, new.planes, strict=True)) <= 1
    cast = [tint_of(styled(bikes, tmp_path, blue, strength=strength))[0] for strength in (0, 0.5, 1)]
    assert cast[0] < cast[1] < cast[2]
    assert cast[1] == pytest.approx((cast[0] + cast[2]) / 2, abs=2)


def test_styles_are_mixed_by_weight(bikes, blue, red, tmp_path):
    low, high = (tint_of(styled(bikes, tmp_path, style))[0] for style in (red, blue))
    mostly_red = tint_of(styled(bikes, tmp_path, [(red, 3.0), f"{blue}=1"]))[0]
    assert low < mostly_red < (low + high) / 2


def test_only_the_mask_is_styled(bikes, blue, tmp_path):
    mask = np.zeros((272, 640), np.uint8)
    mask[:, :320] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    source = frames_of(bikes, end=0.2)
    inside = styled(bikes, tmp_path, blue, mask=tmp_path / "mask.png")
    outside = styled(bikes, tmp_path, blue, mask=tmp_path / "mask.png", invert_mask=True)
    assert np.array_equal(inside[2].u[:, 170:], source[2].u[:, 170:])
    assert np.array_equal(outside[2].u[:, :150], source[2].u[:, :150])
    assert inside[2].u[:, :150].mean() > source[2].u[:, :150].mean() + 5


def test_equal_frames_stay_equal(bikes, blue, tmp_path):
    """One map for a shot: what the source repeats is repeated."""
    frame = frames_of(bikes, end=0.04)[0]
    cv2.imwrite(str(tmp_path / "in000.png"), frame.to_rgb()[..., ::-1])
    for index in (1, 2):
        (tmp_path / f"in00{index}.png").write_bytes((tmp_path / "in000.png").read_bytes())
    stylize(tmp_path / "in%03d.png", tmp_path / "out.mkv", style=blue, codec="ffv1")
    first, *others = frames_of(tmp_path / "out.mkv")
    assert all(np.array_equal(first.y, other.y) and np.array_equal(first.u, other.u) for other in others)


def test_shots_are_those_of_the_cuts(bikes, bunny):
    street, meadow = frames_of(bikes, end=0.32), frames_of(bunny, start=2, end=2.32)
    masks = iter([None] * 16)
    assert [shot.frames for shot in watched(iter(street + meadow), masks)] == [8, 8]


def test_strokes_change_texture_and_not_the_colours(bikes, blue, tmp_path):
    plain, painted = (styled(bikes, tmp_path, blue, mode=mode) for mode in ("photo", "art"))
    assert np.abs(tint_of(plain) - tint_of(painted)).max() < 3
    changed = np.abs(plain[2].y.astype(int) - painted[2].y)
    assert changed.mean() > 4
    # The same clip gives the same strokes.
    again = styled(bikes, tmp_path, blue, mode="art")
    assert all(np.array_equal(a.y, b.y) for a, b in zip(painted, again, strict=True))


def test_strokes_stay_where_nothing_moves(bikes, blue, tmp_path):
    still = frames_of(bikes, end=0.04)[0].to_rgb()[..., ::-1]
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"in{index:03}.png"), still)
    stylize(tmp_path / "in%03d.png", tmp_path / "out.mkv", style=blue, mode="art", codec="ffv1")
    *_, before, last = frames_of(tmp_path / "out.mkv")
    assert np.abs(before.y.astype(int) - last.y).mean() < 1


def test_shipped_pictures_are_styles(bikes, tmp_path):
    assert {"starry", "wave"} <= set(styles())
    assert len(styled(bikes, tmp_path, ["starry", "wave=0.5"])) == 5


def test_sound_and_times_are_kept(bunny, blue, tmp_path):
    stylize(bunny, tmp_path / "out.mp4", style=blue, end=0.2, crf=60)
    assert [track.codec for track in probe(tmp_path / "out.mp4").audio] == ["aac"]
    times = [[frame.time for frame in frames_of(path, end=0.2)] for path in (bunny, tmp_path / "out.mp4")]
    assert times[0] == times[1]


def test_bad_input_is_refused_and_leaves_nothing(bikes, blue, tmp_path):
    out = tmp_path / "out.mkv"
    cases = [
        (InputError, {"style": tmp_path / "none.png"}),
        (InputError, {"style": []}),
        (InputError, {"style": f"{blue}=-1"}),
        (InputError, {"style": blue, "strength": 1.5}),
        (InputError, {"style": blue, "mode": "sepia"}),
    ]
    for error, options in cases:
        with pytest.raises(error):
            stylize(bikes, out, **options)
    with pytest.raises(OutputError):
        stylize(bikes, blue, style=blue, force=True)
    cv2.imwrite(str(tmp_path / "m000.png"), np.full((272, 640), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "m001.png"), np.full((272, 640), 255, np.uint8))
    with pytest.raises(InputError, match="2 masks"):
        stylize(bikes, out, style=blue, mask=tmp_path / "m%03d.png", end=0.2)
    assert not out.exists()
