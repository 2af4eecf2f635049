"""The web app as a visitor meets it: a real clip goes in, each tab does its work, and the result plays.

With VIVAE_SCREENSHOTS=DIR the same visits, with a larger clip, leave the pictures of the documentation in that folder.
"""

import base64
import os
import re
from pathlib import Path
from time import sleep

import pytest

from tests.app.web.conftest import cut, wait_for
from vivae.media import probe

SCREENSHOTS = os.environ.get("VIVAE_SCREENSHOTS")
PATIENCE = 300_000
"""Milliseconds."""


@pytest.fixture(scope="session")
def clip(street, bikes, tmp_path_factory):
    if SCREENSHOTS:
        return cut(bikes, tmp_path_factory.mktemp("shown") / "street.mp4", frames=60, side=640)
    return street


@pytest.fixture
def visitor(browser, server):
    """A page in a browser without history; fails the test on scripts' errors and on requests to elsewhere."""
    context = browser.new_context(viewport={"width": 1320, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((server, "data:", "blob:")) else wrong.append(request.url)
        ),
    )
    page.goto(server)
    page.wait_for_selector(".vv-drop")
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def at_work(visitor, clip):
    """The same with a clip put in and shown."""
    put(visitor, clip)
    visitor.wait_for_selector("iframe.vv-player")
    return visitor


def put(page, *files):
    count = page.evaluate("vivaeBench.room.clips.length") + len(files)
    page.set_input_files(".vv-drop input", [str(file) for file in files])
    page.wait_for_function(f"vivaeBench.room.clips.filter(clip => clip.viewable).length >= {count}")


def tab(page, name):
    page.get_by_role("tab", name=name).click()
    page.wait_for_timeout(150)


def jobs(page):
    return page.evaluate("vivaeBench.room.jobs")


def ended(page, count=1):
    """Wait for so many jobs; none may have failed."""

    def over():
        found = jobs(page)
        assert not [job["error"] for job in found if job["state"] == "failed"]
        return sum(job["state"] == "done" for job in found) >= count

    wait_for(over)


def player(page):
    """The frame with the player, once its videos have pictures."""
    frame = page.wait_for_selector("iframe.vv-player").content_frame()
    frame.wait_for_function(
        "() => { const all = [...document.querySelectorAll('video')];"
        " return all.length && all.every(video => video.videoWidth > 0 && video.readyState >= 2 && !video.seeking); }"
    )
    return frame


def plays(frame):
    """Press play: every video's time moves."""
    before = frame.evaluate("[...document.querySelectorAll('video')].map(video => video.currentTime)")
    frame.get_by_role("button", name="Play or pause").click()
    for number, time in enumerate(before):
        frame.wait_for_function(f"document.querySelectorAll('video')[{number}].currentTime != {time}")
    frame.get_by_role("button", name="Play or pause").click()


def screenshot(page, name, phone=False):
    """A picture for the documentation, if it is asked for; of a phone's page too."""
    if SCREENSHOTS:
        page.wait_for_timeout(900)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=f"{SCREENSHOTS}/web-{name}.jpg", quality=84, full_page=True)
        if phone:
            page.set_viewport_size({"width": 390, "height": 844})
            page.wait_for_timeout(500)
            page.screenshot(path=f"{SCREENSHOTS}/web-{name}-phone.jpg", quality=84, full_page=True)
            page.set_viewport_size({"width": 1320, "height": 900})


def test_what_is_dropped_is_shown_and_plays(visitor, clip):
    data = base64.b64encode(clip.read_bytes()).decode()
    carried = visitor.evaluate_handle(
        """data => { const carried = new DataTransfer();
        carried.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], "dropped.mp4"));
        return carried; }""",
        data,
    )
    visitor.dispatch_event("body", "drop", {"dataTransfer": carried})
    plays(player(visitor))
    assert visitor.locator(".vv-card b").inner_text() == "dropped.mp4"


def test_a_file_that_browsers_do_not_play_is_shown_all_the_same(visitor, lossless):
    put(visitor, lossless)
    plays(player(visitor))


def test_a_preview_compares_before_and_after(at_work):
    page = at_work
    tab(page, "Style")
    page.get_by_role("radio", name="starry").click()
    page.click("#vv-stylize-preview")
    ended(page)
    page.wait_for_selector(".vv-figures dd")
    assert "memory" in page.locator(".vv-figures dd").first.inner_text()
    frame = player(page)
    wait_for(lambda: frame.locator("video").count() == 2)
    stage = frame.locator(".stage")
    screenshot(page, "style")

    # One slider.
    box = frame.locator(".handle").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] - stage.bounding_box()["width"] / 4, box["y"] + 5)
    page.mouse.up()
    assert 15 < float(frame.locator(".handle").get_attribute("aria-valuenow")) < 35

    # Both sides in step, standing and playing.
    frame.get_by_role("button", name="One frame on").click()
    frame = player(page)
    times = "[...document.querySelectorAll('video')].map(video => video.currentTime)"
    left, right = frame.evaluate(times)
    assert left == right > 0
    plays(frame)
    player(page)
    left, right = frame.evaluate(times)
    # A browser stops each where it is: within the same frame.
    assert left == pytest.approx(right, abs=0.01)

    # Zoom and difference.
    frame.get_by_role("button", name="2×", exact=True).click()
    assert "scale(2)" in frame.locator("video").first.get_attribute("style")
    frame.get_by_role("button", name="Fit").click()
    plain = brightness(stage)
    frame.get_by_role("button", name="4×").last.click()
    assert "difference" in stage.get_attribute("class")
    # The next picture on the screen may still be the one before.
    wait_for(lambda: brightness(stage) != pytest.approx(plain, abs=1))


