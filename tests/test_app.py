"""The app with a scripted model: over its API, and in a browser as a visitor sees it."""

import base64
import json
import re
import shutil
import time
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from urllib.request import Request, urlopen

import numpy as np
import pytest
from conftest import ROOT
from gradio_client import Client, handle_file
from gradio_client.utils import strip_invalid_filename_characters
from PIL import Image
from studio import HOSTILE, Nano, Script

import app
import ecg_r1.loading
import ecg_r1.reading
from benchmarks.samples import beats, write_all, write_table
from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECGError, read_ecg
from ecg_r1.formats import MAX_BYTES
from ecg_r1.page import draw_page
from ecg_r1.studio import build
from ecg_r1.studio.models import Models
from ecg_r1.studio.options import Settings

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 90_000  # of use on a crowded machine alone; a quiet one needs two seconds
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WFDB = [str(ROOT / "assets/ecgs/A0003.hea"), str(ROOT / "assets/ecgs/A0003.dat")]
UNSAID = (0, "", "")  # fs, units, leads
EXAMPLES = build.read_examples()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where Gradio keeps what passes through."""
    return tmp_path_factory.mktemp("gradio")


@pytest.fixture(scope="module")
def start(folder):
    """Serves some models, all scripted, on a free port; gives the address and the script."""
    with pytest.MonkeyPatch.context() as patch:
        script, pages = Script(), []
        patch.setattr(ecg_r1.reading, "stream", script.stream)
        patch.setattr(ecg_r1.loading, "load_model", script.load)
        patch.setattr(app, "recorded", lambda _: {})  # the real nano's
        patch.setenv("GRADIO_TEMP_DIR", str(folder))

        def serve(*models):
            settings = Settings(*models)
            pages.append(app.serve(settings, prevent_thread_lock=True, quiet=True))
            return pages[-1].local_url, script

        yield serve
        for page in pages:
            page.close()


@pytest.fixture(scope="module")
def served(start):
    return start("nano")


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

    def open_at(width=1400, height=900, query="", done=3, none=0, url=served[0]):
        page = browser.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.set_default_timeout(PATIENCE_MS)
        page.complaints, page.requested = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(url + query)
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


def put(page, *paths):
    """Put files into the field and wait until the server has looked at them."""
    page.get_by_role("tab", name="Your own").click()
    page.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
    kept = [strip_invalid_filename_characters(Path(path).name) for path in paths]
    names = re.compile("|".join(map(re.escape, kept)))
    page.locator("#found", has_text=names).wait_for()


def upload(page, *paths):
    put(page, *paths)
    press(page, "Read my ECG")


def choose(page, title):
    """Choose a shipped example and wait for its readings."""
    page.get_by_role("tab", name="Examples").click()
    page.get_by_label("Example ECG").click()
    page.get_by_role("option", name=title, exact=True).click()
    page.locator(".case h2").filter(has_text=title).wait_for()
    wait_for_readings(page)


def told(page, words):
    """Wait for a message and close it, so that the next one is told from it."""
    shown = page.get_by_test_id("toast-body").filter(has_text=words)
    shown.first.wait_for()
    for each in page.get_by_test_id("toast-close").all():
        each.click()
    page.wait_for_function("!document.querySelector('[data-testid=toast-body]')")


def left_in(folder):
    """Files that Gradio still keeps."""
    return [file for file in folder.rglob("*") if file.is_file()]


# ------------------------------------------------------------------ over the API


def test_a_wfdb_pair_is_read_audited_and_removed_with_the_request(client, script, folder):
    files = [handle_file(path) for path in WFDB]
    found = client.predict(files, *UNSAID, api_name="/read")
    assert script.asked[0][0].source_fs == 500
    assert found["disclaimer"] == DISCLAIMER
    assert (found["model"], found["second"]) == ("nano", None)
    assert set(found["arms"]) == {"signal", "image", "both"}
    verdicts = {one["text"]: one["verdict"] for one in found["arms"]["both"]["audit"]["claims"]}
    assert verdicts["Sinus rhythm"] == "contradicted"  # the record's label: fibrillation
    assert left_in(folder) == []


def test_numbers_that_the_file_lacks_come_from_the_fields(client, script, tmp_path):
    path = tmp_path / "plain.npy"
    np.save(path, np.tile(np.sin(np.arange(2500) / 25), (12, 1)))
    leads = "V6,V5,V4,V3,V2,V1,aVF,aVL,aVR,III,II,I"
    found = client.predict([handle_file(path)], 250, "mV", leads, api_name="/measure")
    assert {"hr_bpm", "diagnoses", "unmeasurable"} <= set(found)


def test_page_gives_a_picture_and_audit_gives_verdicts_and_both_leave_nothing(client, folder):
    files = [handle_file(path) for path in WFDB]
    made = client.predict(files, *UNSAID, "12x1", api_name="/page")
    with Image.open(made) as page:
        assert page.size == (1080, 756)  # 270 x 189 mm at four pixels per mm
        assert page.info["Disclaimer"] == DISCLAIMER
        shown = draw_page(read_ecg(WFDB[0]), "12x1", disclaimer=DISCLAIMER)
        np.testing.assert_array_equal(np.asarray(page), np.asarray(shown))
    text = "Atrial fibrillation. PR interval 160 ms."
    found = client.predict(text, files, *UNSAID, api_name="/audit")
    assert found["claims"][0]["verdict"] == "supported"
    assert left_in(folder) == []


def test_a_refusal_reaches_the_client_with_its_words_and_leaves_nothing(
    client, tmp_path, folder
):
    path = tmp_path / "short.csv"
    path.write_text("I,II\n1,2\n")
    with pytest.raises(Exception, match=r"short\.csv"):
        client.predict([handle_file(path)], 500, "mV", "", api_name="/measure")
    assert left_in(folder) == []


def test_the_same_file_of_two_visitors_stays_until_both_have_read_it(served, folder):
    """Gradio keeps one copy of equal uploads; the first reader must not take the second's."""
    sent = [post_file(served[0], Path(WFDB[0])) for _ in range(2)]
    assert sent[0] == sent[1]
    given = [{"path": sent[0], "meta": {"_type": "gradio.FileData"}}]
    asked = json.dumps({"data": [given, *UNSAID]}).encode()  # the client would upload it again
    call = f"{served[0]}gradio_api/call/measure"
    for n_left in (1, 0):
        with urlopen(Request(call, asked, {"Content-Type": "application/json"})) as answer:
            event = json.load(answer)["event_id"]
        with urlopen(f"{call}/{event}") as answer:
            assert b"error" in answer.read()  # a header without its samples
        assert len(left_in(folder)) == n_left


