"""How well the second half of a clip is told from the first: best of several draws, and their mean."""

import numpy as np
import torch
from torch import Tensor

from vivae.measure.bench import Record
from vivae.measure.clip import Progress
from vivae.measure.quality import psnr, structural_similarity
from vivae.tasks.digits import composed_clips
from vivae.train.composed import Pictures
from vivae.vae.generator import ThingsGenerator
from vivae.vae.rollout import draws_of, from_clip, rolled_out, streamed

CLIPS, DRAWS, SEED, STEPS = 24, 20, 7_000_003, 24


def future(made: ThingsGenerator, pictures: Pictures, speed: float, progress: Progress) -> Record:
    """Means over clips of PSNR (dB) and SSIM of the told half, frame by frame against what came."""
    clips = composed_clips(pictures, CLIPS, SEED, made.vae, speed)
    half = made.frames // 2
    priors = {"flow": rolled_out} | ({"state space": streamed} if made.streams else {})
    scores: dict[str, list[tuple[float, float]]] = {}
    for number, clip in enumerate(clips):
        progress("the future of clips", number / len(clips))
        true = clip[half:]
        start = from_clip(made, clip[None, :half])
        told = {
            "last frame repeated": _score(true, clip[half - 1 : half].expand(half, -1, -1)),
            "what the VAE can show": _score(true, made.decode(made.encode(clip[None]))[0, half:]),
        }
        for name, roll in priors.items():
            draws = draws_of(SEED + number, DRAWS)
            part = torch.cat(list(roll(made, start, half, draws, steps=STEPS)), 1)
            each = [_score(true, draw) for draw in part]
            told[f"{name}, one draw"] = each[0]
            told[f"{name}, mean of the draws"] = _score(true, part.mean(0))
            told[f"{name}, best of the draws"] = (max(x for x, _ in each), max(y for _, y in each))
        for name, values in told.items():
            scores.setdefault(name, []).append(values)
    found: Record = {
        name: {"psnr": float(np.mean(values, 0)[0]), "ssim": float(np.mean(values, 0)[1])}
        for name, values in scores.items()
    }
    return found | {"clips": CLIPS, "draws": DRAWS}


def _score(true: Tensor, told: Tensor) -> tuple[float, float]:
    """Mean PSNR and SSIM of 8-bit frames."""
    pairs = zip(_bytes(true), _bytes(told), strict=True)
    values = [(psnr(a, b), structural_similarity(a, b)[0]) for a, b in pairs]
    return float(np.mean(values, 0)[0]), float(np.mean(values, 0)[1])


def _bytes(clip: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.asarray((clip.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
