"""The app with a scripted model: over its API, and in a browser as a visitor sees it."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from conftest import ROOT
from gradio_client import Client, handle_file
from PIL import Image

import app
import ecg_r1.reading
from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECGError
from ecg_r1.reading import ARMS, Reading

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 90_000  # of use on a crowded machine alone; a quiet one needs two seconds
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
WFDB = [str(ROOT / "assets/ecgs/A0003.hea"), str(ROOT / "assets/ecgs/A0003.dat")]
FIRST = next(iter(app.read_examples()))


class Nano:
    name = "nano"
    page = {"px_per_mm": 2.0}  # noqa: RUF012  the shape of LoadedModel, no more


@dataclass
class Script:
    """What the stand-in for `reading.stream` saw, and how it behaves."""

    asked: list = field(default_factory=list)
    closed: Event = field(default_factory=Event)
    slow: bool = False

    def stream(self, *, ecg=None, image=None, model=None, arms=ARMS):
        self.asked.append((ecg, image))
        lacking = {"done": True, "problem": "This arm needs a signal."}
        lacks = {arm: ecg is None and arm != "image" for arm in arms}
        try:
            slow = self.slow
            for n in range(10_000 if slow else 3):
                yield {
                    arm: replace(written(arm, n), **(lacking if lacks[arm] else {}))
                    for arm in arms
                }
                time.sleep(0.1 if slow else 0.01)
            last = {"done": True, "diagnoses": ("sinus rhythm",), "summary": "All is well."}
            yield {
                arm: replace(written(arm, 7), **(lacking if lacks[arm] else last))
                for arm in arms
            }
        finally:
            self.closed.set()


def written(arm, n):
    text = f"{arm} says {HOSTILE}"
    return Reading(arm, text=text, steps={1: text}, well_formed=True, seconds=1.5, n_tokens=n)


@pytest.fixture(scope="module")
def served():
    """The app on a free port, its model scripted; gives the address and the script."""
    with pytest.MonkeyPatch.context() as patch:
        script = Script()
        patch.setattr(ecg_r1.reading, "stream", script.stream)
        demo = app.build_demo(Nano)
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, **app.LAUNCH)
        yield url, script
        demo.close()


@pytest.fixture
def script(served):
    """The script, fresh for one test."""
    served[1].__init__()
    return served[1]


@pytest.fixture(scope="module")
def client(served):
    return Client(served[0], verbose=False)


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip(f"needs a browser at {CHROMIUM} (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(served, script, browser):
    """Opens the app in a window of a given width and waits for the first readings."""
    pages = []

    def open_at(width=1400, height=900):
        page = browser.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.set_default_timeout(PATIENCE_MS)
        page.complaints, page.requested = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(served[0])
        wait_for_readings(page)
        return page

    yield open_at
    for page in pages:
        page.close()


def wait_for_readings(page, done=3, none=0):
    counts = f"n('done') == {done} && n('none') == {none}"
    count = "const n = kind => document.querySelectorAll('.arm .status.' + kind).length"
    page.wait_for_function(f"() => {{ {count}; return {counts}; }}")


def upload(page, *paths):
    page.get_by_text("Read an ECG of your own").click()
    page.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
    page.locator(".file-preview").first.wait_for()  # the upload has arrived
    page.get_by_role("button", name="Read", exact=True).click()


# ------------------------------------------------------------------ over the API


def said(client, *values, api_name):
    """All text that one call sent to the page, update by update."""
    job = client.submit(*values, api_name=api_name)
    job.result()
    return "\n".join(str(value) for update in job.outputs() for value in update)


def test_an_example_gives_three_readings_of_record_and_page(client, script):
    shown = said(client, FIRST, api_name="/example")
    assert shown.count("done in 1.5 s, 7 tokens") == 3
    assert f"<h2>{FIRST}</h2>" in shown
    ((ecg, image),) = script.asked
    assert ecg.signal.shape[0] == 12
    assert image.width == 540  # 270 mm at the scripted model's two pixels per mm


def test_a_wfdb_pair_from_separate_folders_is_one_record(client, script):
    files = [handle_file(path) for path in WFDB]
    client.predict(FIRST, files, "", "", "", api_name="/read")
    assert script.asked[0][0].source_fs == 500


def test_numbers_that_the_file_lacks_come_from_the_fields(client, script, tmp_path):
    path = tmp_path / "plain.npy"
    np.save(path, np.tile(np.sin(np.arange(2500) / 25), (12, 1)))
    leads = "V6,V5,V4,V3,V2,V1,aVF,aVL,aVR,III,II,I"
    client.predict(FIRST, [handle_file(path)], "250", "mV", leads, api_name="/read")
    ecg = script.asked[0][0]
    assert (ecg.source_fs, ecg.duration_s) == (250, 10)


def test_a_sampling_rate_that_is_no_number_is_refused_and_an_empty_one_is_unsaid():
    assert app.stated("", "", " ") == {"fs": None, "units": None, "leads": None}
    with pytest.raises(ECGError, match="'fast'"):
        app.stated("fast")
    demo = app.build_demo(Nano)
    read = next(each for each in demo.fns.values() if each.api_name == "read")
    with pytest.raises(gr.Error, match="fast"):
        list(read.fn(FIRST, ["a.npy"], "fast", "mV", "", SimpleNamespace(session_hash="me")))


def test_a_model_that_cannot_be_loaded_is_said_with_its_reason(monkeypatch):
    def absent():
        raise ECGError("no checkpoint could be loaded from 'nano'")

    demo = app.build_demo(absent)
    opened = next(each for each in demo.fns.values() if each.api_name == "example")
    with pytest.raises(gr.Error, match="no checkpoint could be loaded from &#x27;nano&#x27;"):
        list(opened.fn(FIRST, SimpleNamespace(session_hash="me")))


def test_nothing_is_kept_and_nothing_is_reported():
    demo = app.build_demo(Nano)
    assert demo.analytics_enabled is False
    assert demo.delete_cache == (60, app.KEEP_UPLOADS_S)
    assert app.LAUNCH["run_history"] is False
    assert app.LAUNCH["show_error"] is False


def test_one_reading_at_a_time_whoever_asks():
    demo = app.build_demo(Nano)
    slots = {f.api_name: (f.concurrency_id, f.concurrency_limit) for f in demo.fns.values()}
    assert slots["open"] == slots["example"] == slots["read"] == ("reading", 1)


# ------------------------------------------------------------------ in a browser


def test_the_first_view_is_read_without_a_click_under_the_disclaimer(visit, served):
    page = visit()
    banner = page.locator(".disclaimer").bounding_box()
    assert page.locator(".disclaimer").inner_text() == DISCLAIMER
    assert 0 < banner["y"] < 150
    page.locator(".js-plotly-plot").wait_for()
    assert page.locator(".arm .chips").all_inner_texts() == ["sinus rhythm"] * 3
    tops = {round(each.bounding_box()["y"]) for each in page.locator(".arm").all()}
    assert len(tops) == 1
    assert page.complaints == []
    elsewhere = [
        url for url in page.requested if not url.startswith((served[0], "data:", "blob:"))
    ]
    assert elsewhere == []


def test_what_model_and_files_say_is_text_and_never_markup(visit, tmp_path):
    page = visit()
    assert page.locator("#arm-both .steps").inner_text().count("onerror") == 1
    name = tmp_path / "<img src=x onerror=alert(1)>.csv"
    name.write_text("I,II\n1,2\n")
    upload(page, name)
    page.locator(".toast-body").wait_for()
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "ECG-R1 Studio"


def test_a_picture_alone_leaves_the_arms_without_a_signal_unread(visit, script, tmp_path):
    page = visit()
    picture = tmp_path / "photo.jpg"
    Image.new("RGB", (320, 240), "white").save(picture)
    upload(page, picture)
    wait_for_readings(page, done=1, none=2)
    assert page.locator("#arm-signal .status").inner_text() == "This arm needs a signal."
    assert page.get_by_text("nothing is measured here").is_visible()
    ecg, image = script.asked[-1]
    assert ecg is None
    assert image.size == (320, 240)


def test_a_file_that_lacks_its_sampling_rate_is_refused_with_what_to_do(visit, tmp_path):
    page = visit()
    path = tmp_path / "no_rate.csv"
    path.write_text("I,II,V1,V2,V3,V4,V5,V6\n" + "0,0,0,0,0,0,0,0\n" * 5000)
    upload(page, path)
    said = "no_rate.csv does not state its sampling rate"
    page.get_by_test_id("toast-text").filter(has_text=said).wait_for()
    assert said in page.locator("#arm-both .status").inner_text()


def test_stop_ends_the_model_and_says_so(visit, script):
    page = visit()
    script.slow = True
    script.closed.clear()
    page.get_by_role("button", name="Read", exact=True).click()
    page.locator(".status.busy").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator(".status.stopped").nth(2).wait_for()
    assert script.closed.wait(timeout=PATIENCE_MS / 1000)
    assert "stopped after" in page.locator("#arm-both .status").inner_text()


def test_another_example_ends_the_reading_that_runs(visit, script):
    page = visit()
    script.slow = True
    page.get_by_role("button", name="Read", exact=True).click()
    page.locator(".status.busy").first.wait_for()
    script.slow = False  # from the next reading on; this one would never end
    page.get_by_label("Example ECG").click()
    page.get_by_role("option", name="Irregular rhythm").click()
    page.locator(".case h2", has_text="Irregular rhythm").wait_for()
    wait_for_readings(page)
    assert script.asked[-1][0].source == "A0003.hea"


def test_on_a_phone_the_columns_stack_and_nothing_runs_off_the_side(visit):
    page = visit(390, 844)
    boxes = [each.bounding_box() for each in page.locator(".arm").all()]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert boxes[1]["y"] + boxes[1]["height"] <= boxes[2]["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
