"""The app with a scripted model: over its API, and in a browser as a visitor sees it."""

import json
import re
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from conftest import ROOT
from gradio_client import Client, handle_file
from PIL import Image
from starlette.routing import Route
from studio import HOSTILE, Nano, Script

import app
import ecg_r1.reading
from ecg_r1 import DISCLAIMER
from ecg_r1.studio import build

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 90_000  # of use on a crowded machine alone; a quiet one needs two seconds
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WFDB = [str(ROOT / "assets/ecgs/A0003.hea"), str(ROOT / "assets/ecgs/A0003.dat")]
UNSAID = (0, "", "")  # fs, units, leads


@pytest.fixture(scope="module")
def served():
    """The app on a free port, its model scripted; gives the address and the script."""
    with pytest.MonkeyPatch.context() as patch:
        script = Script()
        patch.setattr(ecg_r1.reading, "stream", script.stream)
        patch.setattr(ecg_r1.reading, "interpret", script.interpret)
        demo = build.build_demo(Nano)
        routes = {"routes": [Route("/health", app.health)]}
        _, url, _ = demo.launch(
            prevent_thread_lock=True, quiet=True, app_kwargs=routes, **build.LAUNCH
        )
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

    def open_at(width=1400, height=900, query="", done=3, none=0):
        page = browser.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.set_default_timeout(PATIENCE_MS)
        page.complaints, page.requested = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(served[0] + query)
        wait_for_readings(page, done, none)
        return page

    yield open_at
    for page in pages:
        page.close()


def wait_for_readings(page, done=3, none=0):
    counts = f"n('done') == {done} && n('none') == {none}"
    count = "const n = kind => document.querySelectorAll('.arm .status.' + kind).length"
    page.wait_for_function(f"() => {{ {count}; return {counts}; }}")


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def upload(page, *paths):
    page.get_by_role("tab", name="Your own").click()
    page.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
    page.locator(".file-preview").first.wait_for()  # the upload has arrived
    press(page, "Read my ECG")


# ------------------------------------------------------------------ over the API


def test_a_wfdb_pair_from_separate_folders_is_one_record_read_and_audited(client, script):
    files = [handle_file(path) for path in WFDB]
    found = client.predict(files, *UNSAID, api_name="/read")
    assert script.asked[0][0].source_fs == 500
    assert found["disclaimer"] == DISCLAIMER
    assert set(found["arms"]) == {"signal", "image", "both"}
    verdicts = {one["text"]: one["verdict"] for one in found["arms"]["both"]["audit"]["claims"]}
    assert verdicts["Sinus rhythm"] == "contradicted"  # the record's label: fibrillation


def test_numbers_that_the_file_lacks_come_from_the_fields(client, script, tmp_path):
    path = tmp_path / "plain.npy"
    np.save(path, np.tile(np.sin(np.arange(2500) / 25), (12, 1)))
    leads = "V6,V5,V4,V3,V2,V1,aVF,aVL,aVR,III,II,I"
    found = client.predict([handle_file(path)], 250, "mV", leads, api_name="/measure")
    assert {"hr_bpm", "diagnoses", "unmeasurable"} <= set(found)


def test_page_gives_a_picture_and_audit_gives_verdicts(client):
    files = [handle_file(path) for path in WFDB]
    made = client.predict(files, *UNSAID, "12x1", api_name="/page")
    with Image.open(made) as page:
        assert page.size == (1080, 756)  # 270 x 189 mm at four pixels per mm
    text = "Atrial fibrillation. PR interval 160 ms."
    found = client.predict(text, files, *UNSAID, api_name="/audit")
    assert found["claims"][0]["verdict"] == "supported"


def test_a_refusal_reaches_the_client_with_its_words(client, tmp_path):
    path = tmp_path / "short.csv"
    path.write_text("I,II\n1,2\n")
    with pytest.raises(Exception, match=r"short\.csv"):
        client.predict([handle_file(path)], 500, "mV", "", api_name="/measure")


