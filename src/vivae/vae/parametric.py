"""Motion as twelve numbers: a quadratic polynomial for each direction, which fits the view of a moving plane.

    u(x, y) = a1 + a2 x + a3 y + a4 x^2 + a5 x y + a6 y^2      and the same with six others for v(x, y)

with x and y from -1 to 1 across the picture. Fits are weighted least squares, made robust by reweighting (Odobez and
Bouthemy, 1995).
"""

import torch
from torch import Tensor

TERMS = 6
RIDGE = 1e-4
"""Times the identity added to the normal equations (diagonal 1 at most): so a class without pixels has a fit."""
ROUNDS = 8
"""Reweightings of a robust fit; its limit falls from round to round."""
START = 4.0
"""Times the median residual that the limit starts from; it ends at half of that."""
FINEST = 0.03
"""Pixels of residual that count as none: the flow itself is no finer."""


def quadratic_terms(height: int, width: int) -> Tensor:
    """(H * W, 6): the terms of the polynomial at each pixel, row by row."""
    y = torch.linspace(-1, 1, height)[:, None].expand(height, width).reshape(-1)
    x = torch.linspace(-1, 1, width)[None].expand(height, width).reshape(-1)
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], 1)


def fit_motion(flow: Tensor, weights: Tensor, terms: Tensor) -> Tensor:
    """Weighted least squares. flow: (B, N, 2); weights: (B, K, N), 0 or above; terms: (N, 6) -> (B, K, 6, 2)."""
    share = weights / weights.sum(2, keepdim=True).clamp_min(1e-6)
    products = (terms[:, :, None] * terms[:, None]).reshape(-1, TERMS * TERMS)
    normal = (share @ products).reshape(*share.shape[:2], TERMS, TERMS)
    normal = normal + RIDGE * torch.eye(TERMS, device=flow.device)
    moments = torch.einsum("bkn,nt,bnc->bktc", share, terms, flow)
    return torch.linalg.solve(normal, moments)


def camera_motion(flow: Tensor, terms: Tensor) -> Tensor:
    """The motion that most of the picture shares. flow: (B, N, 2) -> (B, 6, 2), by a robust fit (Geman-McClure)."""
    weights = torch.ones(flow.shape[0], 1, flow.shape[1], device=flow.device)
    found = fit_motion(flow, weights, terms)
    for step in range(ROUNDS):
        rest = (flow - terms @ found[:, 0]).norm(dim=2)
        limit = rest.median(1, keepdim=True).values.clamp_min(FINEST)
        limit = limit * START * 0.5 ** (step / (ROUNDS - 1))
        weights = (1 / (1 + (rest / limit) ** 2) ** 2)[:, None]
        found = fit_motion(flow, weights, terms)
    return found[:, 0]