def test_an_upload_beyond_the_limit_is_refused_and_leaves_nothing(served, folder, tmp_path):
    path = tmp_path / "long.csv"
    path.write_bytes(bytes(MAX_BYTES + 1))
    with pytest.raises(OSError, match="413"):
        post_file(served[0], path)
    assert left_in(folder) == []


def post_file(url, path):
    """Upload one file as a browser does; the name under which the server keeps it."""
    head = (
        f'--x\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    )
    body = head.encode() + path.read_bytes() + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    with urlopen(Request(f"{url}gradio_api/upload", body, kind), timeout=60) as answer:
        return json.load(answer)[0]


def test_the_server_says_that_it_is_well(served):
    with urlopen(f"{served[0]}health") as answer:
        assert json.load(answer)["status"] == "ok"


def test_only_the_four_calls_are_public_and_readings_queue_one_by_one():
    demo, _ = build.build_demo(Models(["nano"]))
    public = {f.api_name for f in demo.fns.values() if f.api_visibility == "public"}
    assert public == {"read", "measure", "page", "audit"}
    slots = {f.api_name: (f.concurrency_id, f.concurrency_limit) for f in demo.fns.values()}
    assert slots["open"] == slots["read"] == ("reading", 1)


def test_nothing_is_kept_and_nothing_is_reported():
    demo, _ = build.build_demo(Models(["nano"]))
    assert demo.analytics_enabled is False
    assert demo.delete_cache == (60, build.KEEP_S)
    assert build.LAUNCH["run_history"] is False
    assert build.LAUNCH["show_error"] is False


@pytest.mark.parametrize("option", ["--model", "--second-model"])
def test_a_model_that_does_not_load_ends_the_program_with_its_reason(
    option, monkeypatch, capsys
):
    def load(name, **_):
        if name != "nano":
            raise ECGError(f"{name!r} is no checkpoint")
        return Nano()

    monkeypatch.setattr(ecg_r1.loading, "load_model", load)
    monkeypatch.setattr("sys.argv", ["app.py", option, "no_such_folder"])
    assert app.main() == 2
    assert "'no_such_folder'" in capsys.readouterr().err


def test_mcp_without_its_package_and_a_taken_port_end_the_program_with_a_line(
    monkeypatch, capsys
):
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["app.py", "--mcp"])
    assert app.main() == 2
    assert "gradio[mcp]" in capsys.readouterr().err

    def taken(settings):
        raise OSError("Cannot find empty port in range: 7860-7860.")

    monkeypatch.setattr(app, "serve", taken)
    monkeypatch.setattr("sys.argv", ["app.py", "--port", "7860"])
    assert app.main() == 2
    assert capsys.readouterr().err == "app.py: Cannot find empty port in range: 7860-7860.\n"


