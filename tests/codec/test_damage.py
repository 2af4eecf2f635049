"""Hostile and damaged files: every one ends in a typed error or in frames; none crashes, hangs or takes memory."""

import logging
import time
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from vivae.codec.container import _FRAME, SIGNATURE, VvaReader, _checksum
from vivae.codec.describe import describe
from vivae.codec.latent import LatentDecoder, decode_frames
from vivae.errors import VivaeError
from vivae.media import Frame

BUDGET = 64 << 20
"""Bytes of memory that reading any damaged variant of a 2 kB file may take."""


@pytest.fixture
def small_file(write_file, clip):
    """A real clip at 32x32, two key frames."""
    frames = [
        Frame(f.y[:32, :32], f.u[:16, :16], f.v[:16, :16], f.time, f.duration, f.color) for f in clip[1][:6]
    ]
    return write_file(frames, key_interval=3, quality=0.9)[0]


@pytest.fixture
def picture_file(write_file, clip):
    """One of its frames, as an image is."""
    first = clip[1][0]
    second = Fraction(1, 25)
    frame = Frame(first.y[:32, :32], first.u[:16, :16], first.v[:16, :16], Fraction(0), second, first.color)
    info = replace(clip[0], fps=1 / second, time_base=second)
    return write_file([frame], quality=0.9, info=info, name="picture.vva")[0]


@pytest.fixture
def outcome(model, tmp_path, caplog):
    """What becomes of such bytes: how many frames, or the error's type."""
    # Thousands of kept warnings, with the errors in them, would count as memory.
    caplog.set_level(logging.CRITICAL, "vivae")

    named = []

    def read(data, best_effort=False):
        path = tmp_path / "bad.vva"
        path.write_bytes(data)
        try:
            with VvaReader(path) as reader:
                if reader.header.width * reader.header.height > 1 << 16:
                    # A header may claim a large frame and be right; decoding it only costs time.
                    return sum(group.frames for group in reader.groups())
                frames = decode_frames(reader, model, best_effort=best_effort)
                return sum(1 for _ in islice(frames, 50))
        except VivaeError as error:
            named.append(str(path) in str(error))
            return type(error)

    yield read
    assert all(named)


def chunks_of(data):
    at, found = len(SIGNATURE), []
    while at < len(data):
        kind, length, _ = _FRAME.unpack(data[at : at + _FRAME.size])
        found.append((kind, data[at + _FRAME.size : at + _FRAME.size + length]))
        at += _FRAME.size + length
    return found


def joined(chunks):
    return SIGNATURE + b"".join(_FRAME.pack(k, len(c), _checksum(k, c)) + c for k, c in chunks)


def bounded(work):
    """Run with a look at Python's and numpy's memory."""
    tracemalloc.start()
    try:
        work()
        assert tracemalloc.get_traced_memory()[1] < BUDGET
    finally:
        tracemalloc.stop()


def test_every_bit_of_the_front(small_file, outcome):
    data = small_file.read_bytes()
    front = len(SIGNATURE) + _FRAME.size + len(chunks_of(data)[0][1])

    def work():
        for bit in range(8 * front):
            broken = bytearray(data)
            broken[bit // 8] ^= 1 << bit % 8
            assert isinstance(outcome(bytes(broken)), type), f"bit {bit} went unnoticed"

    bounded(work)


@pytest.mark.slow
def test_two_thousand_random_flips_and_cuts(small_file, outcome):
    data = small_file.read_bytes()
    rng = np.random.default_rng(1)
    index = data.rindex(b"INDX")

    def work():
        for number in range(2000):
            broken = bytearray(data)
            if number % 2:
                del broken[rng.integers(1, len(data)) :]
            for _ in range(rng.integers(number % 2 == 0, 3)):
                broken[rng.integers(len(broken))] ^= 1 << rng.integers(8)
            found = outcome(bytes(broken), best_effort=number % 3 == 0)
            # All six frames come out only where nothing but the index was hit.
            assert found != 6 or broken[:index] == data[:index]

    bounded(work)


@pytest.mark.parametrize("kind", ["video", "picture"])
def test_contents_with_right_checksums(kind, small_file, picture_file, outcome):
    """Damage that checksums do not show reaches the parser, the range decoder and the networks."""
    chunks = chunks_of((small_file if kind == "video" else picture_file).read_bytes())
    rng = np.random.default_rng(2)
    errors = results = 0

    def work():
        nonlocal errors, results
        for _ in range(300):
            changed = [(kind, bytearray(content)) for kind, content in chunks]
            for _ in range(rng.integers(1, 4)):
                _, content = changed[rng.integers(len(changed))]
                if rng.random() < 0.2:
                    del content[rng.integers(len(content)) :]
                elif content:
                    content[rng.integers(len(content))] = rng.integers(256)
            found = outcome(joined([(kind, bytes(content)) for kind, content in changed]))
            errors += isinstance(found, type)
            results += not isinstance(found, type)

    bounded(work)
    assert errors > 100
    assert results > 0


def test_what_stands_behind_a_picture_is_not_read(picture_file, outcome):
    data = picture_file.read_bytes()
    assert [kind for kind, _ in chunks_of(data)] == [b"PICT"]
    assert describe(picture_file)["bytes"] == {
        "key_frames": len(data) - len(SIGNATURE),
        "overhead": len(SIGNATURE),
    }
    assert outcome(data) == outcome(data + data[len(SIGNATURE) :]) == 1


def test_groups_cannot_claim_more_frames_than_allowed(small_file, outcome):
    chunks = chunks_of(small_file.read_bytes())
    kind, content = chunks[1]
    assert kind == b"GRUP"
    many = content[:3] + b"\x02" + 2 * (b"\xff\x07" + b"\x01")  # twice 1023 frames of one tick
    started = time.monotonic()
    assert isinstance(outcome(joined([chunks[0], (kind, many + content[7:]), *chunks[2:]])), type)
    assert time.monotonic() - started < 20


def test_noise_as_payload(small_file, model, tmp_path):
    chunks = chunks_of(small_file.read_bytes())
    rng = np.random.default_rng(3)
    for _ in range(50):
        kind, content = chunks[1]
        path = tmp_path / "noise.vva"
        path.write_bytes(joined([chunks[0], (kind, content[:6] + rng.bytes(400)), *chunks[-2:]]))
        with VvaReader(path) as reader, pytest.raises(VivaeError):
            list(LatentDecoder(model, reader.header).steps(reader.groups()))


def test_description_says_what_is_damaged(small_file, tmp_path):
    whole = describe(small_file)
    assert whole["intact"]
    assert whole["frames"] == 6
    assert whole["key_frames"] == 2
    assert sum(whole["bytes"].values()) == whole["size_bytes"] == small_file.stat().st_size
    data = bytearray(small_file.read_bytes())
    data[len(data) // 2] ^= 1
    bad = tmp_path / "bad.vva"
    bad.write_bytes(data)
    told = describe(bad)
    assert not told["intact"]
    assert "checksum" in told["damage"]
