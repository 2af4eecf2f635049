"""--tune perceptual: an ordinary file that vivae shows with texture, and that says what this costs."""

from fractions import Fraction

import numpy as np
import pytest

from tests.tasks.test_layered import assert_same, frames_of
from vivae.codec import texture
from vivae.codec.layer import Layer, read_layer, write_layer
from vivae.codec.shot import Base, Coded
from vivae.codec.texture import TEXTURE_FROM, textured
from vivae.errors import InputError, ModelMismatch
from vivae.measure.quality import compare_clips
from vivae.media import ColorInfo, Picture
from vivae.media.av1 import Av1Settings
from vivae.tasks.compress import compress
from vivae.tasks.decompress import decompress
from vivae.tasks.info import info
from vivae.vae.enhancer import Enhancer
from vivae.vae.zoo import load_enhancer, serialise


@pytest.fixture(scope="module")
def tuned(two_shots, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    options = {"quality": 25, "speed": 9}
    plain = compress(two_shots, folder / "plain.mp4", **options)
    told = compress(two_shots, folder / "tuned.mp4", tune="perceptual", **options)
    decompress(folder / "tuned.mp4", folder / "tuned.y4m")
    return folder, plain, told


def test_players_show_the_same_pictures(tuned):
    folder, plain, told = tuned
    assert_same(frames_of(folder / "tuned.mp4"), frames_of(folder / "plain.mp4"))
    # A record a shot is all that it costs.
    assert 0 < told["size_bytes"] - plain["size_bytes"] < 2 * 80


def test_vivae_shows_others_and_says_what_they_cost(tuned, two_shots):
    folder, plain, told = tuned
    source, seen = frames_of(two_shots), frames_of(folder / "tuned.y4m")
    assert any((a.y != b.y).any() for a, b in zip(seen, frames_of(folder / "plain.mp4"), strict=True))
    without, _ = compare_clips(source, frames_of(folder / "plain.mp4"))
    quality, _ = compare_clips(source, seen)
    assert told["psnr_yuv_plain"] == pytest.approx(without.psnr_yuv, abs=0.01)
    # It is found on the middle of a shot, with the enhancer starting there.
    assert told["psnr_yuv"] == pytest.approx(quality.psnr_yuv, abs=0.3)
    assert "psnr_yuv" not in plain


def test_info_tells_of_it(tuned):
    folder, _, told = tuned
    kinds = [shot["enhancement"]["kind"] for shot in info(folder / "tuned.mp4")["shots"]]
    assert kinds == ["texture", "texture"]
    assert told["model"] == "texture"


def test_a_shot_that_texture_takes_too_much_from_stays_as_it_is(two_shots, tmp_path, monkeypatch):
    monkeypatch.setattr(texture, "LARGEST_LOSS", -50.0)
    options = {"quality": 25, "speed": 9, "end": 0.8}
    told = compress(two_shots, tmp_path / "tuned.mp4", tune="perceptual", **options)
    plain = compress(two_shots, tmp_path / "plain.mp4", **options)
    assert told["psnr_yuv"] == told["psnr_yuv_plain"] > 20
    assert told["size_bytes"] == plain["size_bytes"]
    decompress(tmp_path / "tuned.mp4", tmp_path / "tuned.y4m")
    assert_same(frames_of(tmp_path / "tuned.y4m"), frames_of(tmp_path / "tuned.mp4"))


def test_fine_shots_stay_as_they_are():
    class Small:
        picture = Picture(64, 48, Fraction(25), ColorInfo.guess(48))

    model = load_enhancer("texture")
    for crf, changed in ((TEXTURE_FROM - 1, False), (TEXTURE_FROM, True)):
        coded = Coded(Base(Av1Settings(crf)), ())
        assert (textured(Small(), coded, model) is not coded) == changed
    layer = textured(Small(), Coded(Base(Av1Settings(20.0), 2.0), ()), model).layer
    assert (layer.kind, layer.width, layer.height, layer.gains) == ("texture", 64, 48, (1.0, 1.0, 1.0))
    assert read_layer(write_layer(layer), "a file") == layer
    assert isinstance(layer, Layer)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"tune": "vmaf"}, "perceptual"),
        ({"tune": "perceptual", "grain": True}, "grain"),
        ({"tune": "psnr", "grain": True}, "grain"),
        ({"tune": "perceptual", "model": "denoise"}, "texture"),
    ],
)
def test_what_does_not_go_together_is_refused(two_shots, tmp_path, options, what):
    with pytest.raises(InputError, match=what):
        compress(two_shots, tmp_path / "a.mp4", **options)
    assert not [*tmp_path.iterdir()]


def test_the_latent_codec_has_no_tune(two_shots, tmp_path):
    with pytest.raises(InputError, match="tune"):
        compress(two_shots, tmp_path / "a.vva", tune="perceptual")


def test_texture_is_restrained(tuned, two_shots):
    """What is made up stays near what was decoded: no pixel is far off, and the mean brightness is kept."""
    folder, _, _ = tuned
    pairs = zip(frames_of(folder / "tuned.y4m"), frames_of(folder / "plain.mp4"), strict=True)
    differences = np.array([a.y.astype(float) - b.y for a, b in pairs])
    assert abs(differences.mean()) < 1
    assert np.abs(differences).mean() < 6


def test_a_model_of_ones_own_gives_texture(two_shots, tmp_path):
    shipped = load_enhancer("texture")
    own = Enhancer(shipped.config.model_copy(update={"name": "mine"}))
    own.load_state_dict(shipped.state_dict())
    path = tmp_path / "mine.safetensors"
    path.write_bytes(serialise(own, {}))
    options = {"quality": 20, "speed": 9, "end": 0.5, "tune": "perceptual", "model": path}
    told = compress(two_shots, tmp_path / "a.mp4", **options)
    assert told["model"] == "mine"
    assert decompress(tmp_path / "a.mp4", tmp_path / "a.y4m", model=path)["frames"] == told["frames"]
    with pytest.raises(ModelMismatch):
        decompress(tmp_path / "a.mp4", tmp_path / "b.y4m")