def test_the_server_says_that_it_is_well(served):
    with urlopen(f"{served[0]}health") as answer:
        assert json.load(answer)["status"] == "ok"


def test_only_the_four_calls_are_public_and_readings_queue_one_by_one():
    demo = build.build_demo(Nano)
    public = {f.api_name for f in demo.fns.values() if f.api_visibility == "public"}
    assert public == {"read", "measure", "page", "audit"}
    slots = {f.api_name: (f.concurrency_id, f.concurrency_limit) for f in demo.fns.values()}
    assert slots["open"] == slots["read"] == ("reading", 1)


def test_nothing_is_kept_and_nothing_is_reported():
    demo = build.build_demo(Nano)
    assert demo.analytics_enabled is False
    assert demo.delete_cache == (60, build.KEEP_UPLOADS_S)
    assert build.LAUNCH["run_history"] is False
    assert build.LAUNCH["show_error"] is False


def test_a_model_that_does_not_load_ends_the_program_with_its_reason(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["app.py", "--model", "no_such_folder"])
    assert app.main() == 2
    assert "'no_such_folder'" in capsys.readouterr().err


# ------------------------------------------------------------------ in a browser


def test_the_first_view_is_read_without_a_click_under_the_disclaimer(visit, served):
    page = visit()
    banner = page.locator(".disclaimer").bounding_box()
    assert page.locator(".disclaimer").inner_text() == DISCLAIMER
    assert 0 < banner["y"] < 150
    page.locator(".js-plotly-plot").wait_for()
    labels = page.locator(".arm .chips button.claim").all_inner_texts()
    assert labels == ["sinus rhythm"] * 3
    tops = {round(each.bounding_box()["y"]) for each in page.locator(".arm:visible").all()}
    assert len(tops) == 1
    assert "tokens/s" in page.locator("#arm-both .status").inner_text()
    assert page.complaints == []
    elsewhere = [
        url for url in page.requested if not url.startswith((served[0], "data:", "blob:"))
    ]
    assert elsewhere == []


def test_a_claim_shows_its_place_on_the_trace_and_the_measured_beside_the_claimed(visit):
    page = visit()
    page.locator(".js-plotly-plot").wait_for()
    claim = page.locator("#arm-both button.claim", has_text="PR interval 120 ms")
    sentence = page.locator("#arm-both .sentence", has_text="PR interval 120 ms")
    assert "contradicted" in sentence.locator(".badge").inner_text()
    claim.focus()
    page.keyboard.press("Enter")
    card = page.locator("#claim-card")
    assert "120 ms" in card.inner_text()
    assert re.search(r"Measured\s+1[89]\d(\.\d)? ms", card.inner_text())
    # The plot may still be taking its size, and the mark is drawn anew with it.
    page.wait_for_function(
        """() => {
            const [mark, plot] = [".claim-window", "#trace .js-plotly-plot"].map(
                (each) => document.querySelector(each).getBoundingClientRect());
            return plot.left < mark.left && mark.width > 0 && mark.right < plot.right;
        }"""
    )
    page.keyboard.press("Escape")
    assert card.count() == page.locator(".claim-window").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "PR interval 120 ms"


def test_the_agreement_table_sets_off_what_differs(visit):
    page = visit()
    rows = page.locator("#agreement tbody tr")
    told = {row.split("\n")[0].split("\t")[0].strip(): row for row in rows.all_inner_texts()}
    assert len(told) == 8
    differing = page.locator("#agreement tr.differs").all_inner_texts()
    assert len(differing) == 1  # the image arm alone says QTc 540 ms
    assert "540 ms" in differing[0]
    assert "404 ms" in differing[0]


def test_what_model_and_files_say_is_text_and_never_markup(visit, tmp_path):
    page = visit()
    assert HOSTILE in page.locator("#arm-both .reading").inner_text()
    name = tmp_path / "<img src=x onerror=alert(1)>.csv"
    name.write_text("I,II\n1,2\n")
    upload(page, name)
    page.locator(".toast-body").wait_for()
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "ECG-R1 Studio"


