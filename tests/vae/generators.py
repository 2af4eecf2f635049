"""Small generators, untrained or nearly, for tests of what must hold for any weights."""

from vivae.vae.generator import Generator, GeneratorConfig, new_generator

FLOW = {"width": 32, "depth": 1, "heads": 2}
THINGS = {
    "name": "dots",
    "vae": {
        "kind": "things",
        "frames": 8,
        "side": 32,
        "box": 12,
        "appearance": 4,
        "labels": 3,
        "widths": [8, 8],
        "finder": 8,
        "finder_depth": 1,
    },
    "flow": FLOW,
}
WINDOW = {
    "name": "scenes",
    "vae": {
        "kind": "window",
        "frames": 8,
        "group": 2,
        "height": 32,
        "width": 48,
        "channels": 3,
        "widths": [8, 8, 8],
    },
    "flow": FLOW,
}
LINEAR = {
    "name": "water",
    "vae": {"kind": "linear", "frames": 8, "height": 32, "width": 48, "channels": 5},
    "flow": FLOW,
}
ALL = {"things": THINGS, "window": WINDOW, "linear": LINEAR}


def small(kind: str, states: dict[str, int] | None = None, flow: dict[str, int] | None = FLOW) -> Generator:
    import torch

    torch.manual_seed(4)
    made = new_generator(GeneratorConfig.model_validate(ALL[kind] | {"states": states, "flow": flow})).eval()
    if kind == "linear":
        made.vae.fit(torch.rand(3, 8, 24, 8, 12))
    # So that the prior is not the same for whatever it is shown.
    for table in () if made.flow is None else made.flow.parameters():
        torch.nn.init.normal_(table, std=0.2)
    return made