def test_threads_share_two_arenas_where_the_c_library_has_them(monkeypatch):
    told = []
    glibc = SimpleNamespace(mallopt=lambda *setting: told.append(setting))
    for library in (glibc, SimpleNamespace()):
        monkeypatch.setattr(app.ctypes, "CDLL", lambda _, library=library: library)
        app.share_arenas()
    assert told == [(-8, 2)]  # M_ARENA_MAX of glibc's malloc.h


def test_an_address_is_refused_and_an_uploads_own_address_is_read(client, served, folder):
    with pytest.raises(Exception, match="upload the file itself"):
        client.predict(
            [handle_file("https://example.org/ecg.csv")], *UNSAID, api_name="/measure"
        )
    sent = [post_file(served[0], Path(path)) for path in WFDB]
    given = [
        {"path": f"{served[0]}gradio_api/file={path}", "meta": {"_type": "gradio.FileData"}}
        for path in sent
    ]
    found = client.predict(given, *UNSAID, api_name="/measure")
    assert "atrial fibrillation" in found["diagnoses"]
    assert left_in(folder) == []


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


def test_each_example_is_read_with_its_label_behind_reveal(visit, script):
    page = visit()
    opened = len(script.asked)
    shown = list(EXAMPLES)
    for title in (*shown[1:], shown[0]):  # the first is on the screen already
        choose(page, title)
        assert page.locator(".js-plotly-plot .trace").count() > 0, title
        label = page.get_by_text(EXAMPLES[title]["source"])
        assert not label.is_visible(), title
        page.get_by_role("button", name="Reveal the source's label").click()
        label.wait_for()
    assert len(script.asked) == opened + len(EXAMPLES)  # none is read twice
    assert page.complaints == []


def test_an_example_chosen_by_keyboard_is_read_once(visit, script):
    page = visit()
    opened, second = len(script.asked), list(EXAMPLES)[1]
    page.get_by_label("Example ECG").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".case h2").filter(has_text=second).wait_for()
    wait_for_readings(page)
    page.get_by_role("button", name="Reveal the source's label").click()
    page.get_by_label("Example ECG").focus()  # passed by on the way elsewhere
    page.keyboard.press("Tab")
    press(page, "Read again")  # behind whatever that may have asked for
    wait_for_asked(page, script, opened + 2)
    wait_for_readings(page)
    assert len(script.asked) == opened + 2
    assert script.asked[-1][0].source == EXAMPLES[second]["file"]


