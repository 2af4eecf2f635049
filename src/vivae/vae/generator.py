"""A generator: a VAE of whole clips and the learned prior over its latent tokens, saved as one model.

`sample` draws a window from the prior, with whatever is known given; `vivae.vae.rollout` goes on from window to window.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from vivae.vae.flow import FlowConfig, Kind, Known, TokenFlow, Tokens, noise_of, sample_tokens
from vivae.vae.linear import LinearConfig, LinearVAE
from vivae.vae.paths import find_places, refined, with_speeds, without_speeds
from vivae.vae.states import StatesConfig, StateSpace
from vivae.vae.things import ThingsConfig, ThingsVAE
from vivae.vae.window import WindowConfig, WindowVAE

REFINING = 60
"""Rounds of descent on what was inferred of a given clip; see `vivae.vae.paths.refined`."""
LEAST_SPREAD = 1e-3
LABEL = "label"
GUIDANCE = 2.0
"""How far looks follow a known class; 1 is what the prior says, more is plainer and less varied."""


class GeneratorConfig(BaseModel):
    """Shape of a `Generator`: its VAE and its prior."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("generator", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    vae: Annotated[ThingsConfig | WindowConfig | LinearConfig, Field(discriminator="kind")] = WindowConfig()
    flow: FlowConfig | None = FlowConfig()
    """The prior over whole windows; None where the state space does alone."""
    states: StatesConfig | None = None
    """A second, light prior, that goes on moment by moment; None for none."""
    fps: float = Field(10.0, gt=0, le=240)
    """Frames a second of what it makes."""


