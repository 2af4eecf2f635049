"""Our figures against those of scikit-image and torchmetrics, and against what must hold by definition."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from vivae.measure import quality
from vivae.media import ColorInfo, Frame, Planes, open_video


@pytest.fixture(scope="module")
def frames(bikes) -> list[Frame]:
    with open_video(bikes, end=0.32) as reader:
        return list(reader)


def noisy(plane: NDArray[np.uint8], sigma: float, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, sigma, plane.shape)
    return np.clip(plane + noise, 0, 255).round().astype(np.uint8)


def spoiled(frame: Frame, sigma: float, seed: int = 0) -> Frame:
    planes: Planes = tuple(noisy(plane, sigma, seed) for plane in frame.planes)  # type: ignore[assignment]
    return Frame(*planes, frame.time, frame.duration, frame.color)


def gray(y: NDArray[np.uint8]) -> Frame:
    half = np.full((-(-y.shape[0] // 2), -(-y.shape[1] // 2)), 128, np.uint8)
    return Frame(y, half, half, Fraction(0), Fraction(1, 25), ColorInfo())


@pytest.mark.parametrize("sigma", [1.0, 6.0, 40.0])
def test_agrees_with_scikit_image(frames: list[Frame], sigma: float) -> None:
    y = frames[0].y
    other = noisy(y, sigma)
    assert quality.psnr(y, other) == pytest.approx(peak_signal_noise_ratio(y, other), abs=1e-6)
    expected = structural_similarity(
        y, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert quality.structural_similarity(y, other)[0] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("sigma", [2.0, 20.0])
def test_agrees_with_torchmetrics(frames: list[Frame], sigma: float) -> None:
    y = frames[0].y
    other = noisy(y, sigma)
    pair = [torch.from_numpy(plane)[None, None].double() for plane in (other, y)]
    expected = multiscale_structural_similarity_index_measure(*pair, data_range=255.0, normalize="relu")
    # On the coarsest scale torchmetrics lets the window look beyond the picture; the paper does not.
    assert quality.structural_similarity(y, other)[1] == pytest.approx(float(expected), abs=5e-4)


def test_identical_frames_have_the_cap_and_no_flicker(frames: list[Frame]) -> None:
    clip, each = quality.compare_clips(frames, frames)
    assert clip.psnr_yuv == quality.PSNR_CAP
    assert clip.ssim == pytest.approx(1, abs=1e-6)
    assert clip.ms_ssim == pytest.approx(1, abs=1e-6)
    assert clip.flicker == 0
    assert clip.frames == len(each) == len(frames)


def test_more_noise_is_worse_in_every_figure(frames: list[Frame]) -> None:
    a, b = (quality.compare(frames[0], spoiled(frames[0], sigma)) for sigma in (3.0, 9.0))
    for name in ("psnr_y", "psnr_u", "psnr_v", "psnr_yuv", "ssim", "ms_ssim"):
        assert getattr(a, name) > getattr(b, name)


def test_psnr_yuv_weighs_luma_six_times() -> None:
    assert quality.psnr_yuv(40, 32, 48) == 40
    assert quality.psnr_yuv(48, 40, 40) == 46


def test_the_clip_has_the_mean_of_its_frames(frames: list[Frame]) -> None:
    others = [spoiled(frame, 2.0 + index, index) for index, frame in enumerate(frames)]
    clip, each = quality.compare_clips(frames, others)
    for name in ("psnr_y", "psnr_yuv", "ssim", "ms_ssim"):
        assert getattr(clip, name) == pytest.approx(np.mean([getattr(item, name) for item in each]))


def test_flicker_sees_changing_error_and_not_steady_error() -> None:
    base = np.full((32, 48), 100, np.uint8)
    steady = quality.ClipMeter()
    blinking = quality.ClipMeter()
    for index in range(6):
        steady.push(gray(base), gray(base + 7))
        blinking.push(gray(base), gray(base + 4 * (index % 2)))
    assert steady.result().flicker == 0
    assert blinking.result().flicker == 4


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 40), (11, 11), (23, 30), (145, 177)])
def test_any_size_has_figures_in_their_range(size: tuple[int, int]) -> None:
    y = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    found = quality.compare(gray(y), gray(255 - y))
    assert -1 <= found.ssim <= 1
    assert 0 <= found.ms_ssim <= 1
    assert np.isfinite(found.psnr_yuv)


def test_frames_of_different_size_are_refused(frames: list[Frame]) -> None:
    with pytest.raises(ValueError, match="compared"):
        quality.compare(frames[0], gray(frames[0].y[:-2]))
    with pytest.raises(ValueError, match="shorter"):
        quality.compare_clips(frames, frames[:-1])


def test_seam_ratio_is_one_without_seams_and_grows_with_them() -> None:
    whole = np.random.default_rng(3).uniform(1, 9, 24)
    assert quality.seam_ratio(whole, whole, 8) == pytest.approx(1)
    assert quality.seam_ratio(whole * 1.3, whole, 8) == pytest.approx(1)
    seamed = whole.copy()
    seamed[[7, 8, 15, 16]] *= 1.5
    assert quality.seam_ratio(seamed, whole, 8) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="chunks"):
        quality.seam_ratio(whole, whole, 24)


def test_drift_counts_against_the_first_clip(frames: list[Frame]) -> None:
    steady = quality.drift(frames[:2], lambda clip: [spoiled(frame, 0) for frame in clip], trips=3)
    assert steady == [quality.PSNR_CAP] * 3
    rotting = quality.drift(frames[:2], lambda clip: [spoiled(frame, 3, 5) for frame in clip], trips=4)
    assert sorted(rotting, reverse=True) == rotting
    assert rotting[-1] < rotting[0]