def wait_for_asked(page, script, n):
    """Wait until so many readings have begun."""
    waited = 0.0
    while len(script.asked) < n and waited < PATIENCE_MS / 1000:
        page.wait_for_timeout(100)
        waited += 0.1


def test_each_format_is_opened_read_and_gone_from_the_disk(visit, script, tmp_path, folder):
    page = visit()
    dicom = shutil.copy(ROOT / "assets/ecgs/waveform_ecg.dcm", tmp_path)
    for files in write_all(tmp_path, Path(dicom)):
        n_read = len(script.asked)
        is_picture = files[0].suffix in (".png", ".jpg")
        put(page, *files)
        lacking = page.locator("#found").inner_text()
        if "Still to be said" in lacking:
            say(page, lacking)
        press(page, "Read my ECG")
        title = " + ".join(one.name for one in files)
        page.locator(".case h2").get_by_text(title, exact=True).wait_for()
        wait_for_readings(page, *((1, 2) if is_picture else (3, 0)))
        assert len(script.asked) == n_read + 1, title
        assert (script.asked[-1][0] is None) == is_picture, title
        page.locator("#found", has_text=f"{title} is open; nothing of it is on disk").wait_for()
        assert left_in(folder) == [], title


def say(page, lacking):
    """Fill in what an upload lacks."""
    if "fs:" in lacking:
        page.get_by_label("Sampling rate fs (Hz)").fill("500")
    if "units:" in lacking:
        page.get_by_label("Unit", exact=True).click()
        page.get_by_role("option", name="mV", exact=True).click()
    if "leads:" in lacking:
        leads = page.get_by_label("Leads in order")
        page.wait_for_function("e => e.value.includes('?')", arg=leads.element_handle())
        leads.fill("I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6")


def test_each_upload_that_cannot_be_read_is_refused_with_what_is_wrong(visit, tmp_path, folder):
    page, trace = visit(), beats(seconds=2.5)
    before = page.locator(".case h2").inner_text()
    write_table(tmp_path / "two.csv", trace[:2], header=("I", "II"))
    write_table(tmp_path / "brief.csv", trace[:, :100])
    write_table(tmp_path / "twice.csv", trace, header=["I"] * 12)
    write_table(tmp_path / "volts.csv", 1e6 * trace)
    (tmp_path / "words.csv").write_text("I,II,V1\nhello,there,now\n")
    (tmp_path / "cut.dcm").write_bytes(
        (ROOT / "assets/ecgs/waveform_ecg.dcm").read_bytes()[:900]
    )
    (tmp_path / "no.xml").write_text("<html><body>not an ECG</body></html>")
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.new("RGB", (600, 400), "green").save(tmp_path / "meadow.png")
    said = {  # files -> what the refusal names
        ("two.csv",): "V1",
        ("brief.csv",): "brief.csv",
        ("twice.csv",): "stands twice",
        ("volts.csv",): "check the units",
        ("words.csv",): "hello",
        ("cut.dcm",): "cut.dcm",
        ("no.xml",): "no.xml",
        ("broken.npy",): "broken.npy",
        ("broken.png",): "broken.png",
        ("meadow.png",): "does not look like an ECG page",
        ("two.csv", "no.xml"): "cannot be combined",
    }
    page.get_by_role("tab", name="Your own").click()
    page.get_by_label("Sampling rate fs (Hz)").fill("500")
    page.get_by_label("Unit", exact=True).click()
    page.get_by_role("option", name="mV", exact=True).click()
    for names, words in said.items():
        upload(page, *(tmp_path / name for name in names))
        told(page, words)
        assert words in page.locator("#found").inner_text(), names
        if page.locator(".file-preview").count():  # kept for words that its owner may add
            page.locator("#files").get_by_label("Clear").last.click()
            page.wait_for_function("!document.querySelector('#found p')")
        assert left_in(folder) == [], names
    assert page.locator(".case h2").inner_text() == before
    wait_for_readings(page)


