"""The entropy path of the latent codec: latents to symbols and back, in whole numbers that are the same everywhere."""

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.codec.entropy import VALUE_LIMIT, Coder, Integers, Tables, check_coder, check_prior
from vivae.codec.motion_field import FieldCoder
from vivae.codec.records import QUALITY_UNITS
from vivae.vae.model import VideoVAE
from vivae.vae.prior import FRACTIONS, SYMBOL_LIMIT
from vivae.vae.stream import Layout

BITS_PER_ERROR = 12.0
"""What a squared quantiser step of error counts for beside bits. As the models were taught, a step is worth some 5 bits
(`base`) or 11 (`images`); but what is left out also spoils the prediction of what follows. Chosen on training clips."""
FINER = QUALITY_UNITS // 255
"""Units of quality in one step of `Preface.finer`."""
FINER_TABLE = np.array([23 * FRACTIONS + FRACTIONS // 2])
"""The table of a scale of nearly one: that a step is no finer than usual takes little more than a bit."""
LARGEST_VALUE = VALUE_LIMIT - SYMBOL_LIMIT
"""Of a latent: whatever the prior subtracts from it can be coded."""


class Preface(NamedTuple):
    """What a stream says before the symbols of a step, where the model compensates motion."""

    finer: int
    """By how many 255ths the step's quality is above the file's."""
    field: NDArray[np.int32] | None
    """(rows, columns, 2), in parts of a pixel, or 3 with softness; None at a key."""


class SymbolStream:
    """The entropy path of one stream, in either direction: integer arithmetic, always on the CPU.

    Raises UnsupportedError where this machine does not compute the prior or the range code exactly.
    """

    def __init__(self, model: VideoVAE, layout: Layout, quality: int):
        cpu = model.tables.device.type == "cpu"
        self._prior = model.prior if cpu else deepcopy(model.prior).cpu()
        self._size = layout.latent_size
        self._still = model.config.still
        rows, columns = self._size[1:]
        check_coder()
        check_prior(self._prior, rows, columns)
        self.tables = Tables(model.tables.cpu().numpy())
        self._usual = quality
        self._fields = FieldCoder(rows, columns, soft=model.config.soft) if model.config.motion else None
        masks = (self._prior.mask(index, rows, columns) for index in range(self._prior.passes))
        # Positions are gathered several times faster than masks are applied.
        self._places = [mask.flatten().nonzero()[:, 0] for mask in masks]
        self.key = True
        """Whether the next step is a key; known where motion is compensated."""
        self.units = quality
        """The quality of the step under way."""
        start = model.initial_state(1, *layout.packed_size)
        self._start = start.symbols.cpu(), start.context.cpu()
        self.restart()

    def restart(self) -> None:
        """Forget all symbols: the next step is a key."""
        self._symbols, self._context = self._start
        self.key = True
        self.units = self._usual
        if self._fields is not None:
            self._fields.restart()

    def preface(self, coder: Coder, given: Preface | None = None) -> Preface:
        """Code what comes before a step's symbols, or with None read it; `units` is the quality it leads to.

        Nothing is coded for a model that does not compensate motion.
        """
        if self._fields is None:
            return Preface(0, None)
        finer = coder.code(FINER_TABLE, None if given is None else np.array([given.finer]))
        self.units = min(max(self._usual + FINER * int(finer.clip(-255, 255)[0]), 0), QUALITY_UNITS)
        field = None if self.key else self._fields.code(coder, given.field if given else None)
        self.key = False
        return Preface(int(finer[0]), field)

    @torch.no_grad()
    def step(self, coder: Coder, latent: Tensor | None = None) -> Tensor:
        """Code one step's latent (1, L, rows, columns), or with None read it. Returns the symbols, whole numbers.

        Of the whole numbers around a latent, and the likeliest one, the one is coded that is best worth its bits:
        rate-distortion optimised quantisation, symbol by symbol.
        """
        wanted = (
            None if latent is None else latent.clamp(-LARGEST_VALUE, LARGEST_VALUE).double().cpu().flatten()
        )
        quality = torch.tensor([self.units / QUALITY_UNITS])
        context = self._prior.begin(self._symbols, self._context, quality)
        known = torch.zeros(1, *self._size)
        for index, places in enumerate(self._places):
            table, offset = self._prior.predict(context, index, known)
            shift, indices = offset.flatten()[places].numpy(), table.flatten()[places].numpy()
            given = None if wanted is None else self._chosen(indices, wanted[places].numpy() - shift)
            values = coder.code(indices, given)
            known.view(-1)[places] = torch.from_numpy(values + shift).float()
        if not self._still:
            self._symbols, self._context = known, context
        return known

    def _chosen(self, tables: Integers, wanted: NDArray[np.float64]) -> Integers:
        """What to code for values that are wanted, each with its table."""
        best = np.zeros(len(wanted), np.int64)
        least = self.tables.cost(tables, best) + BITS_PER_ERROR * wanted**2
        below = np.floor(wanted).astype(np.int64)
        for candidate in (below, below + 1):
            cost = self.tables.cost(tables, candidate) + BITS_PER_ERROR * (candidate - wanted) ** 2
            best = np.where(cost < least, candidate, best)
            least = np.minimum(cost, least)
        return best
