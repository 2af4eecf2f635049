"""The layer over a base of full size: vivae shows more than was coded, players show the base, and it has to pay."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.tasks.test_layered import decoded, first_shot, frames_of, write
from vivae.codec import choose, repair
from vivae.codec.choose import Setting, effort_of
from vivae.codec.layer import GAIN_UNIT, NO_MODEL, whole_layer
from vivae.codec.repair import REPAIR_FROM, Repair
from vivae.codec.shot import Base, decode_shot, encode_shot, fitted, products_of
from vivae.errors import ModelMismatch
from vivae.measure.quality import compare_clips
from vivae.media.av1 import Av1Settings
from vivae.tasks.compress import compress
from vivae.tasks.decompress import decompress, enhancers
from vivae.tasks.info import info
from vivae.vae.enhancer import Enhancer, EnhancerConfig
from vivae.vae.zoo import load_enhancer, serialise


@pytest.fixture
def cheap(monkeypatch):
    """Records that weigh nothing: so small a clip would seldom be worth one."""
    monkeypatch.setattr(repair, "SLOPE", 0.0)


@pytest.fixture(scope="module")
def coarse(two_shots, tmp_path_factory):
    """A shot, coded coarsely at full size."""
    shot, walk = first_shot(two_shots, tmp_path_factory.mktemp("coarse"))
    yield shot, encode_shot(shot, Base(Av1Settings(50, 9)), None, threads=1)
    walk.close()


@pytest.mark.parametrize("options", [{"speed": 4}, {"speed": 9, "tune": "psnr"}])
def test_vivae_comes_nearer_and_players_show_the_base(two_shots, tmp_path, cheap, options):
    told = compress(two_shots, tmp_path / "a.mp4", quality=25, **options)
    kinds = [
        shot["enhancement"] and shot["enhancement"]["kind"] for shot in info(tmp_path / "a.mp4")["shots"]
    ]
    assert "repair" in kinds
    decompress(tmp_path / "a.mp4", tmp_path / "a.y4m")
    source = frames_of(two_shots)
    shown, seen = (
        compare_clips(source, frames_of(tmp_path / name))[0].psnr_yuv for name in ("a.mp4", "a.y4m")
    )
    assert seen > shown + 0.02
    assert told["frames"] == 36
    assert 0 < told["enhanced_frames"] <= 36


def test_what_a_shot_shows_is_what_was_judged(coarse, tmp_path, cheap):
    shot, plain = coarse
    model = load_enhancer("repair")
    coded = Repair(model).given(shot, plain, threads=1)
    assert coded.units == plain.units
    assert coded.layer.kind == "repair"
    write(tmp_path / "a.mp4", shot, coded)
    seen = list(decode_shot(coded, model, threads=1))
    for frame, planes in zip(decoded(tmp_path / "a.mp4"), seen, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frame.planes, planes, strict=True))


@pytest.mark.parametrize("why", ["fine", "enhanced already", "not worth its record", "it has nothing to say"])
def test_a_shot_stays_as_it_is(coarse, why, monkeypatch):
    shot, coded = coarse
    model = load_enhancer("repair")
    if why == "fine":
        coded = replace(coded, base=Base(Av1Settings(REPAIR_FROM - 1, 9)))
    elif why == "enhanced already":
        coded = encode_shot(shot, Base(Av1Settings(40, 9), 2.0), None, threads=1)
    elif why == "not worth its record":
        monkeypatch.setattr(repair, "SLOPE", 100.0)
    else:
        model = Enhancer(EnhancerConfig(name="dumb", widths=(8, 8), attributes=("quantiser",)))
    assert Repair(model).given(shot, coded, threads=1) is coded


def test_the_layer_is_one_of_the_choices(coarse, monkeypatch):
    """What repair brings to full size is weighed against what a smaller base brings."""
    shot, _ = coarse
    model, effort = load_enhancer("upscale"), effort_of(8)
    monkeypatch.setattr(choose, "SMALLEST_BASE", 8)
    monkeypatch.setattr(choose, "quality_of", lambda shot, coded, *_, **__: 36.0 if coded.layer else 30.0)

    class Sure(Repair):
        def worth(self, shot, coded, threads):
            if coded.layer is not None:
                return coded, 0.0
            return replace(coded, layer=whole_layer(shot.picture, 50, self.model.hash, "repair")), 20.0

    def kind(effort):
        return choose.best_coding(shot, Setting(50, planned=False), effort, model, threads=1).layer.kind

    assert kind(effort) == "upscale"
    assert kind(replace(effort, repair=Sure(model))) == "repair"


@pytest.mark.parametrize(("scene", "tried"), [(None, False), ((24, 40), True)])
def test_only_a_camera_s_own_model_is_asked_where_there_is_no_hope(coarse, monkeypatch, scene, tried):
    shot, plain = coarse
    model = SimpleNamespace(config=SimpleNamespace(scene_size=scene))
    asked = []
    monkeypatch.setattr(choose, "quality_of", lambda shot, coded, *_, **__: 20.0)
    monkeypatch.setattr(
        choose, "with_layer", lambda shot, coded, *_, **__: asked.append(coded) or (coded, 30.0)
    )
    other = encode_shot(shot, replace(plain.base, shrink=2.0), None, threads=1)
    curve = choose.Curve(plain.bits, 40.0, 5.0)
    chosen = choose._best_size(shot, plain, [other], curve, effort_of(8), model, 1)
    assert bool(asked) == tried
    assert chosen == (other.base if tried else plain.base)


def test_gains_leave_the_least_error(coarse):
    shot, plain = coarse
    model = load_enhancer("repair")
    coded = encode_shot(shot, replace(plain.base, enhance=True), model, threads=1)
    whole = replace(coded.layer, gain_y=GAIN_UNIT, gain_u=GAIN_UNIT, gain_v=GAIN_UNIT)
    products = products_of(shot, coded.units, whole, model, 1)
    energy, agreement, error = products.sum(0).T

    def left(layer):
        gains = np.array(layer.gains)
        return error - 2 * gains * agreement + gains**2 * energy

    best = left(fitted(coded.layer, products))
    for change in (-1, 1):
        other = replace(coded.layer, gain_y=max(0, coded.layer.gain_y + change))
        assert best[0] <= left(other)[0]


def test_a_file_with_an_own_up_scaler_is_repaired_by_the_shipped_model(coarse, tmp_path, cheap):
    shot, plain = coarse
    own = tmp_path / "own.safetensors"
    torch.manual_seed(0)
    own.write_bytes(serialise(Enhancer(EnhancerConfig(name="own", widths=(8, 8))), {}))
    write(tmp_path / "a.mp4", shot, Repair(load_enhancer("repair")).given(shot, plain, threads=1))
    assert len(decoded(tmp_path / "a.mp4", model=own)) == len(shot)
    with pytest.raises(ModelMismatch, match="none of the shipped ones and not"):
        enhancers(own)(NO_MODEL)


@pytest.mark.parametrize(
    "options", [{"speed": 5}, {"speed": 4, "tune": "perceptual"}, {"speed": 4, "grain": True}]
)
def test_not_in_a_hurry_nor_where_pictures_are_made_in_another_way(two_shots, tmp_path, cheap, options):
    compress(two_shots, tmp_path / "a.mp4", quality=25, end=0.8, **options)
    kinds = [
        shot["enhancement"] and shot["enhancement"]["kind"] for shot in info(tmp_path / "a.mp4")["shots"]
    ]
    assert "repair" not in kinds
