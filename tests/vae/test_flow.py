"""The prior: what is known stays, what is not is drawn, and it learns a distribution with conditions."""

import pytest
import torch

from vivae.vae.flow import FlowConfig, Kind, TokenFlow, draw_known, flow_loss, noise_of, sample_tokens

KINDS = (Kind("class", (1,), 2), Kind("path", (1, 4), 1, timed=1))


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def clips(count, seed):
    """Class 0 climbs, class 1 falls, from a random height: paths of four numbers, all of about unit deviation."""
    rng = drawn(seed)
    falls = torch.rand(count, 1, generator=rng) < 0.5
    start = 0.5 * torch.randn(count, 1, 1, generator=rng)
    slope = torch.where(falls, -1.0, 1.0)[:, None]
    path = start + slope * torch.arange(4.0)[None, :, None] / 2
    return [2 * torch.cat([~falls, falls], 1).float()[:, None] - 1, path]


@pytest.fixture(scope="module")
def taught():
    torch.manual_seed(0)
    flow = TokenFlow(FlowConfig(width=48, depth=2, heads=2), KINDS)
    optimiser = torch.optim.Adam(flow.parameters(), 3e-3)
    for step in range(450):
        clean, rng = clips(96, step), drawn(step)
        loss = flow_loss(flow, clean, draw_known(KINDS, 96, rng, torch.device("cpu")), rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return flow.eval()


def sampled(flow, given, known, seed=0, steps=12):
    noise = noise_of(KINDS, [drawn(seed + index) for index in range(len(given[0]))], torch.device("cpu"))
    return sample_tokens(flow, noise, given, known, steps=steps)


def test_a_class_and_a_beginning_are_followed(taught):
    given = clips(64, 999)
    known = [torch.ones(64, 1, dtype=torch.bool), torch.zeros(64, 4, dtype=torch.bool)]
    known[1][:, 0] = True
    made = sampled(taught, given, known)[1]
    assert torch.equal(made[:, 0], given[1][:, 0])
    assert (made - given[1]).abs().mean() < 0.25 * (given[1] - given[1][:, :1]).abs().mean()


def test_both_classes_come_of_themselves(taught):
    given = [torch.zeros(64, 1, 2), torch.zeros(64, 4, 1)]
    known = [torch.zeros(64, 1, dtype=torch.bool), torch.zeros(64, 4, dtype=torch.bool)]
    classes, paths = sampled(taught, given, known)
    climbs = (paths[:, 3] > paths[:, 0])[:, 0]
    assert 0.2 < climbs.float().mean() < 0.8
    agrees = climbs == (classes[:, 0, 0] > classes[:, 0, 1])
    assert agrees.float().mean() > 0.85


def test_a_clip_does_not_depend_on_those_beside_it(taught):
    given = [torch.zeros(3, 1, 2), torch.zeros(3, 4, 1)]
    known = [torch.zeros(3, 1, dtype=torch.bool), torch.zeros(3, 4, dtype=torch.bool)]
    together = sampled(taught, given, known, seed=5)
    alone = sampled(taught, [x[:1] for x in given], [x[:1] for x in known], seed=7)
    for one, many in zip(alone, together, strict=True):
        assert torch.allclose(one[0], many[2], atol=0.05)


def test_guidance_leads_further_the_same_way(taught):
    given = clips(64, 5)
    known = [torch.ones(64, 1, dtype=torch.bool), torch.zeros(64, 4, dtype=torch.bool)]
    noise = noise_of(KINDS, [drawn(index) for index in range(64)], torch.device("cpu"))
    blind = [torch.zeros_like(mark) for mark in known]
    plain = sample_tokens(taught, noise, given, known, steps=6)
    same = sample_tokens(taught, noise, given, known, steps=6, without=blind, guidance=1.0)
    assert torch.equal(plain[1], same[1])
    # What has a time is not led: its motion is the prior's own.
    led = sample_tokens(taught, noise, given, known, steps=6, without=blind, guidance=3.0)
    assert torch.allclose(led[1], plain[1], atol=0.05)


def test_what_may_not_be_shown_is_not():
    rng = drawn(1)
    hidden = torch.zeros(500, 1, dtype=torch.bool)
    known = draw_known(KINDS, 500, rng, torch.device("cpu"), [hidden, None])
    assert not known[0].any()
    shown = known[1].float().mean(0)
    assert 0.1 < shown[0] < 0.9
    assert shown[0] > shown[1] > shown[2]  # beginnings are shown more often than middles


def test_all_known_leaves_nothing_to_learn():
    flow = TokenFlow(FlowConfig(width=32, depth=1, heads=2), KINDS)
    known = [torch.ones(4, 1, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)]
    assert flow_loss(flow, clips(4, 0), known, drawn(0)).item() == 0.0