def test_the_difference_of_a_video_and_itself_is_black(at_work):
    page = at_work
    url = page.evaluate("`/v/clips/${vivaeBench.chosen}/view`")
    frame = player(page)
    frame.evaluate(
        """url => { const root = document.querySelector('[data-piece]'); root.replaceChildren();
        const groups = [{ label: "", items: [{ label: "same", media: url, caption: "", color: 1 }] }];
        MOUNT.slider(root, { width: 160, height: 68, times: [0, 0.04, 0.08], duration: 0.12, original: url, groups,
          start: [0, 0] }); }""",
        url,
    )
    player(page)
    stage = frame.locator(".stage")
    wait_for(lambda: brightness(stage) > 20)
    frame.get_by_role("button", name="16×").click()
    wait_for(lambda: brightness(stage) < 2)


def brightness(locator):
    import cv2
    import numpy as np

    return cv2.imdecode(np.frombuffer(locator.screenshot(), np.uint8), cv2.IMREAD_COLOR).mean()


def test_compress(at_work):
    page = at_work
    tab(page, "Compress")
    speed = page.get_by_label(re.compile("number input for Speed"))
    speed.fill("10")
    speed.press("Tab")
    page.click("#vv-compress-start")
    ended(page)
    plays(player(page))
    assert "--speed 10" in jobs(page)[0]["commands"][0]
    screenshot(page, "compress", phone=True)


def test_enhance_and_download(at_work, tmp_path):
    page = at_work
    tab(page, "Enhance")
    page.get_by_label("Darkness").check()
    page.click("#vv-enhance-start")
    ended(page)
    plays(player(page))
    with page.expect_download() as waiting:
        page.get_by_role("link", name="street-enhanced.mp4").click()
    waiting.value.save_as(tmp_path / waiting.value.suggested_filename)
    assert probe(tmp_path / "street-enhanced.mp4").estimated_frames == probe_frames(page)
    page.get_by_text("The same on the command line").click()
    line = page.locator(".vv-command code").inner_text()
    assert line == "vivae enhance street.mp4 -o street-enhanced.mp4 --light --auto"


def test_a_part_that_is_put_in_anew_is_drawn_again(at_work):
    """Whatever puts it there: the page is put together while the parts already draw."""
    page = at_work
    tab(page, "Enhance")
    page.get_by_label("Darkness").check()
    page.click("#vv-enhance-start")
    ended(page)
    page.evaluate(
        "document.querySelectorAll('.vv-part').forEach(part => part.replaceWith(part.cloneNode(false)))"
    )
    plays(player(page))
    page.get_by_role("link", name="street-enhanced.mp4").wait_for()
    page.get_by_role("tab", name="Compress").click()
    page.wait_for_selector("#vv-compress-start")