def test_words_and_numbers_that_make_no_sense_are_refused(visit):
    page = visit()
    page.get_by_role("tab", name="Your own").click()
    press(page, "Read my ECG")
    told(page, "choose a file or paste a table")
    page.get_by_label("Sampling rate fs (Hz)").fill("fast")
    press(page, "Read my ECG")
    told(page, "'fast' is no number")
    page.get_by_label("Sampling rate fs (Hz)").fill("")
    page.get_by_text("Or paste a table").click()
    page.get_by_label("CSV with a first row").fill("I,II\nx,y")
    press(page, "Read my ECG")
    told(page, "pasted table")
    page.get_by_role("tab", name="Guess first").click()
    page.get_by_label("Your PR (ms)").fill("wide")
    press(page, "Compare")
    told(page, "'wide'")
    page.get_by_role("tab", name="Simulator").click()
    page.get_by_label("number input for Heart rate (bpm)").fill("200")
    page.get_by_label("number input for QT (ms)").fill("600")
    press(page, "Simulate and read")
    told(page, "QT")
    assert "no reading" in page.locator("#arm-both .status").inner_text()


def test_a_link_that_asks_for_nonsense_says_so_and_shows_the_first_example(visit):
    page = visit(query="?example=A0003&blur=7")
    told(page, "blur '7'")
    assert page.locator(".case h2").inner_text() == next(iter(EXAMPLES))


def test_an_upload_goes_when_it_is_taken_back_and_when_its_owner_leaves(visit, folder):
    page = visit()
    put(page, *WFDB)
    assert len(left_in(folder)) == 2
    page.locator("#files").get_by_label("Clear").last.click()
    page.wait_for_function("!document.querySelector('#found p')")
    assert left_in(folder) == []
    put(page, *WFDB)
    page.close()
    waited = 0.0
    while left_in(folder) and waited < PATIENCE_MS / 1000:
        time.sleep(0.2)  # the server notices at its next heartbeat
        waited += 0.2
    assert left_in(folder) == []


def test_a_control_arm_reads_something_else_in_the_same_batch_and_says_what(visit, script):
    page = visit()
    for choice, words in (
        ("another patient's ECG", f"another patient's ECG ({list(EXAMPLES)[-1]})"),
        ("a flat line", "a flat line"),
    ):
        page.get_by_label(choice, exact=True).check()
        press(page, "Read again")
        shown = page.locator("#arm-control .from", has_text=f"shown {words} in place of")
        shown.wait_for()
        wait_for_readings(page, done=4)
        (ecg, _, _, control) = script.asked[-1]
        assert control.source != ecg.source
        assert control.signal.any() == (choice != "a flat line")
        assert f"Control: {words}" in page.locator("#agreement thead").inner_text()
    assert page.get_by_text("cannot be asked without any ECG").is_visible()


def test_a_second_model_stands_below_the_first_in_one_reading(visit, start, tmp_path):
    url, script = start("nano", "some/other <b>")
    page = visit(url=url, done=6)
    assert page.locator("h3.reader").all_inner_texts() == ["nano", "some/other <b>"]
    boxes = [page.locator(f"#arm-{one}").bounding_box() for one in ("both", "both-2")]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    heads = page.locator("#agreement thead th").all_inner_texts()
    assert heads[-1] == "Signal and image (some/other <b>)"
    assert len(heads) == 2 + 6
    page.get_by_role("button", name="About the model (some/other").click()
    page.get_by_text("17.7 GB, licence <free>").last.wait_for()
    page.get_by_text("Same for all arms").click()
    page.locator("#asked").get_by_text("What <is> it?").last.wait_for()
    client = Client(url, verbose=False)
    files = [handle_file(path) for path in WFDB]
    found = client.predict(files, *UNSAID, api_name="/read")
    assert found["second"]["model"] == "some/other <b>"
    assert set(found["second"]["arms"]) == {"signal", "image", "both"}
    assert len(script.asked) == 4


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
    press(page, "Link to this ECG and its settings")
    link = page.locator("#share-link :is(input, textarea)")
    page.wait_for_function("e => e.value.startsWith('http')", arg=link.element_handle())
    assert link.input_value().endswith("?example=A0003&hide=image&leads_off=V2")
    assert len(script.asked) == 1  # though the list was changed to stand at it


