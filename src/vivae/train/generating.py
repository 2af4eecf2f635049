"""What teaching a generator needs: its data, composed or from footage, and its lesson."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.errors import InputError
from vivae.train.composed import Composer, Pictures, read_pictures
from vivae.train.dataset import Passage, check_usable
from vivae.train.generate_lesson import Drawn, GenerateLesson
from vivae.train.recipe import GenerateStage, GeneratorRecipe, Stage
from vivae.train.sampler import check_batch, mirrored
from vivae.vae.generator import WindowGenerator, new_generator
from vivae.vae.linear import LinearConfig
from vivae.vae.things import ThingsConfig
from vivae.vae.window import WindowConfig, WindowVAE
from vivae.vae.zoo import load_generator

TEST_BATCHES = 4
TEST_SEED = 1_000_003
"""Far from any seed of a training, so that what is tested was not seen."""


def split_pictures(recipe: GeneratorRecipe, data: Path) -> tuple[Pictures, Pictures]:
    """The pictures to train on and to test on."""
    assert recipe.composed is not None
    assert isinstance(recipe.model.vae, ThingsConfig)
    pictures = read_pictures(data, recipe.model.vae.box)
    count = len(pictures.images)
    first = recipe.composed.train_pictures or round(count * (1 - recipe.data.test_share))
    if not 0 < first < count:
        raise InputError(f"{data} holds {count} pictures: {first} to train on leave none, or none to test on")
    return pictures.part(0, first), pictures.part(first, count)


def composed_lesson(
    recipe: GeneratorRecipe, pictures: tuple[Pictures, Pictures], share: dict[str, int]
) -> tuple[GenerateLesson, Callable[[Stage], Callable[[int], Drawn]]]:
    """The lesson of a generator of things, and its batches."""
    own, composed = recipe.model.vae, recipe.composed
    assert isinstance(own, ThingsConfig)
    assert composed is not None

    def batches(stage: Stage, chosen: Pictures, workers: dict[str, int]) -> Callable[[int], Drawn]:
        assert isinstance(stage, GenerateStage)
        composer = Composer(
            chosen,
            things=own.things,
            frames=own.frames,
            side=own.side,
            speed=composed.speed,
            batch=stage.batch,
            shown=stage.frames,
            **workers,
        )
        return lambda step: Drawn(stage.part, composer(step))

    train, test = pictures
    windows = [
        batches(stage, test, {"seed": TEST_SEED})(number)
        for stage in recipe.stages
        for number in range(TEST_BATCHES)
    ]
    return _lesson(recipe, windows), lambda stage: batches(stage, train, share)


class WindowSampler:
    """sampler(step) -> `Drawn` windows from the middle of frames; a pure function of seed, step and process."""

    def __init__(
        self,
        passages: Sequence[Passage],
        recipe: GeneratorRecipe,
        stage: GenerateStage,
        share: dict[str, int],
    ):
        assert not isinstance(recipe.model.vae, ThingsConfig)
        check_batch(stage, share["world"])
        self.config, self.data, self.stage = recipe.model.vae, recipe.data, stage
        self.span = (self.config.frames - 1) * self.config.step + 1
        self.passages = check_usable(list(passages), self.span)
        chances = np.array([len(passage) - self.span + 1 for passage in self.passages], float)
        self.chances = chances / chances.sum()
        self.seed, self.rank, self.world = share["seed"], share["rank"], share["world"]

    def __call__(self, step: int) -> Drawn:
        share = self.stage.batch // self.world
        drawn = range(self.rank * share, (self.rank + 1) * share)
        windows = [self._draw(np.random.default_rng((self.seed, step, index))) for index in drawn]
        return Drawn(self.stage.part, torch.stack(windows))

    def _draw(self, rng: np.random.Generator) -> Tensor:
        passage = self.passages[rng.choice(len(self.passages), p=self.chances)]
        first = int(rng.integers(len(passage) - self.span + 1))
        clip = centred(passage.frames[first : first + self.span : self.config.step], self.config)
        if self.data.flip and rng.random() < 0.5:
            clip = mirrored(clip)
        if self.data.reverse and rng.random() < 0.5:
            clip = clip[::-1]
        return torch.from_numpy(np.ascontiguousarray(clip)).float() / 255


def centred(frames: NDArray[np.uint8], config: WindowConfig | LinearConfig) -> NDArray[np.uint8]:
    """The middle of packed frames (T, 24, h, w), as large as the model's. Raises InputError for smaller ones."""
    rows, columns = config.height // 4, config.width // 4
    if frames.shape[2] < rows or frames.shape[3] < columns:
        raise InputError(
            f"frames of {4 * frames.shape[3]}x{4 * frames.shape[2]} are smaller than the model's "
            f"{config.width}x{config.height}: raise data.resize, or choose a smaller model"
        )
    top, left = (frames.shape[2] - rows) // 2, (frames.shape[3] - columns) // 2
    return np.asarray(frames[:, :, top : top + rows, left : left + columns])


def window_lesson(
    recipe: GeneratorRecipe, passages: tuple[list[Passage], list[Passage]], share: dict[str, int]
) -> tuple[GenerateLesson, Callable[[Stage], Callable[[int], Drawn]]]:
    """The lesson of a generator of footage, and its batches."""
    train, test = passages
    alone = {"seed": TEST_SEED, "rank": 0, "world": 1}
    windows = [
        WindowSampler(test, recipe, stage, alone)(number)
        for stage in recipe.stages
        for number in range(TEST_BATCHES)
    ]

    def batches(stage: Stage) -> WindowSampler:
        assert isinstance(stage, GenerateStage)
        return WindowSampler(train, recipe, stage, share)

    lesson = _lesson(recipe, windows)
    generator = lesson.taught.model
    assert isinstance(generator, WindowGenerator)
    if recipe.start_from is None and isinstance(generator.vae, WindowVAE):
        generator.vae.set_scene(_mean_frame(batches(recipe.stages[0])))
    return lesson, batches


def _mean_frame(sampler: WindowSampler) -> Tensor:
    """(24, h, w) in [0, 1], over some windows."""
    clips = [sampler(number).clips for number in range(8)]
    return torch.cat([clip.flatten(0, 1) for clip in clips if isinstance(clip, Tensor)]).mean(0)


def _lesson(recipe: GeneratorRecipe, windows: list[Drawn]) -> GenerateLesson:
    generator = new_generator(recipe.model)
    if recipe.start_from is not None:
        start = load_generator(recipe.start_from)
        apart = {"name", "states"}  # a state space can be taught to what has none
        if start.config.model_dump(exclude=apart) != recipe.model.model_dump(exclude=apart):
            raise InputError(
                f"{recipe.start_from} has another shape than the recipe's model: use its settings"
            )
        own = generator.state_dict()
        taken = {
            name: value
            for name, value in start.state_dict().items()
            if name in own and own[name].shape == value.shape
        }
        generator.load_state_dict(own | taken)
    return GenerateLesson(recipe, generator, windows)