def test_a_picture_alone_leaves_the_arms_without_a_signal_unread(visit, script, tmp_path):
    from ecg_r1.ecg import read_ecg
    from ecg_r1.page import draw_page

    page = visit()
    picture = tmp_path / "photo.jpg"
    draw_page(read_ecg(WFDB[0])).save(picture)
    upload(page, picture)
    wait_for_readings(page, done=1, none=2)
    assert page.locator("#arm-signal .status").inner_text() == "This arm needs a signal."
    assert page.get_by_text("nothing is measured here").is_visible()
    assert "not checkable" in page.locator("#arm-image .tally").inner_text()
    ecg, image, *_ = script.asked[-1]
    assert ecg is None
    assert image.size == (1080, 756)


def test_a_file_that_lacks_its_sampling_rate_is_refused_with_what_to_do(visit, tmp_path):
    page = visit()
    path = tmp_path / "no_rate.csv"
    path.write_text("I,II,V1,V2,V3,V4,V5,V6\n" + "0,0,0,0,0,0,0,0\n" * 5000)
    upload(page, path)
    said = "sampling rate"
    page.get_by_test_id("toast-text").filter(has_text=said).wait_for()
    assert said in page.locator("#arm-both .status").inner_text()


def test_a_control_arm_reads_another_ecg_in_the_same_batch(visit, script):
    page = visit()
    page.get_by_label("another patient's ECG").check()
    press(page, "Read again")
    wait_for_readings(page, done=4)
    (ecg, _, _, control) = script.asked[-1]
    assert control.source != ecg.source
    assert page.locator("#arm-control").is_visible()
    assert "Control" in page.locator("#agreement thead").inner_text()


def test_play_changes_what_the_model_gets_and_not_what_was_measured(visit, script):
    page = visit()
    before = page.locator(".measured table").inner_text()
    page.get_by_role("tab", name="Play").click()
    page.get_by_label("V1", exact=True).check()
    press(page, "Read with these changes")
    page.locator(".case .note", has_text="without V1").wait_for()
    wait_for_readings(page)
    assert np.isnan(script.asked[-1][0].lead("V1")).all()
    assert np.isfinite(script.asked[-1][0].lead("V2")).all()
    assert page.locator(".measured table").inner_text() == before


def test_a_link_brings_the_example_and_its_settings_back(visit, script):
    page = visit(query="?example=A0003&hide=image&leads_off=V2", done=1, none=2)
    assert page.locator(".case h2").inner_text() == "Irregular rhythm"
    ecg, _, arms, _ = script.asked[-1]
    assert arms == ("signal",)
    assert np.isnan(ecg.lead("V2")).all()
    page.get_by_text("Take away: report and link").click()
    press(page, "Link to this example and its settings")
    link = page.locator("#share-link :is(input, textarea)")
    page.wait_for_function("e => e.value.startsWith('http')", arg=link.element_handle())
    assert link.input_value().endswith("?example=A0003&hide=image&leads_off=V2")


def test_a_dialled_heart_is_read(visit, script):
    page = visit()
    page.get_by_role("tab", name="Simulator").click()
    press(page, "Simulate and read")
    page.locator(".case h2", has_text="Simulated heart: sinus").wait_for()
    wait_for_readings(page)
    assert script.asked[-1][0].truth.hr_bpm == pytest.approx(70, abs=3)


def test_guessing_hides_the_answers_and_then_judges_field_by_field(visit):
    page = visit()
    page.get_by_role("tab", name="Guess first").click()
    press(page, "Hide all answers")
    page.get_by_text("Answers are hidden").wait_for()
    assert not page.locator("#arm-both").is_visible()
    assert not page.locator(".measured").is_visible()
    page.get_by_label("Your rate (bpm)").fill("78")
    page.get_by_label("Your PR (ms)").fill("100")
    press(page, "Compare")
    page.get_by_text("1 of 2 right").wait_for()
    assert "too low" in page.locator("#feedback").inner_text()
    page.locator("#arm-both").wait_for()


