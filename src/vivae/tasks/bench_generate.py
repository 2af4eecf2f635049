"""`bench generate`: the learned prior beside a plain one and a GAN of equal parameters and time, on moving digits.

Sets of clips are compared in the features of a fixed VAE (the shipped `base`), so the distance is a Fréchet distance in
that VAE's latent and no FVD. All sets are compared with clips of digits that no training saw.
"""

import hashlib
import os
import resource
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.errors import InputError
from vivae.measure import bench
from vivae.measure.bench import Record
from vivae.measure.clip import Progress, no_progress
from vivae.measure.frechet import compare_sets
from vivae.tasks.bench_future import future
from vivae.tasks.digits import Reader, composed_clips, read_clips, train_reader
from vivae.tasks.rivals import Rival, RivalLesson, fitting, recipe_of
from vivae.tasks.sets import SAMPLE_SEED, drawn, features, plain, speeds, write_samples
from vivae.train.checkpoint import FILE as CHECKPOINT
from vivae.train.composed import Composer
from vivae.train.critic import Taught
from vivae.train.generating import composed_lesson, split_pictures
from vivae.train.loop import Training, Workers
from vivae.train.recipe import GeneratorRecipe
from vivae.vae.generator import ThingsGenerator
from vivae.vae.model import VideoVAE
from vivae.vae.zoo import load_generator, load_model, notes_of

VERSION = 1
READER = 2
"""Raised when digits are read in another way."""
PARTS = ("samples", "rivals", "future", "speed")
CLIPS = 400
"""In each set."""
REAL_SEED, OTHER_SEED = 7_000_001, 7_000_002
SHOWN = 6
READ = 200
"""Clips of each set whose digits are read."""
OWN = "own"
RIVALS: dict[str, str] = {
    OWN: "VAE with a learned prior",
    "vae": "convolutional VAE, plain prior",
    "gan": "convolutional GAN",
}
PLAIN = "the same VAE, plain prior"
WARM_STEPS = 4


def bench_generate(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path = "moving-mnist",
    minutes: float | None = None,
    seeds: int = 1,
    parts: Sequence[str] = (),
    threads: int = 2,
    progress: Progress = no_progress,
) -> Record:
    """Measure, and write raw figures, tables and samples to the folder `dst`; what an earlier run left there is kept.

    data: the folder with `generate/mnist`. model: a generator of two moving digits. minutes: of each rival's training,
    in processor time; as long as the model's took unless said. seeds: trainings of each rival. parts: of `PARTS`, all
    unless said. Raises InputError for what is missing.
    """
    wrong = [part for part in parts if part not in PARTS]
    if wrong:
        raise InputError(f"there is no part '{wrong[0]}': choose from {', '.join(PARTS)}")
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    run = _Bench(Path(data), folder, model, minutes, seeds, threads)
    chosen = [part for part in PARTS if not parts or part in parts]
    found: Record = {}
    for number, part in enumerate(chosen):
        found[part] = getattr(run, part)(partial(_part_of, progress, number, len(chosen)))
    progress("done", 1.0)
    result: Record = {
        "bench": "generate",
        "environment": bench.environment(threads),
        "model": {"name": run.made.config.name, "hash": run.made.hash, "training": run.training},
        **found,
    }
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", _report(result))
    return {"output": str(folder)}


def _part_of(progress: Progress, number: int, parts: int, label: str, share: float) -> None:
    progress(label, (number + share) / parts)


