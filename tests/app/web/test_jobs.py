"""Jobs in processes of their own: stopped and going on, cancelled, crashing, in their order; what uploads are."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.app.web.conftest import wait_for
from vivae.app.web.jobs import Job, Jobs
from vivae.app.web.worker import Done, Progress
from vivae.errors import InputError
from vivae.media import probe


@dataclass(frozen=True)
class Counting:
    """Counts, and writes a file."""

    folder: Path
    count: int
    threads: int = 1

    def run(self, send):
        (self.folder / "result.txt").write_text("x")
        for number in range(self.count):
            time.sleep(0.01)
            send(Progress("counting", number + 1, self.count))
        return Done([{}], 1.0, 1)


@dataclass(frozen=True)
class Crashing:
    how: str
    threads: int = 1

    def run(self, send):
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "refused":
            raise InputError("/secret/place is empty")
        raise RuntimeError("unforeseen")


@pytest.fixture
def jobs():
    found = Jobs(slots=1)
    yield found
    found.close()


@pytest.fixture
def job(tmp_path):
    def made(order=None, kind="whole", count=40):
        folder = tmp_path / os.urandom(4).hex()
        folder.mkdir()
        order = order or Counting(folder, count)
        return Job(kind, "room", "verb", "title", folder, order, names={"/secret/place": "clip.mp4"})

    return made


def test_a_paused_job_stands_still_gives_its_slot_away_and_goes_on(jobs, job):
    first, second = jobs.add(job(count=400)), jobs.add(job(count=5))
    wait_for(lambda: first.done > 2)
    assert second.state == "waiting"
    jobs.pause(first)
    wait_for(lambda: second.state == "done")
    time.sleep(0.3)  # what it had said before it was stopped may still arrive
    stood = first.done
    time.sleep(0.3)
    assert first.done == stood < 400
    assert first.state == "paused"
    jobs.resume(first)
    wait_for(lambda: first.done > stood)
    jobs.cancel(first)


def test_a_waiting_job_can_be_paused_too(jobs, job):
    first, second = jobs.add(job(count=150)), jobs.add(job(count=1))
    jobs.pause(second)
    wait_for(lambda: first.state == "done")
    time.sleep(0.1)
    assert second.state == "paused"
    jobs.resume(second)
    wait_for(lambda: second.state == "done")


@pytest.mark.parametrize("paused", [False, True])
def test_a_cancelled_job_leaves_nothing(jobs, job, paused):
    held = jobs.add(job(count=4000))
    wait_for(lambda: held.done > 0)
    if paused:
        jobs.pause(held)
    jobs.cancel(held)
    wait_for(lambda: held.process.exitcode is not None and not held.folder.exists())
    assert held.state == "cancelled"
    after = jobs.add(job(count=1))
    wait_for(lambda: after.state == "done")


def test_previews_go_before_whole_videos(jobs, job):
    running, whole, preview = (
        jobs.add(job(kind=kind, count=count))
        for kind, count in (("whole", 20), ("whole", 4000), ("preview", 20))
    )
    wait_for(lambda: running.state == "done")
    wait_for(lambda: preview.state == "done")
    assert whole.state in ("waiting", "running")
    assert whole.done < 4000
    wait_for(lambda: whole.done > 0)
    jobs.cancel(whole)


@pytest.mark.parametrize(
    "how, text", [("killed", "memory"), ("refused", "clip.mp4 is empty"), ("raised", "RuntimeError")]
)
def test_a_job_that_ends_badly_says_so_and_harms_no_other(jobs, job, how, text):
    bad, good = jobs.add(job(Crashing(how))), jobs.add(job(count=2))
    wait_for(lambda: good.state == "done")
    assert bad.state == "failed"
    assert text in bad.error
    assert "Traceback" not in bad.error
    assert not bad.folder.exists()


def test_speed_and_time_left_agree(jobs, job):
    held = jobs.add(job(count=1000))
    wait_for(lambda: held.done > 80)
    speed, left = held.speed(), held.left()
    assert 0 < speed <= 100
    assert left == pytest.approx((1000 - held.done) / speed, rel=0.3)
    jobs.cancel(held)


def test_a_clip_is_looked_at_and_made_playable(enter, street, lossless):
    room = enter(street, lossless)
    plain, coded = room.clips.values()
    assert (plain.facts["width"], plain.facts["height"], plain.facts["frames"]) == (160, 68, 25)
    assert plain.thumbnail.read_bytes()[:2] == b"\xff\xd8"
    wait_for(lambda: plain.view and coded.view)
    assert plain.view == plain.path
    assert coded.view != coded.path


@pytest.mark.parametrize(
    "content, text",
    [
        (b"", "empty"),
        (b"not a video at all" * 50, "holiday.mp4"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", "holiday.mp4"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "holiday.mp4"),
    ],
)
def test_a_broken_upload_is_one_sentence_without_our_paths(enter, house, tmp_path, content, text):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(content)
    room = enter(bad, names=["holiday.mp4"])
    (clip,) = room.clips.values()
    assert clip.state == "refused"
    assert text in clip.told
    assert str(room.folder) not in clip.told
    assert "\n" not in clip.told
    assert not clip.path.exists()


def test_a_file_that_breaks_off_is_shown_as_far_as_it_goes_or_it_is_said_why_not(enter, lossless, tmp_path):
    cut_off = tmp_path / "cut.mkv"
    cut_off.write_bytes(lossless.read_bytes()[: lossless.stat().st_size // 2])
    (clip,) = enter(cut_off).clips.values()
    wait_for(lambda: clip.view or clip.told)
    assert clip.view is None or probe(clip.view).estimated_frames < 25
    assert "\n" not in clip.told


def test_a_list_that_names_other_files_gives_none_of_them(enter, street, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text(f"ffconcat version 1.0\nfile {street}\n")
    (clip,) = enter(bad).clips.values()
    assert clip.state == "refused"


def test_a_video_that_is_too_long_is_refused(enter, house, bikes, monkeypatch):
    monkeypatch.setattr(house, "limits", type(house.limits)(seconds=5))
    (clip,) = enter(bikes).clips.values()
    assert clip.state == "refused"
    assert "minutes" in clip.told