def test_a_dialled_heart_is_read(visit, script):
    page = visit()
    page.get_by_role("tab", name="Simulator").click()
    press(page, "Simulate and read")
    page.locator(".case h2", has_text="Simulated heart: sinus").wait_for()
    wait_for_readings(page)
    assert script.asked[-1][0].truth.hr_bpm == pytest.approx(70, abs=3)


def test_a_link_brings_a_dialled_heart_back(visit, script):
    page = visit(query="?example=simulator&rhythm=junctional&hr_bpm=52&seed=4&blur=0.3")
    assert page.locator(".case h2").inner_text() == "Simulated heart: junctional, seed 4"
    assert script.asked[-1][0].truth.hr_bpm == pytest.approx(52, abs=3)
    page.get_by_role("tab", name="Simulator").click()
    assert page.get_by_label("number input for Heart rate (bpm)").input_value() == "52"
    page.get_by_text("Take away: report and link").click()
    press(page, "Link to this ECG and its settings")
    link = page.locator("#share-link :is(input, textarea)")
    page.wait_for_function("e => e.value.startsWith('http')", arg=link.element_handle())
    assert link.input_value().endswith(
        "?example=simulator&hr_bpm=52&seed=4&rhythm=junctional&blur=0.3"
    )


def test_guessing_hides_the_answers_and_then_judges_field_by_field(visit):
    page = visit()
    page.get_by_role("tab", name="Guess first").click()
    press(page, "Hide all answers")
    page.get_by_text("Answers are hidden").wait_for()
    assert not page.locator("#arm-both").is_visible()
    assert not page.locator(".measured").is_visible()
    page.get_by_label("Your rate (bpm)").fill("78")
    page.get_by_label("Your PR (ms)").fill("145")  # measured near 190 ms: within twice 30
    page.get_by_label("Your QRS (ms)").fill("300")
    press(page, "Compare")
    page.get_by_text("1.5 of 3 points").wait_for()
    feedback = page.locator("#feedback").inner_text()
    assert "near (0.5 of 1)" in feedback
    assert "too high" in feedback
    page.locator("#arm-both").wait_for()


def test_the_report_comes_as_json_markdown_and_pdf_and_never_touches_the_disk(visit, folder):
    page = visit()
    page.get_by_text("Take away: report and link").click()
    press(page, "Prepare the report")
    contents = {}
    for kind in ("JSON", "Markdown", "PDF"):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=f"Download {kind}").click()
        contents[kind] = Path(waiting.value.path()).read_bytes()
        assert waiting.value.suggested_filename.startswith("ecg-r1-report.")
    told_json = json.loads(contents["JSON"])
    assert told_json["disclaimer"] == DISCLAIMER
    assert told_json["models"][0]["question"] == "What <is> it?"
    assert DISCLAIMER in contents["Markdown"].decode()
    assert contents["PDF"].startswith(b"%PDF")
    assert left_in(folder) == []


def test_the_page_opens_over_the_whole_screen(visit):
    page = visit()
    page.get_by_role("tab", name="Page, as the model sees it").click()
    page.get_by_role("button", name="The twelve leads drawn").click()
    page.wait_for_function("document.fullscreenElement?.tagName === 'IMG'")
    picture = page.locator("#page img").get_attribute("src")
    with Image.open(BytesIO(base64.b64decode(picture.partition(",")[2]))) as seen:
        assert seen.size == (540, 378)  # 270 x 189 mm at two pixels per mm


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


