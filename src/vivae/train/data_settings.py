"""What of a recipe says which pictures a model sees, and how they are spoiled for enhancers to learn from."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Downscale = Annotated[float, Field(ge=1, le=16)]
CodedBy = Literal["av1", "h264", "hevc", "mpeg2video", "mpeg4", "mjpeg"]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(Settings):
    """Which pictures the model sees."""

    downscale: Downscale | tuple[Downscale, ...] = 1.0
    """Shrink clips by this factor first; 2 hides the artifacts of footage that was compressed before. Of several, each
    clip is taken at every one: detail as sharp as each makes it."""
    min_side: int = Field(144, ge=16)
    """Never shrink the shorter side below this many pixels."""
    resize: int | None = Field(None, ge=16, le=4096)
    """Scale the shorter side to exactly this instead (224 in the classic setting)."""
    crop: int = Field(128, ge=32, le=2048)
    """Side of the square training crops in pixels."""
    max_frames: int = Field(400, ge=2)
    """Frames taken from each clip at most."""
    test_share: float = Field(0.5, gt=0, lt=1)
    """Share of the clips (of the time, inside a single one) that only tests."""
    flip: bool = True
    turn: bool = False
    """Turn crops of a VAE's clips, and an enhancer's coded ones, by a quarter and upside down, too, each half of the
    time: more to learn from."""
    reverse: bool = True
    """Play some crops backwards: motion has no preferred direction."""

    @model_validator(mode="after")
    def _multiples(self) -> Self:
        if self.crop % 16:
            raise ValueError(f"crop must be a multiple of 16, got {self.crop}")
        if self.resize is not None and self.resize < self.crop:
            raise ValueError(f"resize ({self.resize}) must not be smaller than crop ({self.crop})")
        if isinstance(self.downscale, tuple) and (not self.downscale or self.resize is not None):
            raise ValueError("several factors of downscale need at least one, and no resize beside them")
        return self

    @property
    def sizes(self) -> "list[DataSettings]":
        """These settings for each factor of `downscale`."""
        factors = self.downscale if isinstance(self.downscale, tuple) else (self.downscale,)
        return [self.model_copy(update={"downscale": factor}) for factor in factors]


class DegradeSettings(Settings):
    """How clean passages become what an enhancer is given: made small, then coded."""

    codecs: tuple[CodedBy, ...] = ("av1",)
    """In turn. The others than AV1 draw their quality from the whole range in which their traces show."""
    fine: bool = False
    """Whether from a wider range: also so finely coded that hardly anything shows."""
    shrinks: tuple[float, ...] = (2.0, 2.0, 4 / 3)
    """Display width over base width, in turn."""
    crf_low: float = Field(30, ge=1, le=70)
    crf_high: float = Field(63, ge=1, le=70)
    preset: int = Field(8, ge=0, le=13)
    restoration: bool = False
    """Whether AV1 has its loop restoration, as FFmpeg's encoder writes it; vivae's own files have none."""
    variants: int = Field(3, ge=1, le=64)
    """Versions of every passage; each has a base size and a quantiser of its own."""
    frames: int = Field(64, ge=4)
    """Frames of each passage at most."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.shrinks or not all(1 <= shrink <= 8 for shrink in self.shrinks):
            raise ValueError(f"shrinks must lie between 1 and 8, got {self.shrinks}")
        if self.crf_high < self.crf_low:
            raise ValueError("crf_high must not be smaller than crf_low")
        return self


class DisturbSettings(Settings):
    """What else crops are spoiled by as they are drawn; what the shares leave goes to coded pairs."""

    shares: dict[Literal["noise", "shrink", "blur"], float] = Field(default_factory=dict)
    noise: tuple[float, float] = (2.0, 56.0)
    """Lowest and highest standard deviation of Gaussian noise, in 8-bit RGB code values."""
    shot_share: float = Field(0.15, ge=0, le=1)
    """Share of noisy crops whose noise grows with brightness."""
    shrinks: tuple[float, ...] = (2.0, 2.0, 4.0, 3.0)
    bicubic_share: float = Field(0.75, ge=0, le=1)
    """Of what is made small, the share by a bicubic filter; the others by the mean of areas, as sensors do."""
    light_share: float = Field(0.3, ge=0, le=1)
    """Share of what is made small that is noisy, too."""
    light_noise: float = Field(6.0, ge=0)
    blur: tuple[float, float] = (0.6, 2.2)
    hurried: float = Field(0.0, ge=0, le=1)
    """Share of crops that take every second or third frame of their footage, so that things move faster in them."""
    doubt: float = Field(0.1, ge=0, le=1)
    """The noise that is told differs from the true one by such a factor (log-normal): in use it is estimated."""
    ahead: float = Field(0.0, ge=0, le=1)
    """Share of crops that are shown the mean of what comes in place of the next frame, see `vivae.vae.coming`; the
    model must have the attribute "ahead"."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if sum(self.shares.values()) > 1 or min(self.shares.values(), default=0) < 0:
            raise ValueError("the shares must be positive and sum to at most 1")
        return self
