"""A light prior over latents in time: a state-space model that goes on from one moment to the next, in constant memory.

    step to the next latent = linear(place, last step) + network(place, last step, memory) + noise
    memory = decay * memory + (1 - decay) * write(place, last step)

The memory is a diagonal linear recurrence, as in S4D (Gu et al., NeurIPS 2022) and LRU (Orvieto et al., ICML 2023).
Without the network this is a linear-Gaussian state space over principal directions, in closed form: a dynamic texture
(Doretto et al., IJCV 2003) of latents in place of pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

RIDGE = 4.0
"""Weight of the squares of the linear part beside the squared errors of all samples, in deviations."""
SCALE_LIMITS = (-8.0, 2.0)
"""Of the log of how much the noise differs from the linear part's own."""
BEYOND = 0.05
"""Of the range of each number of a latent, as it was seen: how far it may go beyond."""
STEADY = 0.99
"""The most that one step of a linear state space may keep of what it was."""
DRAWN = [0.002 * count for count in range(501)]
"""Shares of the way to the mean that steps may be drawn by: the least that does it is taken."""
DOUBLINGS = 12
SETTLING = 300
"""Steps after which a linear state space has forgotten where it began."""
FIRST_STEPS = 2
"""Steps of each track that only fill the memory: nothing is known before them."""
LEAST = 1e-4


class StatesConfig(BaseModel):
    """Shape of a `StateSpace`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(24, ge=1, le=512)
    """Principal directions of a latent that move; the others rest at their mean."""
    width: int = Field(96, ge=0, le=1024)
    """Of the network's layers; 0 for none: the state space is then linear."""
    memory: int = Field(16, ge=1, le=512)
    """Numbers that the network remembers."""
    shaken: float = Field(0.003, ge=0, le=1)
    """Deviation of the places that are shown in training, in those of the latents: real ones will not be exact."""


class State(NamedTuple):
    """Where each track stands: (..., rank), its last step, and the memory; in deviations."""

    place: Tensor
    step: Tensor
    memory: Tensor


def noise_for(state: State, draws: Sequence[torch.Generator]) -> Tensor:
    """What a step takes, each clip's from its own."""
    shape, device = state.place.shape[1:], state.place.device
    return torch.stack([torch.randn(shape, generator=draw) for draw in draws]).to(device)


