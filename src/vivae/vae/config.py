"""What a video VAE looks like, as one validated record that travels beside its weights."""

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

PLANES = {"yuv420": (16, 4, 4), "gray": (16,)}
"""Channels that each plane fills in a packed frame (one 4x4 block of luma a position)."""

LATER = {"groups": None, "still": False, "motion": False, "cubic": 0.75, "soft": False, "prior_bytes": 2}
"""Settings that the first models do not have, as they were."""
WEIGHTLESS = frozenset({"name", "motion", "cubic", "soft", "prior_bytes"})
"""Settings that no weight depends on: in these a model may differ from the one it begins with."""


class VAEConfig(BaseModel):
    """Shape of a `VideoVAE`; sizes are in channels, strides in pixels or frames.

    The encoder and the decoder work on levels: level 0 lies at a quarter of the frame's width and height
    (the packed frame), each further level halves them, and the last one carries the latent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("base", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    colour: Literal["yuv420", "gray"] = "yuv420"
    stride: Literal[4, 8, 16] = 16
    """Pixels, each way, that one latent position stands for."""
    temporal_stride: int = Field(1, ge=1, le=8)
    """Frames that share one latent; a clip that ends inside a group is padded with its last frame."""
    latent_channels: int = Field(96, ge=2, le=256)
    nested: tuple[int, ...] = (16, 32)
    """Numbers of leading latent channels that also work alone, as smaller representations of the same video."""
    groups: tuple[int, ...] | None = None
    """Latent channels at which the prior begins a new group: it is coded after the channels before, and predicted from
    them. None: one such place, the last of `nested`."""
    widths: tuple[int, ...] = (48, 96, 128)
    """Channels of each level, finest first: one entry for stride 4, two for 8, three for 16."""
    encoder_depths: tuple[int, ...] = (0, 1, 2)
    decoder_depths: tuple[int, ...] = (0, 2, 2)
    """Residual blocks on each level, finest first."""
    memory_channels: int = Field(48, ge=1, le=512)
    """Channels that the decoder keeps from one step to the next beside its last picture."""
    still: bool = False
    """A model of single pictures: each frame of a video is coded as if it were the first, by a prior without a past."""
    motion: bool = False
    """Whether the latent codec moves what the model knows of the last step to where things are in this one."""
    cubic: float = Field(0.75, ge=0, le=1)
    """-a of the bicubic filter that fetches the last picture along the motion: see `vivae.vae.blocks.sampled`."""
    soft: bool = False
    """Whether what is moved may lose detail, position by position: see `vivae.vae.softness`. Only with `motion`."""
    condition_channels: int = Field(0, ge=0, le=768)
    """Channels of an optional packed condition at level 0 (0: the model takes none)."""
    posterior: Literal["uniform", "gaussian"] = "uniform"
    """`uniform` has the quantiser's width, so that its KL is a file's bits; `gaussian` is reparameterised."""
    prior_width: int = Field(64, ge=8, le=128)
    """Hidden channels of the integer prior; also its memory from one step to the next."""
    prior_bytes: Literal[1, 2] = 2
    """Bytes of a weight of the prior in a weights file. In use they are whole numbers of 8 bits, so that one byte is as
    good; the first models have two."""
    quality_nodes: int = Field(5, ge=2, le=32)
    """Support points of the learned gains between quality 0 and 1."""

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        levels = {4: 1, 8: 2, 16: 3}[self.stride]
        for field in ("widths", "encoder_depths", "decoder_depths"):
            if len(getattr(self, field)) != levels:
                raise ValueError(
                    f"{field} needs {levels} entries for stride {self.stride}, got {getattr(self, field)}"
                )
        if min(self.widths) < 4 or max(self.widths) > 2048:
            raise ValueError(f"widths must lie between 4 and 2048, got {self.widths}")
        if self.motion and (self.still or self.temporal_stride > 1):
            raise ValueError(
                "motion is compensated from frame to frame: still must be false and temporal_stride 1"
            )
        if self.soft and not self.motion:
            raise ValueError("only what is moved can be softened: soft needs motion")
        if not _rises(self.nested, self.latent_channels):
            raise ValueError(
                f"nested must rise and lie between 0 and latent_channels, got {self.nested} of {self.latent_channels}"
            )
        if self.groups is not None and not _rises(self.groups, self.latent_channels):
            raise ValueError(
                f"groups must rise and lie between 0 and latent_channels, got {self.groups} of {self.latent_channels}"
            )
        return self

    @model_serializer(mode="wrap")
    def _as_ever(self, usual: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without settings that came later, where they are as if they had not: a model that is saved again has the
        bytes that it had, and the hash by which files name it."""
        told: dict[str, Any] = usual(self)
        return {name: value for name, value in told.items() if name not in LATER or value != LATER[name]}

    @property
    def picture_channels(self) -> int:
        """Channels of one packed step: those of a packed frame, times the temporal stride."""
        return sum(PLANES[self.colour]) * self.temporal_stride

    @property
    def levels(self) -> int:
        return len(self.widths)

    @property
    def prior_groups(self) -> tuple[slice, ...]:
        """The channels that are coded together, in order; each group is predicted from those before."""
        starts = self.groups
        if starts is None:
            starts = (self.nested[-1] if self.nested else self.latent_channels // 2,)
        return tuple(map(slice, (0, *starts), (*starts, self.latent_channels)))

    def values_per_rgb_value(self, channels: int | None = None) -> float:
        """Latent values for each red, green or blue value of the video, with that many channels kept."""
        return (channels or self.latent_channels) / (3 * self.stride**2 * self.temporal_stride)


def _rises(numbers: tuple[int, ...], below: int) -> bool:
    return list(numbers) == sorted(set(numbers)) and all(0 < number < below for number in numbers)
