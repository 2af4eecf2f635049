"""Rate-quality curves as a picture. Needs matplotlib (extra `bench`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vivae.errors import UnsupportedError
from vivae.media import atomic_path


def draw_curves(
    path: Path,
    title: str,
    methods: Mapping[str, Sequence[Mapping[str, Any]]],
    rate: str,
    metrics: Mapping[str, str],
) -> None:
    """One panel for each metric (key: label), one line for each method through its points; rate is logarithmic.

    Raises UnsupportedError where matplotlib is missing.
    """
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise UnsupportedError("curves need matplotlib: pip install 'vivae[bench]'") from error
    figure, panels = plt.subplots(1, len(metrics), figsize=(5 * len(metrics), 4.2), layout="constrained")
    for panel, (metric, label) in zip(panels, metrics.items(), strict=True):
        for name, points in methods.items():
            ordered = sorted(points, key=lambda point: point[rate])
            panel.plot(
                [point[rate] for point in ordered],
                [point[metric] for point in ordered],
                marker="o",
                markersize=3,
                linewidth=2 if name == "vivae" else 1,
                label=name,
            )
        panel.set(xscale="log", xlabel="kbit/s", ylabel=label)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path, force=True) as part:
        figure.savefig(part, dpi=80)
    plt.close(figure)