class StateSpace(nn.Module):
    """Tracks (..., T, size) of latents, moment after moment. All tracks follow one law."""

    def __init__(self, config: StatesConfig, size: int):
        super().__init__()
        self.config = config
        rank = min(config.rank, size)
        for name, shape in {
            "centre": (size,),
            "least": (size,),
            "most": (size,),
            "basis": (size, rank),
            "spread": (rank,),
            "pace": (rank,),
            "linear": (2 * rank, rank),
            "root": (rank, rank),
        }.items():
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.uint8))
        if config.width:
            self.decay = nn.Parameter(torch.linspace(-2, 3, config.memory))
            self.write = nn.Linear(2 * rank, config.memory, bias=False)
            self.network = nn.Sequential(
                nn.Linear(2 * rank + config.memory, config.width),
                nn.ReLU(),
                nn.Linear(config.width, config.width),
                nn.ReLU(),
                nn.Linear(config.width, 2 * rank),
            )
            nn.init.zeros_(self.network[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.network[-1].bias)  # type: ignore[arg-type]

    @property
    def rank(self) -> int:
        """Numbers of noise that a step takes."""
        return len(self.get_buffer("spread"))

    @torch.no_grad()
    def fit(self, tracks: Tensor) -> None:
        """Principal directions and the linear part of tracks (N, T, size), T at least 3, by least squares.

        Without a network each direction goes its own way, and in the long run spreads as far as in the tracks.
        """
        flat = tracks.flatten(0, -2).double()
        centre = flat.mean(0)
        _, _, axes = torch.linalg.svd(flat - centre, full_matrices=False)
        basis = axes[: self.rank].T
        spread = ((flat - centre) @ basis).std(0).clamp_min(LEAST)
        place = (tracks.double() - centre) @ basis / spread
        pace = place.diff(dim=-2).flatten(0, -2).std(0).clamp_min(LEAST)
        steps = place.diff(dim=-2) / pace
        known = torch.cat([place[..., 1:-1, :], steps[..., :-1, :]], -1).flatten(0, -2)
        aim = steps[..., 1:, :].flatten(0, -2)
        if self.config.width:
            even = torch.eye(2 * self.rank, dtype=torch.float64, device=known.device)
            linear = torch.linalg.solve(known.T @ known + RIDGE * even, known.T @ aim)
            noise = (aim - known @ linear).T.cov() + LEAST * even[: self.rank, : self.rank]
            root = torch.linalg.cholesky(noise)
        else:
            linear, root = _steadied(known, aim, pace)
        margin = BEYOND * (flat.amax(0) - flat.amin(0))
        for name, value in {
            "centre": centre,
            "least": flat.amin(0) - margin,
            "most": flat.amax(0) + margin,
            "basis": basis,
            "spread": spread,
            "pace": pace,
            "linear": linear,
            "root": root,
        }.items():
            self.get_buffer(name).copy_(value)
        self.get_buffer("fitted").fill_(1)

    def loss(self, tracks: Tensor, draws: torch.Generator) -> Tensor:
        """Negative log likelihood of the steps of tracks (N, T, size), in nats a number, less a constant."""
        place = self._place(tracks)
        noise = torch.randn(place.shape, generator=draws, device=place.device)
        place = place + self.config.shaken * noise
        steps = place.diff(dim=-2) / self.get_buffer("pace")
        memory = place.new_zeros(*place.shape[:-2], self.config.memory)
        losses = []
        for now in range(1, place.shape[-2] - 1):
            mean, scale, memory = self._told(State(place[..., now, :], steps[..., now - 1, :], memory))
            if now >= FIRST_STEPS or place.shape[-2] <= FIRST_STEPS + 1:
                error = (steps[..., now, :] - mean) / scale.exp()
                white = torch.linalg.solve_triangular(
                    self.get_buffer("root"), error.flatten(0, -2).T, upper=False
                )
                losses.append(0.5 * (white**2).mean() + scale.mean())
        return torch.stack(losses).mean()

    def begin(self, tracks: Tensor) -> State:
        """The state at the end of tracks (..., T, size) that are known."""
        place = self._place(tracks)
        steps = place.diff(dim=-2) / self.get_buffer("pace")
        memory = place.new_zeros(*place.shape[:-2], self.config.memory)
        still = torch.zeros_like(place[..., 0, :])
        for now in range(1, place.shape[-2] - 1):
            memory = self._remembered(State(place[..., now, :], steps[..., now - 1, :], memory))
        return State(place[..., -1, :], steps[..., -1, :] if place.shape[-2] > 1 else still, memory)

    def settled(self, draws: Sequence[torch.Generator]) -> State:
        """A state of its own, for each clip one track: where a linear state space is in the long run."""
        device = self.get_buffer("spread").device
        still = torch.zeros(len(draws), 1, self.rank, device=device)
        state = State(still, still, torch.zeros(len(draws), 1, self.config.memory, device=device))
        for _ in range(SETTLING):
            state = self.go_on(state, noise_for(state, draws))
        return state

    def go_on(self, state: State, noise: Tensor) -> State:
        """The state a moment later; noise: (..., rank), of unit deviation.

        A latent stays about where latents were: from where nothing was seen a network may not find back.
        """
        mean, scale, memory = self._told(state)
        step = mean + scale.exp() * (noise @ self.get_buffer("root").T)
        later = State(state.place + step * self.get_buffer("pace"), step, memory)
        within = self.latent(later).clamp(self.get_buffer("least"), self.get_buffer("most"))
        return later._replace(place=self._place(within))

    def latent(self, state: State) -> Tensor:
        """What the state stands for: (..., size)."""
        own = state.place * self.get_buffer("spread")
        return own @ self.get_buffer("basis").T + self.get_buffer("centre")

    def _place(self, tracks: Tensor) -> Tensor:
        return (tracks - self.get_buffer("centre")) @ self.get_buffer("basis") / self.get_buffer("spread")

    def _remembered(self, state: State) -> Tensor:
        if not self.config.width:
            return state.memory
        keep = self.decay.sigmoid()
        return keep * state.memory + (1 - keep) * self.write(torch.cat([state.place, state.step], -1))

    def _told(self, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Mean of the next step, log of the scale of its noise, and the memory."""
        known = torch.cat([state.place, state.step], -1)
        mean = known @ self.get_buffer("linear")
        if not self.config.width:
            return mean, torch.zeros_like(mean), state.memory
        memory = self._remembered(state)
        more, scale = self.network(torch.cat([known, memory], -1)).chunk(2, -1)
        return mean + more, scale.clamp(*SCALE_LIMITS), memory


def _steadied(known: Tensor, aim: Tensor, pace: Tensor) -> tuple[Tensor, Tensor]:
    """For each direction alone: least squares, drawn to the mean until stable, and noise for unit variance of places.

    Directions are uncorrelated; a short clip is fitted too well by what would join them, and then comes to rest.
    """
    rank = len(pace)
    linear, root = known.new_zeros(2 * rank, rank), known.new_zeros(rank, rank)
    for one in range(rank):
        own = known[:, [one, rank + one]]
        found = torch.linalg.solve(own.T @ own + RIDGE * torch.eye(2).to(own), own.T @ aim[:, one])
        home = torch.stack([-1 / pace[one], torch.zeros_like(pace[one])])  # all forgotten at once
        shares = (torch.lerp(found, home, share) for share in DRAWN)
        held = next(kept for kept in shares if _radius(kept, pace[one]) < STEADY)
        linear[[one, rank + one], one] = held
        carried, enters = _carried(held, pace[one]), torch.stack([pace[one], torch.ones_like(pace[one])])
        root[one, one] = _settled(carried, enters[:, None] * enters)[0, 0].rsqrt()
    return linear, root


def _carried(linear: Tensor, pace: Tensor) -> Tensor:
    """The matrix that carries a place and its last step, as a column, to the next."""
    return torch.stack([torch.stack([1 + pace * linear[0], pace * linear[1]]), linear])


def _radius(linear: Tensor, pace: Tensor) -> float:
    return float(torch.linalg.eigvals(_carried(linear, pace)).abs().max())


def _settled(carried: Tensor, added: Tensor) -> Tensor:
    """The covariance that a stable linear system comes to: its steps are doubled each time."""
    variance = added
    for _ in range(DOUBLINGS):
        variance = variance + carried @ variance @ carried.T
        carried = carried @ carried
    return variance