class _Bench:
    """What all parts share; each part's figures are kept under its own circumstances."""

    def __init__(
        self, data: Path, folder: Path, model: str | Path, minutes: float | None, seeds: int, threads: int
    ) -> None:
        self.folder, self.seeds, self.threads = folder, seeds, threads
        made = load_generator(model)
        if not isinstance(made, ThingsGenerator) or made.vae.config.things != 2:
            raise InputError(
                f"'{model}' is no generator of two moving things: give one made by generate-mnist"
            )
        self.made: ThingsGenerator = made
        notes = notes_of(model)
        self.recipe = GeneratorRecipe.model_validate(notes["recipe"])
        composed = self.recipe.composed
        assert composed is not None
        self.training = {
            name: notes.get(name) for name in ("minutes", "processor_minutes", "steps", "hardware")
        }
        self.minutes = minutes or float(notes.get("processor_minutes") or notes["minutes"])
        self.speed_of_things = composed.speed
        self.train, self.test = split_pictures(self.recipe, data / "generate" / "mnist")
        self._base: VideoVAE | None = None
        self._reader: Reader | None = None
        self._real: Tensor | None = None
        self._features: NDArray[np.float64] | None = None

    def records(self, **more: Any) -> bench.Records:
        under = {"version": VERSION, "model": self.made.hash, "clips": CLIPS} | more
        return bench.Records(self.folder, under)

    @property
    def real(self) -> Tensor:
        if self._real is None:
            self._real = composed_clips(self.test, CLIPS, REAL_SEED, self.made.vae, self.speed_of_things)
        return self._real

    @property
    def features(self) -> NDArray[np.float64]:
        """Of the real clips."""
        if self._features is None:
            self._features = self.features_of(self.real)
        return self._features

    @property
    def reader(self) -> Reader:
        if self._reader is None:
            self._reader = train_reader(self.train)
        return self._reader

    def features_of(self, clips: Tensor) -> NDArray[np.float64]:
        if self._base is None:
            self._base = load_model("base")
        return features(self._base, clips)

    def judged(self, clips: Tensor) -> Record:
        """All figures of a set of clips."""
        clips = clips.clamp(0, 1)
        quality = compare_sets(self.features, self.features_of(clips))
        return asdict(quality) | asdict(read_clips(clips[:READ], self.reader, self.made.vae))

    def _judged_set(self, make: Callable[[], Tensor]) -> Record:
        return self.judged(make())

    def samples(self, progress: Progress) -> Record:
        """Real clips, decoded real clips, samples of the learned prior and of a plain one over the same VAE."""
        records = self.records(reader=READER)
        made, real = self.made, self.real

        def reconstructed() -> Tensor:
            return torch.cat([made.decode(made.encode(part, rounds=0)) for part in real.split(20)])

        sets: dict[str, Callable[[], Tensor]] = {
            "other real clips": lambda: composed_clips(
                self.test, CLIPS, OTHER_SEED, made.vae, self.speed_of_things
            ),
            "real clips through the VAE": reconstructed,
            "vivae: learned prior": lambda: drawn(made, CLIPS),
            PLAIN: lambda: plain(made, CLIPS),
        }
        found: Record = {}
        shown: dict[str, Tensor] = {"real": real[:SHOWN]}
        for number, (name, make) in enumerate(sets.items()):
            progress(name, number / len(sets))
            found[name] = records.get(f"set-{number}", None, partial(self._judged_set, make))
        for name in list(sets)[2:]:
            shown[name] = (drawn(made, SHOWN) if "learned" in name else plain(made, SHOWN)).clamp(0, 1)
        write_samples(self.folder / "samples.png", shown)
        return found

    def rivals(self, progress: Progress) -> Record:
        """Other ways to learn the same clips, as large, taught as long."""
        found: Record = {}
        jobs = [(name, seed) for seed in range(self.seeds) for name in RIVALS]
        # Of the model itself only the finder of places matters here: it reads what the rivals make.
        # Rivals are compared with the model as far as the flow: what streams it is left out.
        parts = self.made.named_parameters()
        size = sum(part.numel() for name, part in parts if not name.startswith("states."))
        own = self.recipe.model_dump(mode="json", exclude={"model": {"states"}})
        told = {"recipe": own, "model": self.finder_hash()}
        records = self.records(minutes=self.minutes, size=size, reader=READER, **told)
        for number, (name, seed) in enumerate(jobs):
            progress(f"training: {RIVALS[name]}", number / len(jobs))
            measure = partial(self._own, seed) if name == OWN else partial(self._rival, name, seed, size)
            figures = records.get(f"rival-{name}-{seed}", None, measure)
            found |= {f"{key}, seed {seed}": value for key, value in figures.items()}
        return found

    def finder_hash(self) -> str:
        content = b"".join(
            part.half().numpy().tobytes() for part in self.made.vae.finder.state_dict().values()
        )
        return hashlib.sha256(content).hexdigest()

    def _own(self, seed: int) -> Record:
        """The model's recipe, shortened to the rivals' time."""
        room = self._room(OWN, seed)
        recipe = self.recipe.model_copy(update={"seed": seed})

        def training(steps: int) -> Training:
            torch.manual_seed(seed)
            budget = recipe.budget.model_copy(
                update={"steps": steps, "minutes": None, "evaluate_every": 1_000_000}
            )
            short = recipe.model_copy(update={"budget": budget})
            share = {"seed": seed, "rank": 0, "world": 1}
            lesson, sampler = composed_lesson(short, (self.train, self.test), share)
            return Training(short, lesson, sampler, room, "moving digits", Workers(0, 1, torch.device("cpu")))

        trial = training(1000)
        cost, begins = 0.0, 0.0
        for stage in recipe.stages:
            trial.plan["step"] = round(begins * 1000)
            cost += stage.share * seconds_a_step(trial)
            begins += stage.share
        taught, told = self._run(training, cost)
        assert isinstance(taught, Taught)
        made = taught.model
        (room / CHECKPOINT).unlink(missing_ok=True)
        clips = {RIVALS[OWN]: drawn(made, CLIPS), PLAIN: plain(made, CLIPS)}
        write_samples(
            self.folder / f"samples-{OWN}-{seed}.png", {name: part[:SHOWN] for name, part in clips.items()}
        )
        return {name: self.judged(part) | told for name, part in clips.items()}

    def _room(self, name: str, seed: int) -> Path:
        room = self.folder / f"training-{name}-{seed}"
        room.mkdir(exist_ok=True)
        return room

    def _run(self, training: Callable[[int], Training], cost: float) -> tuple[torch.nn.Module, Record]:
        """Train for the minutes of this benchmark at `cost` processor seconds a step: the model, and what it took."""
        steps = max(20, round(self.minutes * 60 / cost))
        begun = processor_seconds()
        model = training(steps).run()
        spent = processor_seconds() - begun
        size = sum(part.numel() for part in model.parameters())
        return model, {"parameters": size, "steps": steps, "processor_minutes": spent / 60}

    def _rival(self, name: str, seed: int, size: int) -> Record:
        frames = self.made.frames
        room = self._room(name, seed)

        def training(steps: int) -> Training:
            torch.manual_seed(seed)
            rival = fitting("vae" if name == "vae" else "gan", frames, size)
            composer = partial(
                Composer,
                self.train,
                things=2,
                frames=frames,
                side=self.made.vae.config.side,
                speed=self.speed_of_things,
                seed=seed,
            )
            return Training(
                recipe_of("vae" if name == "vae" else "gan", steps, seed),
                RivalLesson(rival),
                lambda stage: composer(batch=stage.batch),
                room,
                "moving digits",
                Workers(0, 1, torch.device("cpu")),
            )

        rival, told = self._run(training, seconds_a_step(training(WARM_STEPS)))
        assert isinstance(rival, Rival)
        clips = rival.sample(CLIPS, SAMPLE_SEED)
        write_samples(self.folder / f"samples-{name}-{seed}.png", {RIVALS[name]: clips[:SHOWN]})
        (room / CHECKPOINT).unlink(missing_ok=True)
        return {RIVALS[name]: self.judged(clips) | told}

    def future(self, progress: Progress) -> Record:
        """Ten frames seen, ten told."""
        progress("the future of clips", 0.0)
        return self.records().get(
            "future", None, lambda: future(self.made, self.test, self.speed_of_things, progress)
        )

    def speed(self, progress: Progress) -> Record:
        """Seconds to one sample, the median of five, on this machine now."""
        progress("speed", 0.0)
        return self.records(threads=self.threads).get("speed", None, lambda: speeds(self.made))


