"""One training on the processors or GPUs of a Ray cluster: the processes of torch's distributed training as Ray tasks.

Each process is one that torchrun would start, with the same variables, so what they train is the same. When one is
lost, all begin again from the last checkpoint; so the training's folder must lie on storage that all machines share.
"""

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vivae.cluster.on_ray import RETRIES, connected, need_ray
from vivae.errors import Interrupted, OutputError, VivaeError
from vivae.train.checkpoint import FILE

SECONDS = 1.0
"""Between looks at how far it is."""
PLACE_SECONDS = 60
"""To wait for the cluster to have room for all workers."""


def train_on_ray(
    recipe: str | Path,
    data: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str],
    workers: int,
    address: str | None = None,
    threads: int = 1,
    resume: bool = False,
    progress: Callable[[str, int, int | None], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """`vivae.train` by `workers` processes of the Ray cluster at `address`, or of one of its own on this machine.

    output: the training's folder. threads: processors of each worker; where the cluster has a GPU for each, each gets
    one. options: of `vivae.train`. Returns what that returns. Raises what that raises, OutputError where the cluster
    has no room, and Interrupted after Ctrl-C, with a checkpoint written.
    """
    need_ray()
    import ray
    from ray.util.placement_group import remove_placement_group

    folder = Path(output).absolute()
    call = {"recipe": _absolute(recipe), "data": Path(data).absolute(), "output": folder, **options}
    with connected(address, workers * threads):
        gpus = int(ray.cluster_resources().get("GPU", 0) >= workers)
        group = _room(workers, threads, gpus)
        try:
            for attempt in range(1 + RETRIES):
                again = attempt > 0 and (folder / FILE).is_file()
                call |= {"resume": resume or again, "force": options.get("force", False) and not again}
                tasks = _begun(group, workers, threads, gpus, call)
                try:
                    return _watched(tasks, folder, progress)
                except ray.exceptions.RayError as error:
                    cause = getattr(error, "cause", None)
                    if isinstance(error, VivaeError):
                        raise
                    if isinstance(cause, VivaeError):
                        raise cause from None
                    if attempt == RETRIES:
                        raise
                finally:
                    _ended(tasks)
        finally:
            remove_placement_group(group)
    raise AssertionError("every attempt returns or raises")


def _absolute(recipe: str | Path) -> str | Path:
    return Path(recipe).absolute() if Path(recipe).is_file() else recipe


def _room(workers: int, threads: int, gpus: int) -> Any:
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group

    bundle = {"CPU": threads} | ({"GPU": gpus} if gpus else {})
    group = placement_group([bundle] * workers, strategy="SPREAD")
    ready, _ = ray.wait([group.ready()], timeout=PLACE_SECONDS)
    if not ready:
        remove_placement_group(group)
        raise OutputError(
            f"the cluster has no room for {workers} workers of {threads} processors: choose fewer, or add nodes"
        )
    return group


def _begun(group: Any, workers: int, threads: int, gpus: int, call: dict[str, Any]) -> list[Any]:
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    def at(rank: int, function: Callable[..., Any], **resources: Any) -> Any:
        place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
        return ray.remote(function).options(scheduling_strategy=place, max_retries=0, **resources)

    host, port = ray.get(at(0, _meeting_point, num_cpus=threads).remote())
    shared = {"WORLD_SIZE": workers, "MASTER_ADDR": host, "MASTER_PORT": port, "LOCAL_RANK": 0}
    return [
        at(rank, _member, num_cpus=threads, num_gpus=gpus).remote(shared | {"RANK": rank}, threads, call)
        for rank in range(workers)
    ]


def _meeting_point() -> tuple[str, int]:
    """On the node of the first worker: its address, and a port that is free there."""
    import ray

    with socket.socket() as found:
        found.bind(("", 0))
        return ray.util.get_node_ip_address(), found.getsockname()[1]


def _member(variables: dict[str, Any], threads: int, call: dict[str, Any]) -> dict[str, Any]:
    """On a node: one process of the training."""
    os.environ.update({key: str(value) for key, value in variables.items()})
    import torch

    import vivae.app.training

    torch.set_num_threads(threads)
    return vivae.app.training.train(**call)


def _watched(
    tasks: list[Any], folder: Path, progress: Callable[[str, int, int | None], None] | None
) -> dict[str, Any]:
    """Wait for all; the first to fail decides. Ctrl-C asks all to stop after their step."""
    import ray

    waiting = list(tasks)
    try:
        while waiting:
            ready, waiting = ray.wait(waiting, timeout=SECONDS)
            for task in ready:
                ray.get(task)
            if progress is not None:
                step = _last_step(folder / "log.jsonl")
                progress("training", step, None)
    except KeyboardInterrupt:
        _ended(tasks)
        raise Interrupted(
            f"training stopped at step {_last_step(folder / 'log.jsonl')}: run the same command with --resume to go on"
        ) from None
    result: dict[str, Any] = ray.get(tasks[0])
    return result


def _ended(tasks: list[Any]) -> None:
    """What still runs is interrupted as by Ctrl-C, so that it writes a checkpoint; then made to go."""
    import ray

    _, running = ray.wait(tasks, num_returns=len(tasks), timeout=0)
    for task in running:
        ray.cancel(task)
    if running:
        _, running = ray.wait(running, num_returns=len(running), timeout=30 * SECONDS)
    for task in running:
        ray.cancel(task, force=True)
    time.sleep(SECONDS if running else 0)


def _last_step(log: Path) -> int:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().splitlines()
        return max((int(json.loads(line)["step"]) for line in lines[-2:] if line.startswith(b"{")), default=0)
    except (OSError, ValueError, KeyError):
        return 0
