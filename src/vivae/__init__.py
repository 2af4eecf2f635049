"""vivae: learn video with variational autoencoders, and compress it with what was learned.

Every verb of the command line is a function here, under the same name: `vivae.encode("in.mp4", "z.safetensors")`.
Importing vivae is quick; torch is loaded when a function is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vivae.app.demo import demo as demo
    from vivae.app.detecting import detect_score as detect_score
    from vivae.app.doctor import doctor as doctor
    from vivae.app.serve import serve as serve
    from vivae.app.training import train as train
    from vivae.app.tuning import tune as tune
    from vivae.app.video_report import report as report
    from vivae.cluster.batch import batch as batch
    from vivae.cluster.bench import bench_cluster as bench_cluster
    from vivae.errors import VivaeError as VivaeError
    from vivae.tasks.bench_codec import bench_codec as bench_codec
    from vivae.tasks.bench_detect import bench_detect as bench_detect
    from vivae.tasks.bench_enhance import bench_enhance as bench_enhance
    from vivae.tasks.bench_generate import bench_generate as bench_generate
    from vivae.tasks.bench_search import bench_search as bench_search
    from vivae.tasks.bench_segment import bench_segment as bench_segment
    from vivae.tasks.bench_splices import bench_shots as bench_shots
    from vivae.tasks.bench_stylize import bench_stylize as bench_stylize
    from vivae.tasks.bench_vae import bench_vae as bench_vae
    from vivae.tasks.compress import compress as compress
    from vivae.tasks.decompress import decompress as decompress
    from vivae.tasks.detect_fit import detect_fit as detect_fit
    from vivae.tasks.enhance import enhance as enhance
    from vivae.tasks.export import export as export
    from vivae.tasks.features import decode as decode
    from vivae.tasks.features import encode as encode
    from vivae.tasks.generate import generate as generate
    from vivae.tasks.info import info as info
    from vivae.tasks.opening import open as open  # noqa: A004 (used as vivae.open)
    from vivae.tasks.reconstruct import reconstruct as reconstruct
    from vivae.tasks.search import search as search
    from vivae.tasks.segment import segment as segment
    from vivae.tasks.shots import shots as shots
    from vivae.tasks.stylize import stylize as stylize
    from vivae.vae.model import VideoVAE as VideoVAE
    from vivae.vae.zoo import list_models as list_models
    from vivae.vae.zoo import load_model as load_model

__version__ = "0.1.0"

_PLACES = {
    "VideoVAE": "vivae.vae.model",
    "VivaeError": "vivae.errors",
    "batch": "vivae.cluster.batch",
    "bench_cluster": "vivae.cluster.bench",
    "bench_codec": "vivae.tasks.bench_codec",
    "bench_detect": "vivae.tasks.bench_detect",
    "bench_enhance": "vivae.tasks.bench_enhance",
    "bench_generate": "vivae.tasks.bench_generate",
    "bench_stylize": "vivae.tasks.bench_stylize",
    "bench_search": "vivae.tasks.bench_search",
    "bench_segment": "vivae.tasks.bench_segment",
    "bench_shots": "vivae.tasks.bench_splices",
    "bench_vae": "vivae.tasks.bench_vae",
    "compress": "vivae.tasks.compress",
    "decode": "vivae.tasks.features",
    "decompress": "vivae.tasks.decompress",
    "demo": "vivae.app.demo",
    "detect_fit": "vivae.tasks.detect_fit",
    "detect_score": "vivae.app.detecting",
    "doctor": "vivae.app.doctor",
    "encode": "vivae.tasks.features",
    "enhance": "vivae.tasks.enhance",
    "export": "vivae.tasks.export",
    "generate": "vivae.tasks.generate",
    "info": "vivae.tasks.info",
    "list_models": "vivae.vae.zoo",
    "load_model": "vivae.vae.zoo",
    "open": "vivae.tasks.opening",
    "reconstruct": "vivae.tasks.reconstruct",
    "stylize": "vivae.tasks.stylize",
    "report": "vivae.app.video_report",
    "search": "vivae.tasks.search",
    "serve": "vivae.app.serve",
    "segment": "vivae.tasks.segment",
    "shots": "vivae.tasks.shots",
    "train": "vivae.train",
    "tune": "vivae.app.tuning",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'vivae' has no attribute {name!r}")
    module = import_module(_PLACES[name])
    # `vivae.train` is a package that can be called.
    value = module if module.__name__ == f"vivae.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
