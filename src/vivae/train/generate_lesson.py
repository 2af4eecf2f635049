"""Teaching a `Generator`, part after part.

The VAE by the negative ELBO, the prior over its latents by flow matching, and the light prior that goes on moment by
moment by likelihood.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vivae.train.checkpoint import generator_of
from vivae.train.composed import ComposedClips
from vivae.train.critic import Critic, Taught, critic_terms
from vivae.train.lesson import on_device
from vivae.train.recipe import GenerateObjective, GeneratorRecipe
from vivae.vae.flow import Tokens, draw_known, flow_loss
from vivae.vae.generator import Generator, ThingsGenerator, WindowGenerator
from vivae.vae.linear import LinearVAE
from vivae.vae.things import CELL

PLACE_SPREAD = 0.7
"""Deviation, in cells, of the map of places that the finder is taught."""
SHAKEN = 0.6
"""Deviation, in pixels, of the places that the encoder is shown in training: those it will find are not exact."""


class Drawn(NamedTuple):
    """A batch: composed clips or packed frames (B, T, 24, h, w) in [0, 1], and what it is for."""

    part: str
    clips: ComposedClips | Tensor


class GeneratorLoss(nn.Module):
    """The loss of a batch, of whichever part is taught."""

    def __init__(self, model: Taught[Generator], objective: GenerateObjective, precision: torch.dtype | None):
        super().__init__()
        self.model, self.objective, self.precision = model, objective, precision

    def forward(self, drawn: Drawn, draws: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative ELBO in nats a pixel, or the error of the flow."""
        made = self.model.model
        kind = on_device(made).type
        with torch.autocast(kind, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None):
            if drawn.part == "prior":
                return self._prior(drawn.clips, draws)
            if drawn.part == "states":
                return self._states(drawn.clips, draws)
            if isinstance(made, ThingsGenerator):
                assert isinstance(drawn.clips, ComposedClips)
                return self._things(made, drawn.clips, draws, drawn.part == "vae")
            assert isinstance(made, WindowGenerator)
            assert isinstance(drawn.clips, Tensor)
            return self._window(made, drawn.clips, draws)

    def _things(
        self, made: ThingsGenerator, clips: ComposedClips, draws: torch.Generator, finding: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        places = clips.shown_places()
        shaken = places + SHAKEN * torch.randn(places.shape, generator=draws, device=places.device)
        mean, log_spread = made.vae.appearance(clips.frames, shaken)
        latent = _reparameterised(mean, log_spread, draws)
        error = ((made.vae.decode(latent, places) - clips.frames) ** 2).mean()
        # An appearance is said once a clip: its KL is shared by the frames of a whole window.
        pixels = made.frames * clips.frames.shape[-1] ** 2
        kl = _kl(mean, log_spread).sum((1, 2)).mean() / pixels
        settings = self.objective
        loss = error / (2 * settings.sigma**2) + settings.kl * kl
        if not finding:
            return loss, _told(error, kl * pixels)
        placing = _placing(made.vae.place_map(clips.frames), places)
        return loss + settings.placing * placing, _told(error, kl * pixels) | {"placing": placing.detach()}

    def _window(
        self, made: WindowGenerator, clips: Tensor, draws: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if isinstance(made.vae, LinearVAE) and not made.vae.get_buffer("fitted"):
            made.vae.fit(clips)
        mean, log_spread = made.vae.encode(clips)
        latent = _reparameterised(mean, log_spread, draws)
        decoded = made.vae.decode(latent)
        error = _weighted(decoded - clips)
        pixels = clips[0, :, :16].numel()
        kl = _kl(mean, log_spread).sum((1, 2, 3, 4)).mean() / pixels
        loss = error / (2 * self.objective.sigma**2) + self.objective.kl * kl
        told = _told(error, kl * pixels)
        if self.model.critic is not None:
            for_decoder, for_critic = critic_terms(self.model.critic, clips, decoded)
            loss = loss + self.objective.adversarial * for_decoder + for_critic
            told |= {"critic": for_critic.detach(), "fooling": for_decoder.detach()}
        return loss, told

    def _prior(
        self, clips: ComposedClips | Tensor, draws: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        made = self.model.model
        assert made.flow is not None
        tokens, labels = encoded(made, clips)
        if not made.get_buffer("measured"):
            made.measure([tokens])
        present = [None] * len(made.kinds) if labels is None else [labels >= 0, None, None]
        device = tokens[0].device
        known = draw_known(made.kinds, len(tokens[0]), draws, device, present)
        loss = flow_loss(made.flow, made.normal(tokens), known, draws)
        return loss, {"flow": loss.detach()}

    def _states(
        self, clips: ComposedClips | Tensor, draws: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        made = self.model.model
        assert made.states is not None
        # A hundredth of a pixel is told apart.
        with torch.autocast(on_device(made).type, enabled=False):
            if isinstance(clips, ComposedClips):
                tracks = clips.places
            else:
                with torch.no_grad():
                    tracks = made.tracks(made.encode(clips)).float()
            if not made.streams:
                made.states.fit(tracks)
            loss = made.states.loss(tracks, draws)
        return loss, {"states": loss.detach()}


@torch.no_grad()
def encoded(made: Generator, clips: ComposedClips | Tensor) -> tuple[Tokens, Tensor | None]:
    """Tokens of a batch that trains the prior, and the classes of things; places are those it was composed with."""
    if isinstance(made, ThingsGenerator):
        assert isinstance(clips, ComposedClips)
        look = made.vae.appearance(clips.frames, clips.shown_places()).mean
        labels = clips.labels if made.vae.config.labels else None
        return made.tokens_of(look, clips.places, labels), labels
    assert isinstance(clips, Tensor)
    return made.encode(clips), None


def _reparameterised(mean: Tensor, log_spread: Tensor, draws: torch.Generator) -> Tensor:
    return mean + log_spread.exp() * torch.randn(mean.shape, generator=draws, device=mean.device)


def _kl(mean: Tensor, log_spread: Tensor) -> Tensor:
    return 0.5 * (mean**2 + (2 * log_spread).exp() - 1) - log_spread


def _weighted(difference: Tensor) -> Tensor:
    """Mean squared error of packed frames, (6 Y + U + V) / 8."""
    square = difference**2
    luma, u, v = square.split((16, 4, 4), 2)
    return (6 * luma.mean() + u.mean() + v.mean()) / 8


def _told(error: Tensor, kl: Tensor) -> dict[str, Tensor]:
    return {"distortion_db": -10 * error.detach().clamp_min(1e-9).log10(), "kl_nats": kl.detach()}


def _placing(log_map: Tensor, places: Tensor) -> Tensor:
    """Cross-entropy to a map with a small round patch at each thing's place, in nats less those of the map itself."""
    rows, columns = (
        torch.arange(side, device=places.device) * CELL + CELL / 2 for side in log_map.shape[-2:]
    )
    across = -((columns - places[..., :1]) ** 2) / (2 * (PLACE_SPREAD * CELL) ** 2)
    down = -((rows - places[..., 1:]) ** 2) / (2 * (PLACE_SPREAD * CELL) ** 2)
    patches = (down[..., :, None] + across[..., None, :]).flatten(-2).softmax(-1)
    aim = patches.mean(1)
    entropy = -(aim * aim.clamp_min(1e-12).log()).sum(-1)
    return (-(aim * log_map.flatten(-2)).sum(-1) - entropy).mean()


class GenerateLesson:
    """See `vivae.train.lesson.Lesson`. windows: batches, each judged as what is being taught."""

    model: nn.Module

    def __init__(self, recipe: GeneratorRecipe, generator: Generator, windows: Sequence[Drawn]):
        self.recipe = recipe
        judged = recipe.objective.adversarial and isinstance(generator, WindowGenerator)
        self.model = self.taught = Taught(generator, Critic(generator.frames) if judged else None)
        self.windows = windows

    def module(self, precision: torch.dtype | None) -> nn.Module:
        return GeneratorLoss(self.taught, self.recipe.objective, precision)

    def batch(self, drawn: Drawn, step: int, generator: torch.Generator) -> tuple[Any, ...]:
        return drawn, generator

    def settle(self, model: nn.Module) -> None:
        """Nothing is derived."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean loss over the windows of the part that is being taught, with its other figures."""
        assert isinstance(model, Taught)
        made = model.model
        part = "states" if made.streams else "prior" if made.get_buffer("measured") else "vae"
        judged = GeneratorLoss(model, self.recipe.objective, None)
        totals: dict[str, float] = {}
        chosen = [window for window in self.windows if window.part == part]
        for index, window in enumerate(chosen):
            draws = generator_of(self.recipe.seed, index, 0, on_device(model))
            loss, figures = judged(window, draws)
            for name, value in {"loss": loss, **figures}.items():
                totals[f"test_{name}"] = totals.get(f"test_{name}", 0.0) + value.item() / len(chosen)
        return totals