class Generator(nn.Module, ABC):
    """VAE, prior, and the mean and deviation of each kind of token (measured once the VAE is trained)."""

    hash: str = ""

    def __init__(self, config: GeneratorConfig, kinds: Sequence[Kind], moving: int):
        """moving: numbers of a track at one moment, see `tracks`."""
        super().__init__()
        self.config, self.kinds = config, tuple(kinds)
        self.states = None if config.states is None else StateSpace(config.states, moving)
        self.flow = None if config.flow is None else TokenFlow(config.flow, kinds)
        for kind in kinds:
            self.register_buffer(f"{kind.name}_mean", torch.zeros(kind.width))
            self.register_buffer(f"{kind.name}_spread", torch.ones(kind.width))
        self.register_buffer("measured", torch.zeros((), dtype=torch.uint8))

    @property
    def frames(self) -> int:
        """Of one window."""
        return self.config.vae.frames

    @property
    @abstractmethod
    def unit(self) -> int:
        """Frames that share a latent: what is known is known in whole units."""

    @property
    def step(self) -> int:
        """Of footage, every so many frames are one of the model's."""
        return 1

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Height and width of frames in pixels."""

    @abstractmethod
    def encode(self, clip: Tensor, rounds: int = REFINING) -> Tokens:
        """Latent tokens of a clip of at most a window's frames, given in the form `decode` returns; means, no draws."""

    def encode_ends(self, clip: Tensor, side: int, missing: int) -> Tokens:
        """Tokens of a clip of which `missing` frames after the first `side` are not real; theirs mean nothing."""
        return self.encode(clip)

    @abstractmethod
    def decode(self, tokens: Tokens, known: Known | None = None) -> Tensor:
        """A window from its tokens; what is `known` stays exactly as told, where the VAE has a choice."""

    @property
    @abstractmethod
    def moment(self) -> int:
        """Frames that one state of a track stands for."""

    @property
    def streams(self) -> bool:
        """Whether it can go on moment by moment."""
        return self.states is not None and bool(self.states.get_buffer("fitted"))

    @property
    def seen_at_once(self) -> tuple[int, int, int]:
        """Moments that are decoded together, how many before those that are shown, and how many are shown."""
        return 1, 0, 1

    @abstractmethod
    def tracks(self, tokens: Tokens, known: Known | None = None) -> Tensor:
        """What moves, (B, tracks, moments, numbers): that which a state space goes on with."""

    @abstractmethod
    def shown(self, tokens: Tokens, tracks: Tensor) -> Tensor:
        """Frames of as many moments as are seen at once; what does not move is as the tokens of a window say."""

    @abstractmethod
    def moved_on(self, tokens: Tokens, by: int) -> Tokens:
        """The tokens of the window that begins `by` frames later; its last `by` frames are left at zero."""

    def measure(self, batches: Sequence[Tokens]) -> None:
        """Take over the statistics of encoded clips."""
        for index, kind in enumerate(self.kinds):
            values = torch.cat([tokens[index].flatten(0, 1) for tokens in batches])
            self.get_buffer(f"{kind.name}_mean").copy_(values.mean(0))
            self.get_buffer(f"{kind.name}_spread").copy_(values.std(0).clamp_min(LEAST_SPREAD))
        self.get_buffer("measured").fill_(1)

    def normal(self, tokens: Tokens) -> Tokens:
        """To mean 0 and deviation 1."""
        return [
            (part - self.get_buffer(f"{kind.name}_mean")) / self.get_buffer(f"{kind.name}_spread")
            for kind, part in zip(self.kinds, tokens, strict=True)
        ]

    def natural(self, tokens: Tokens) -> Tokens:
        """Undo `normal`."""
        return [
            part * self.get_buffer(f"{kind.name}_spread") + self.get_buffer(f"{kind.name}_mean")
            for kind, part in zip(self.kinds, tokens, strict=True)
        ]

    def nothing(self, batch: int) -> tuple[Tokens, Known]:
        """Tokens of zeros, none of which is known."""
        device = self.get_buffer("measured").device
        tokens = [torch.zeros(batch, kind.count, kind.width, device=device) for kind in self.kinds]
        known = [torch.zeros(batch, kind.count, dtype=torch.bool, device=device) for kind in self.kinds]
        return tokens, known

    def known_times(self, batch: int, times: Tensor) -> Known:
        """Known where `times` (frames,) is true, and all that has no time with it; classes are left open."""
        device = self.get_buffer("measured").device
        units = times.to(device).reshape(-1, self.unit).all(1).expand(batch, -1)
        return [
            kind.at(units)
            if kind.timed is not None
            else torch.full((batch, kind.count), kind.name != LABEL, device=device)
            for kind in self.kinds
        ]

    def noise(self, draws: Sequence[torch.Generator]) -> Tokens:
        """Noise of a window for each generator."""
        return noise_of(self.kinds, draws, self.get_buffer("measured").device)

    def sample(
        self,
        noise: Tokens,
        given: Tokens,
        known: Known,
        *,
        steps: int,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Tokens:
        """A window from the learned prior: the tokens that are not known, drawn; led by classes where they are.

        Raises ValueError for a model without a flow.
        """
        if self.flow is None:
            raise ValueError(f"the model '{self.config.name}' has no flow")
        blind = [
            torch.zeros_like(mark) if kind.name == LABEL else mark
            for kind, mark in zip(self.kinds, known, strict=True)
        ]
        led = any(
            bool(mark.any()) for kind, mark in zip(self.kinds, known, strict=True) if kind.name == LABEL
        )
        drawn = sample_tokens(
            self.flow,
            noise,
            self.normal(given),
            known,
            steps=steps,
            without=blind if led else None,
            guidance=GUIDANCE,
            progress=progress,
        )
        # What is known comes back to the bit.
        return [
            torch.where(mark[..., None], own, part)
            for own, mark, part in zip(given, known, self.natural(drawn), strict=True)
        ]


class ThingsGenerator(Generator):
    """Things that move; clips are luma (B, T, side, side) in [0, 1]."""

    def __init__(self, config: GeneratorConfig):
        assert isinstance(config.vae, ThingsConfig)
        own = config.vae
        kinds = [
            Kind("appearance", (own.things,), own.appearance),
            Kind("path", (own.things, own.frames // own.group), 4 * own.group, timed=1),
        ]
        if own.labels:
            kinds.insert(0, Kind(LABEL, (own.things,), own.labels))
        super().__init__(config, kinds, moving=2)
        self.vae = ThingsVAE(own)

    @property
    def unit(self) -> int:
        return self.vae.config.group

    @property
    def size(self) -> tuple[int, int]:
        side = self.vae.config.side
        return side, side

    def tokens_of(self, appearance: Tensor, places: Tensor, labels: Tensor | None) -> Tokens:
        """appearance (B, K, A), places (B, K, T, 2), labels (B, K) with -1 for unknown -> tokens."""
        told = [appearance, self._path(with_speeds(places))]
        if self.vae.config.labels:
            shape = (*appearance.shape[:2], self.vae.config.labels)
            one_hot = appearance.new_zeros(shape)
            if labels is not None:
                one_hot.scatter_(2, labels.clamp_min(0)[..., None], 1.0)
            told.insert(0, one_hot)
        return told

    def encode(self, clip: Tensor, rounds: int = REFINING) -> Tokens:
        return self._told(*self._found(clip, rounds), clip.shape[1])

    def _found(self, clip: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            places = find_places(self.vae, clip)
            appearance = self.vae.appearance(clip, places).mean
        return refined(self.vae, clip, places, appearance, rounds)

    def encode_ends(self, clip: Tensor, side: int, missing: int) -> Tokens:
        """The places of the frames that are not real lie on a line; which thing is which is told by the motion."""
        real = torch.cat([clip[:, :side], clip[:, side + missing :]], 1)
        places, appearance = self._found(real, 0)
        before, after = places[:, :, :side], places[:, :, side:]
        order = _matched(before, after, missing)
        after = after[:, order]
        appearance = self.vae.appearance(real, torch.cat([before, after], 2)).mean
        both, appearance = refined(self.vae, real, torch.cat([before, after], 2), appearance, REFINING)
        before, after = both[:, :, :side], both[:, :, side:]
        share = torch.arange(1, missing + 1, device=clip.device)[:, None] / (missing + 1)
        between = before[:, :, -1:] + share * (after[:, :, :1] - before[:, :, -1:])
        return self._told(torch.cat([before, between, after], 2), appearance, clip.shape[1])

    def _told(self, places: Tensor, appearance: Tensor, count: int) -> Tokens:
        missing = self.frames - count
        if missing:
            places = torch.cat([places, places[:, :, -1:].expand(-1, -1, missing, -1)], 2)
        tokens = self.tokens_of(appearance, places, None)
        if missing:
            tokens[-1] = self._last_speed(tokens[-1], count)
        return tokens

    def _path(self, told: Tensor) -> Tensor:
        """(B, K, T, 4) -> tokens."""
        return told.reshape(len(told), -1, 4 * self.unit)

    def _last_speed(self, path: Tensor, count: int) -> Tensor:
        """The step after the last known place is not known: the one before it is the best guess."""
        told = path.reshape(len(path), self.vae.config.things, self.frames, 4).clone()
        if count > 1:
            told[:, :, count - 1, 2:] = told[:, :, count - 2, 2:]
        return self._path(told)

    def parts(self, tokens: Tokens, known: Known | None = None) -> tuple[Tensor, Tensor]:
        """Appearances (B, K, A) and places (B, K, T, 2)."""
        config = self.vae.config
        appearance, path = tokens[-2], tokens[-1]
        told = path.reshape(len(path), config.things, self.frames, 4)
        firm = (
            torch.zeros(told.shape[:-1], dtype=torch.bool, device=told.device)
            if known is None
            else known[-1].repeat_interleave(self.unit, 1).reshape(told.shape[:-1])
        )
        return appearance, without_speeds(told, firm)

    def decode(self, tokens: Tokens, known: Known | None = None) -> Tensor:
        return self.vae.decode(*self.parts(tokens, known))

    @property
    def moment(self) -> int:
        return 1

    def tracks(self, tokens: Tokens, known: Known | None = None) -> Tensor:
        """The places (B, K, T, 2)."""
        return self.parts(tokens, known)[1]

    def shown(self, tokens: Tokens, tracks: Tensor) -> Tensor:
        return self.vae.decode(tokens[-2], tracks)

    def moved_on(self, tokens: Tokens, by: int) -> Tokens:
        appearance, places = self.parts(tokens)
        later = torch.cat([places[:, :, by:], places[:, :, -1:].expand(-1, -1, by, -1)], 2)
        moved = [tokens[0]] if self.vae.config.labels else []
        return [*moved, appearance, self._last_speed(self._path(with_speeds(later)), self.frames - by)]


def _matched(before: Tensor, after: Tensor, missing: int) -> list[int]:
    """In which order the things of `after` (1, K, T, 2) are those of `before`: the one with the least turns."""
    speed = before[0, :, -1] - before[0, :, -2] if before.shape[2] > 1 else torch.zeros_like(before[0, :, 0])
    aim = before[0, :, -1] + speed * (missing + 1)
    cost = (aim[:, None] - after[0, None, :, 0]).norm(dim=-1)
    orders = list(permutations(range(len(aim))))
    return list(min(orders, key=lambda order: sum(float(cost[i, j]) for i, j in enumerate(order))))


class WindowGenerator(Generator):
    """Any footage; clips are packed frames (B, T, 24, h, w) in [0, 1]."""

    def __init__(self, config: GeneratorConfig):
        assert not isinstance(config.vae, ThingsConfig)
        own = config.vae
        _, rows, columns = own.grid
        super().__init__(
            config, [Kind("place", own.grid, own.channels, timed=0)], moving=own.channels * rows * columns
        )
        self.vae = WindowVAE(own) if isinstance(own, WindowConfig) else LinearVAE(own)

    @property
    def unit(self) -> int:
        return self.vae.config.group

    @property
    def size(self) -> tuple[int, int]:
        return self.vae.config.height, self.vae.config.width

    @property
    def step(self) -> int:
        return self.vae.config.step

    def encode(self, clip: Tensor, rounds: int = REFINING) -> Tokens:
        missing = self.frames - clip.shape[1]
        if missing:
            clip = torch.cat([clip, clip[:, -1:].expand(-1, missing, -1, -1, -1)], 1)
        with torch.no_grad():
            mean, _ = self.vae.encode(clip)
        return [self.vae.flat(mean)]

    def decode(self, tokens: Tokens, known: Known | None = None) -> Tensor:
        return self.vae.decode(self.vae.spread(tokens[0]))

    @property
    def moment(self) -> int:
        return self.unit

    @property
    def seen_at_once(self) -> tuple[int, int, int]:
        """A whole window, where its groups are decoded with sight of their neighbours."""
        if isinstance(self.vae, LinearVAE):
            return super().seen_at_once
        groups = self.vae.config.grid[0]
        inner = max(1, groups // 2)
        return groups, (groups - inner) // 2, inner

    def tracks(self, tokens: Tokens, known: Known | None = None) -> Tensor:
        """All latents of a group of frames, as one track, in units of what they change in the picture."""
        return self.vae.spread(tokens[0]).flatten(2)[:, None] * self._weight

    def shown(self, tokens: Tokens, tracks: Tensor) -> Tensor:
        _, rows, columns = self.vae.config.grid
        latent = (tracks[:, 0] / self._weight).unflatten(2, (self.vae.config.channels, rows, columns))
        return self.vae.decode(latent)

    @property
    def _weight(self) -> Tensor | float:
        """What a unit of a latent changes in the picture, where that is known."""
        return self.vae.deviations if isinstance(self.vae, LinearVAE) else 1.0

    def moved_on(self, tokens: Tokens, by: int) -> Tokens:
        latent = self.vae.spread(tokens[0])
        groups = by // self.unit
        later = torch.cat([latent[:, groups:], torch.zeros_like(latent[:, :groups])], 1)
        return [self.vae.flat(later)]


def new_generator(config: GeneratorConfig) -> Generator:
    """An untrained generator of the kind that its VAE asks for."""
    return ThingsGenerator(config) if isinstance(config.vae, ThingsConfig) else WindowGenerator(config)