def seconds_a_step(training: Training) -> float:
    """Of processor time, once warm."""
    training.one_step()
    begun = processor_seconds()
    for _ in range(WARM_STEPS):
        training.one_step()
    return (processor_seconds() - begun) / WARM_STEPS


def processor_seconds() -> float:
    """Of this process so far: what it takes, however many others the machine serves."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _report(result: Record) -> str:
    lines = ["# Generation: moving digits\n"]
    rows: dict[str, list[Any]] = {}
    for name, figures in {**result.get("samples", {}), **result.get("rivals", {})}.items():
        rows[name] = [
            figures["frechet"],
            figures["precision"],
            figures["recall"],
            figures["diversity"],
            100 * figures["legible"],
            100 * figures["straight"],
            100 * figures["moving_well"],
            figures["bounces"],
            sum(share > 0.02 for share in figures["digits"]),
            figures.get("parameters", 0) / 1e6 or None,
            figures.get("processor_minutes"),
        ]
    if rows:
        columns = [
            "set",
            "Fréchet distance",
            "precision",
            "recall",
            "diversity",
            "legible, %",
            "straight steps, %",
            "clips straight throughout, %",
            "bounces a clip",
            "digits seen",
            "parameters, M",
            "processor minutes",
        ]
        lines.append(bench.markdown_table(columns, rows, [2, 2, 2, 2, 1, 1, 1, 1, 0, 2, 1], mean=False))
        lines.append(
            f"{CLIPS} clips in each set, {READ} of them read. Fréchet distance in the latent of the VAE `base`; "
            "legible: frames whose digits do not hide each other and are both read with 90 % confidence.\n"
        )
    if "future" in result:
        told = result["future"]
        lines.append("## Ten frames seen, ten told\n")
        rows = {
            name: [told[name]["psnr"], told[name]["ssim"]] for name in told if isinstance(told[name], dict)
        }
        lines.append(bench.markdown_table(["method", "PSNR, dB", "SSIM"], rows, [2, 3], mean=False))
        lines.append(
            f"{told['clips']} clips of digits that no training saw, {told['draws']} draws of each.\n"
        )
    if "speed" in result:
        told = result["speed"]
        lines.append(
            f"One sample, {told['size']}, {told['frames']} frames: {told['seconds']:.2f} s (median of five).\n"
        )
        if "streamed_fps" in told:
            lines.append(f"The state space goes on at {told['streamed_fps']:.0f} frames a second.\n")
    return "\n".join(lines) + "\n" + bench.provenance(result["environment"])