@pytest.mark.parametrize("late", ["queue.js", "workbench.js"])
def test_a_script_that_comes_late_leaves_nothing_out(browser, server, late):
    """Gradio puts scripts into the page that do not wait for each other, nor the page's parts for them."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.route(f"**/v/assets/{late}", lambda route: (sleep(2), route.continue_()))
    page.goto(server)
    parts = "[...document.querySelectorAll('.vv-part')]"
    page.wait_for_function(f"{parts}.length && {parts}.every(part => part.childNodes.length)")
    page.close()
    assert wrong == []


def probe_frames(page):
    return page.evaluate("vivaeBench.clip().facts.frames")


def test_detect(at_work):
    page = at_work
    tab(page, "Detect")
    page.get_by_role("checkbox", name="street.mp4").click()
    steps = page.get_by_label(re.compile("number input for Steps"))
    steps.fill("50")
    steps.press("Tab")
    page.click("#vv-detect-start")
    ended(page)
    frame = page.wait_for_selector("iframe.vv-page").content_frame()
    frame.wait_for_selector("text=Over time")


def test_report(at_work):
    page = at_work
    tab(page, "Report")
    page.get_by_label(re.compile("Bits over time")).uncheck()
    page.click("#vv-report-start")
    ended(page)
    frame = page.wait_for_selector("iframe.vv-page").content_frame()
    frame.wait_for_selector("video")
    wait_for(lambda: frame.evaluate("document.querySelector('video').videoWidth") > 0)
    frame.evaluate("document.querySelector('.icon.main').click()")
    wait_for(lambda: frame.evaluate("document.querySelector('video').currentTime") > 0.1)
    # It can show itself, and cannot ask for anything here.
    assert frame.evaluate("fetch('/v/room').then(() => 'got it', () => 'refused')") == "refused"
    screenshot(page, "report")


def test_several_files_are_queued_and_the_rest_can_be_cancelled(visitor, clip, bikes, tmp_path):
    page = visitor
    other = tmp_path / "second.mp4"
    other.write_bytes(clip.read_bytes())
    put(page, clip, other)
    wait_for(lambda: page.locator("#vv-stylize-all").count() == 1)
    tab(page, "Style")
    page.click("#vv-stylize-all")
    ended(page, 2)
    assert [job["title"] for job in jobs(page)] == ["Style · street.mp4", "Style · second.mp4"]

    # What is behind something long waits for as long as one looks at it, on a busy machine, too.
    put(page, bikes)
    page.locator(".vv-card", has_text="bikes.mp4").click()
    tab(page, "Enhance")
    page.get_by_label("Traces of compression").check()
    page.get_by_label("Best, up to four times slower").check()
    page.click("#vv-enhance-start")
    wait_for(lambda: jobs(page)[-1]["state"] == "running")
    tab(page, "Style")
    page.click("#vv-stylize-all")
    waiting = page.locator(".vv-job[data-state=waiting]")
    for left in (3, 2, 1):
        wait_for(lambda left=left: waiting.count() == left)
        waiting.first.get_by_role("button", name="Cancel").click()
    wait_for(lambda: waiting.count() == 0)
    page.locator(".vv-job[data-state=running]").get_by_role("button", name="Cancel").click()
    wait_for(lambda: [job["state"] for job in jobs(page)] == ["done"] * 2 + ["cancelled"] * 4)


def test_pause_and_resume(visitor, bikes):
    page = visitor
    put(page, bikes)
    tab(page, "Enhance")
    page.get_by_label("Traces of compression").check()
    page.click("#vv-enhance-start")
    wait_for(lambda: jobs(page) and jobs(page)[0]["state"] == "running" and jobs(page)[0]["done"] > 0)
    page.get_by_role("button", name="Pause").click()
    wait_for(lambda: jobs(page)[0]["state"] == "paused")
    page.wait_for_timeout(300)  # what it had said before it was stopped may still arrive
    stood = jobs(page)[0]["done"]
    page.wait_for_timeout(600)
    assert jobs(page)[0]["done"] == stood
    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: jobs(page)[0]["done"] > stood)
    words = page.locator(".vv-what p").inner_text()
    assert "fps" in words or "frames" in words
    page.get_by_role("button", name="Cancel").click()
    wait_for(lambda: jobs(page)[0]["state"] == "cancelled")


def test_a_broken_file_is_one_sentence(visitor, tmp_path):
    bad = tmp_path / "broken.mp4"
    bad.write_bytes(b"nothing of a video" * 100)
    visitor.set_input_files(".vv-drop input", str(bad))
    card = visitor.locator(".vv-card[data-state=refused]")
    card.wait_for()
    assert "broken.mp4" in card.inner_text()
    assert "Traceback" not in visitor.content()
    visitor.set_input_files(".vv-drop input", str(Path(__file__)))
    visitor.wait_for_selector("text=of no kind that is known here")
    visitor.click("#vv-compress-start")
    visitor.wait_for_selector("text=No clip is chosen")


@pytest.mark.parametrize("width", [360, 820])
def test_nothing_is_cut_off_on_small_screens(at_work, width):
    page = at_work
    page.set_viewport_size({"width": width, "height": 800})
    for name in page.locator("[role=tab]").all_inner_texts():
        tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_one_visitors_room_is_not_anothers(at_work, browser, server):
    context = browser.new_context()
    other = context.new_page()
    other.goto(server)
    other.wait_for_selector(".vv-drop")
    assert (
        other.evaluate("fetch('/v/room').then(answer => answer.json()).then(room => room.clips.length)") == 0
    )
    key = at_work.evaluate("vivaeBench.chosen")
    assert other.evaluate(f"fetch('/v/clips/{key}/view').then(answer => answer.status)") == 422
    context.close()


def test_an_object_is_clicked_on(at_work):
    page = at_work
    tab(page, "Segment")
    frame = player(page)
    box = frame.locator(".stage").bounding_box()
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 0.55 * box["height"])
    frame.wait_for_selector("text=Found in")
    mask = frame.locator("img.mask")
    assert mask.is_visible()
    assert mask.evaluate("image => image.naturalWidth") == page.evaluate("vivaeBench.clip().facts.width")
    screenshot(page, "segment")
    frame.get_by_role("button", name="Clear").click()
    assert not mask.is_visible()
    page.get_by_label("What passes a still camera").check()
    page.click("#vv-segment-start")
    ended(page)
    plays(player(page))