def test_the_last_of_two_examples_chosen_at_once_is_read(visit, script):
    """The first one's reading still ends when the second one's begins."""
    page = visit()
    script.slow = True  # the first one's reading would never end
    first, second = list(EXAMPLES)[1:3]
    page.get_by_label("Example ECG").click()
    page.get_by_role("option", name=first, exact=True).click()
    page.locator(".status.busy").first.wait_for()
    script.slow = False
    choose(page, second)
    assert script.asked[-1][0].source == EXAMPLES[second]["file"]


def test_of_two_examples_chosen_behind_another_visitor_the_last_alone_is_read(visit, script):
    reading, waiting = visit(), visit()
    script.slow = True
    press(reading, "Read again")
    reading.locator(".status.busy").first.wait_for()
    script.slow = False
    opened, (first, second) = len(script.asked), list(EXAMPLES)[1:3]
    for title in (first, second):
        with waiting.expect_response("**/gradio_api/queue/join*") as joined:
            waiting.get_by_label("Example ECG").click()
            waiting.get_by_role("option", name=title, exact=True).click()
            if title == second:  # the first one's place in the queue is kept for it
                press(reading, "Stop")
        assert joined.value.ok
    waiting.locator(".case h2").filter(has_text=second).wait_for()
    wait_for_readings(waiting)
    assert [ecg.source for ecg, *_ in script.asked[opened:]] == [EXAMPLES[second]["file"]]


def test_a_claim_that_is_open_closes_with_its_ecg(visit):
    page = visit()
    page.locator(".js-plotly-plot").wait_for()
    page.locator("#arm-both button.claim", has_text="PR interval 120 ms").click()
    page.locator("#claim-card").wait_for()
    choose(page, list(EXAMPLES)[1])
    page.wait_for_function("!document.querySelector('#claim-card, .claim-window')")


def test_on_a_phone_the_columns_stack_and_nothing_runs_off_the_side(visit):
    page = visit(390, 844)
    boxes = [each.bounding_box() for each in page.locator(".arm:visible").all()]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert boxes[1]["y"] + boxes[1]["height"] <= boxes[2]["y"]
    for name in TABS:
        open_tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


TABS = ("Examples", "Your own", "Play", "Simulator", "Guess first")


def open_tab(page, name):
    """Choose one of the first tabs; on a narrow screen it may lie behind the dots."""
    tab = page.get_by_role("tab", name=name)
    if not tab.first.is_visible():
        page.locator(".overflow-menu button").first.click()
        page.locator(".overflow-dropdown").get_by_text(name).click()
    else:
        tab.first.click()


CONTRASTS = (ROOT / "tests/contrasts.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_letters_can_be_told_from_their_ground(visit, theme):
    """WCAG 2.2 AA, 1.4.3: 4.5:1, and 3:1 for large letters."""
    page = visit(query=f"?__theme={theme}")
    page.locator("button.claim").first.click()
    page.evaluate(
        "document.querySelectorAll('.label-wrap:not(.open)').forEach(each => each.click())"
    )
    press(page, "Prepare the report")
    page.locator(".downloads a").first.wait_for()
    page.get_by_role("tab", name="Guess first").click()
    page.get_by_label("Your rate (bpm)").fill("150")
    press(page, "Compare")
    page.locator("#feedback table").wait_for()
    seen, faint = 0, {}
    for tab in (*TABS, "Page, as the model sees it"):
        page.get_by_role("tab", name=tab).click()
        found = page.evaluate(CONTRASTS)
        seen += len(found)
        faint |= {one["text"]: one for one in found if one["ratio"] < one["needed"]}
    assert seen > 600
    assert not faint, "\n".join(map(str, faint.values()))


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