def test_the_report_comes_as_json_markdown_and_pdf(visit):
    page = visit()
    page.get_by_text("Take away: report and link").click()
    press(page, "Prepare the report")
    contents = {}
    for kind in ("JSON", "Markdown", "PDF"):
        button = page.get_by_role("button", name=f"Download {kind}")
        page.wait_for_function("e => !e.disabled", arg=button.element_handle())
        with page.expect_download() as waiting:
            button.click()
        contents[kind] = Path(waiting.value.path()).read_bytes()
    assert json.loads(contents["JSON"])["disclaimer"] == DISCLAIMER
    assert DISCLAIMER in contents["Markdown"].decode()
    assert contents["PDF"].startswith(b"%PDF")


def test_stop_ends_the_model_and_says_so(visit, script):
    page = visit()
    script.slow = True
    script.closed.clear()
    press(page, "Read again")
    page.locator(".status.busy").first.wait_for()
    press(page, "Stop")
    page.locator(".status.stopped").nth(2).wait_for()
    assert script.closed.wait(timeout=PATIENCE_MS / 1000)
    assert "stopped after" in page.locator("#arm-both .status").inner_text()


def test_another_example_ends_the_reading_that_runs(visit, script):
    page = visit()
    script.slow = True
    press(page, "Read again")
    page.locator(".status.busy").first.wait_for()
    script.slow = False  # from the next reading on; this one would never end
    page.get_by_label("Example ECG").click()
    page.get_by_role("option", name="Irregular rhythm").click()
    page.locator(".case h2", has_text="Irregular rhythm").wait_for()
    wait_for_readings(page)
    assert script.asked[-1][0].source == "A0003.hea"


def test_on_a_phone_the_columns_stack_and_nothing_runs_off_the_side(visit):
    page = visit(390, 844)
    boxes = [each.bounding_box() for each in page.locator(".arm:visible").all()]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert boxes[1]["y"] + boxes[1]["height"] <= boxes[2]["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_badges_can_be_told_from_their_ground(visit, theme):
    page = visit(query=f"?__theme={theme}")
    pairs = page.evaluate(
        """() => [...document.querySelectorAll('.badge')].map(each => {
             const style = getComputedStyle(each);
             return [style.color, style.backgroundColor];
           })"""
    )
    assert pairs
    assert min(contrast(*pair) for pair in pairs) >= 4.5  # WCAG 2.2 AA, 1.4.3


def contrast(one, other):
    """WCAG's contrast of two colours as a browser writes them."""
    bright = sorted(luminance(colour) for colour in (one, other))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_channels_without_names_are_asked_for_instead_of_guessed(visit, script, tmp_path):
    page = visit()
    path = tmp_path / "unnamed.csv"
    wave = [f"{value:.3f}" for value in np.sin(np.arange(2500) / 25)]
    header = "I,II,first,V2,V3,V4,V5,V6"
    path.write_text("\n".join([header, *(",".join([value] * 8) for value in wave)]))
    page.get_by_role("tab", name="Your own").click()
    page.locator("input[type=file]").first.set_input_files(str(path))
    page.locator("#found", has_text="Still to be said").wait_for()
    assert "fs" in page.locator("#found").inner_text()
    leads = page.get_by_label("Leads in order")
    assert leads.input_value() == "I,II,?,V2,V3,V4,V5,V6"
    leads.fill("I,II,V1,V2,V3,V4,V5,V6")
    page.get_by_label("Sampling rate fs (Hz)").fill("250")
    page.get_by_label("Unit", exact=True).click()
    page.get_by_role("option", name="mV", exact=True).click()
    press(page, "Read my ECG")
    page.locator(".case h2", has_text="unnamed.csv").wait_for()
    wait_for_readings(page)
    assert script.asked[-1][0].duration_s == 10
