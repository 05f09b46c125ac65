"""The page's handlers without a browser: what a visitor does, and which updates come of it."""

import asyncio
import inspect
import subprocess
import sys
from base64 import b64encode
from dataclasses import fields
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from studio import Nano, Script

import ecg_r1.loading
import ecg_r1.reading
from ecg_r1.ecg import ECGError, read_ecg
from ecg_r1.formats import MAX_BYTES
from ecg_r1.page import draw_page
from ecg_r1.studio import api, build, exports, views
from ecg_r1.studio.models import Models
from ecg_r1.studio.reader import Reader
from ecg_r1.studio.recorded import Asked, Before
from ecg_r1.studio.sessions import forget_idle, forgetting
from ecg_r1.studio.study import Change, Session
from ecg_r1.studio.tempfiles import Passing

EXAMPLES = build.read_examples()
WFDB = [ROOT / "assets/ecgs/A0003.hea", ROOT / "assets/ecgs/A0003.dat"]


@pytest.fixture
def script(monkeypatch):
    made = Script()
    monkeypatch.setattr(ecg_r1.reading, "stream", made.stream)
    monkeypatch.setattr(ecg_r1.loading, "load_model", made.load)
    return made


@cache
def laid(models):
    """The page's components; handlers give updates and change none of them."""
    with gr.Blocks():
        return build._lay_page(list(EXAMPLES), models)


class Visitor:
    """One visitor: what the fields hold, and what handlers made of the page."""

    def __init__(self, *models, before=None):
        self.at = laid(models)
        self.uploads = Passing(60)
        self.reader = Reader(
            Models(models), EXAMPLES, self.at, self.uploads, read_before=dict(before or {})
        )
        at = self.at
        groups = (at.example, at.own, at.play, at.dials, at.guess, at.actions)
        shown = [one for group in groups for one in group.all()]
        self.values = {one: one.value for one in shown}
        self.values |= {at.session: Session(), at.number: 0}
        self.page = {}

    @property
    def session(self):
        return self.values[self.at.session]

    def does(self, handler, **query):
        """Run a handler to its end, and keep what it changes."""
        request = SimpleNamespace(session_hash="visitor", query_params=query)
        for update in handler(self.values, request):
            self.takes(update)

    def asks(self, handler):
        """Press what leads to a reading."""
        request = SimpleNamespace(session_hash="visitor")
        self.takes({self.at.number: self.reader.ask(self.values, request)})
        self.does(handler)

    def takes(self, update):
        self.page |= update
        self.values |= {one: new for one, new in update.items() if one in self.values}

    def puts(self, *files):
        """Upload files, as Gradio and the watch before it would."""
        self.uploads.expect(map(str, files))
        self.values[self.at.own.files] = [str(file) for file in files]
        request = SimpleNamespace(session_hash="visitor")
        self.takes(self.reader.inspect(self.values[self.at.own.files], request))

    def reads_own(self):
        self.does(self.reader.open_own)
        self.does(self.reader.read_own)


@pytest.fixture
def visitor(script):
    return Visitor("nano")


def copies(folder, *files):
    """The same files where they may be removed."""
    made = []
    for file in files:  # each in a folder of its own, as Gradio keeps them
        place = folder / f"{file.name}.d"
        place.mkdir()
        made.append(place / file.name)
        made[-1].write_bytes(Path(file).read_bytes())
    return made


def test_an_opened_upload_is_gone_before_a_model_reads_it(visitor, script, tmp_path):
    files = copies(tmp_path, *WFDB)
    visitor.puts(*files)
    visitor.does(visitor.reader.open_own)
    assert list(tmp_path.iterdir()) == []
    assert script.asked == []
    assert visitor.values[visitor.at.own.files] is None
    visitor.does(visitor.reader.read_own)
    assert script.asked[0][0].source == "A0003.hea"
    assert "A0003.hea + A0003.dat" in visitor.page[visitor.at.views.title]
    assert visitor.session.opened is None


def test_a_refused_upload_stays_only_for_words_that_its_owner_can_add(visitor, tmp_path):
    at = visitor.at
    lacking, broken = tmp_path / "a/plain.npy", tmp_path / "b/broken.npy"
    for file in (lacking, broken):
        file.parent.mkdir()
    np.save(lacking, np.tile(np.sin(np.arange(2500) / 25), (12, 1)))
    visitor.puts(lacking)
    assert visitor.page[at.own.leads] == ",".join("?" * 12)
    with pytest.raises(gr.Error, match="which lead"):
        visitor.does(visitor.reader.open_own)
    assert lacking.exists()
    visitor.values[at.own.fs], visitor.values[at.own.units] = "250", "mV"
    visitor.values[at.own.leads] = "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"
    visitor.reads_own()
    assert not lacking.exists()
    assert visitor.values[at.own.fs] == visitor.values[at.own.leads] == ""  # said of that one
    broken.write_bytes(b"not numpy")
    visitor.puts(broken)
    with pytest.raises(gr.Error, match=r"broken\.npy"):
        visitor.does(visitor.reader.open_own)
    assert not broken.exists()
    assert visitor.page[at.own.files] is None


def test_an_upload_that_is_replaced_taken_back_or_left_goes(visitor, tmp_path):
    request = SimpleNamespace(session_hash="visitor")
    first, second = copies(tmp_path, *WFDB)
    visitor.puts(first)
    visitor.puts(second)
    assert [first.exists(), second.exists()] == [False, True]
    visitor.puts()
    assert not second.exists()
    (third,) = copies(tmp_path, WFDB[0])
    visitor.puts(third)
    visitor.reader.leave(request)
    assert not third.exists()


def test_a_picture_is_shown_inside_the_page_and_read_by_the_image_arm_alone(
    visitor, script, tmp_path
):
    photo = tmp_path / "up/photo.jpg"
    photo.parent.mkdir()
    draw_page(read_ecg(WFDB[0])).save(photo)
    visitor.puts(photo)
    visitor.reads_own()
    assert visitor.page[visitor.at.views.page].count("data:image/png;base64,") == 1
    assert "needs a signal" in visitor.page[visitor.at.columns["signal"].status]
    assert "done" in visitor.page[visitor.at.columns["image"].status]
    assert script.asked[0][0] is None


def test_two_models_fill_two_rows_and_name_themselves(script):
    visitor = Visitor("nano", "other")
    visitor.does(visitor.reader.open_page)
    done = [
        name for name, at in visitor.at.columns.items() if "done" in visitor.page[at.status]
    ]
    assert done == ["signal", "image", "both", "signal-2", "image-2", "both-2"]
    assert "Signal only (other)" in visitor.page[visitor.at.views.agreement]
    assert visitor.page[visitor.at.views.asked].count("What &lt;is&gt; it?") == 2
    again = Visitor("nano", "other", before=visitor.reader.read_before)
    again.does(again.reader.open_page)
    assert len(script.asked) == 2  # once by each model, for both visitors


def test_a_models_warning_stands_above_its_readings(script, monkeypatch):
    doubtful = Nano("other", warnings=("the tower <b>was never trained",))
    monkeypatch.setattr(ecg_r1.loading, "load_model", lambda name, **_: doubtful)
    visitor = Visitor("other")
    visitor.does(visitor.reader.open_page)
    assert "other: the tower &lt;b&gt;was never" in visitor.page[visitor.at.views.warned]


def test_a_recorded_example_is_shown_without_any_model(script):
    asked = Asked("nano", "You read.", "What?", {"px_per_mm": 2.0})
    reading = ecg_r1.reading.Reading("both", text="Rate 70 bpm.", done=True)
    arms = {"both": {one.name: getattr(reading, one.name) for one in fields(reading)}}
    before = {("nano", "A0002.hea"): Before(asked, arms)}
    visitor = Visitor("nano", before=before)
    visitor.does(visitor.reader.open_page)
    assert script.asked == []
    assert "Rate 70 bpm" in visitor.page[visitor.at.columns["both"].reading]
    visitor.asks(visitor.reader.read_again)  # a click asks the model
    assert len(script.asked) == 1


def test_stopping_tells_the_columns_that_never_began(script):
    visitor = Visitor("nano", "other")
    script.slow = True
    request = SimpleNamespace(session_hash="visitor", query_params={})
    updates = visitor.reader.open_page(visitor.values, request)
    for update in updates:
        visitor.page |= update
        if "busy" in visitor.page.get(visitor.at.columns["both"].status, ""):
            visitor.reader.stop(request)
    assert "stopped after" in visitor.page[visitor.at.columns["both"].status]
    assert "stopped before" in visitor.page[visitor.at.columns["both-2"].status]
    assert len(script.asked) == 1


def test_a_link_opens_a_dialled_heart_and_leads_back_to_itself(visitor, script):
    query = {"example": "simulator", "hr_bpm": "52", "seed": "4", "control": "blank"}
    visitor.does(visitor.reader.open_page, **query)
    assert script.asked[0][0].truth.hr_bpm == pytest.approx(52, abs=3)
    assert visitor.page[visitor.at.dials.hr_bpm] == 52
    assert "a flat line" in visitor.page[visitor.at.columns["control"].shown]
    link = visitor.reader.share(visitor.values)
    assert link == "example=simulator&hr_bpm=52&seed=4&control=blank"


def test_a_link_never_leads_to_a_visitors_own_ecg(visitor, tmp_path):
    visitor.puts(*copies(tmp_path, *WFDB))
    visitor.reads_own()
    with pytest.raises(gr.Error, match="never carries an ECG"):
        visitor.reader.share(visitor.values)


def test_a_model_that_does_not_load_is_told_in_every_column(visitor, monkeypatch):
    def refused(name, **_):
        raise ecg_r1.loading.ECGError("no room for nano")

    monkeypatch.setattr(ecg_r1.loading, "load_model", refused)
    with pytest.raises(gr.Error, match="no room"):
        visitor.does(visitor.reader.open_page)
    assert all("no room" in visitor.page[at.status] for at in visitor.at.columns.values())


def test_what_gradio_refuses_is_told_in_every_column_too(visitor, monkeypatch):
    def spent(self, jobs):
        raise gr.Error("Your GPU minutes are spent")
        yield

    monkeypatch.setattr(Models, "stream", spent)
    with pytest.raises(gr.Error, match="minutes are spent"):
        visitor.does(visitor.reader.open_page)
    assert "minutes are spent" in visitor.page[visitor.at.columns["both"].status]


def test_a_large_photograph_is_kept_no_finer_than_models_see_and_shown_smaller(
    visitor, script, tmp_path
):
    photo = tmp_path / "up/photo.png"
    photo.parent.mkdir()
    draw_page(read_ecg(WFDB[0]), px_per_mm=10).save(photo)  # 2700 x 1890 pixels
    visitor.puts(photo)
    visitor.reads_own()
    assert script.asked[0][1].size == visitor.session.study.image.size == (2400, 1680)
    assert "data:image/jpeg;base64," in visitor.page[visitor.at.views.page]


def test_a_refused_heart_leaves_the_settings_of_what_is_on_the_screen(visitor):
    visitor.does(visitor.reader.open_page)
    at = visitor.at
    visitor.values |= {at.play.noise_mv: 0.2, at.dials.hr_bpm: 200, at.dials.qt_ms: 600}
    visitor.values[at.actions.control] = "blank"
    with pytest.raises(gr.Error, match="qt_ms 600"):
        visitor.asks(visitor.reader.read_simulated)
    assert (visitor.session.change, visitor.session.control_kind) == (Change(), "none")
    assert exports.report(visitor.session)["changed"] == []
    assert "no reading" in visitor.page[at.columns["both"].status]


def test_an_emptied_dial_is_asked_for(visitor):
    visitor.values[visitor.at.dials.seed] = None
    with pytest.raises(gr.Error, match=r"Patient \(seed\) is empty"):
        visitor.asks(visitor.reader.read_simulated)


def test_a_second_press_reads_an_own_ecg_no_second_time(visitor, script, tmp_path):
    visitor.puts(*copies(tmp_path, *WFDB))
    visitor.reads_own()
    visitor.does(visitor.reader.read_own)
    assert len(script.asked) == 1


def test_a_reading_that_waited_while_another_was_asked_for_never_begins(visitor, script):
    request = SimpleNamespace(session_hash="visitor", query_params={})
    waiting = dict(visitor.values)  # the first view, behind other visitors' readings
    visitor.values[visitor.at.dials.hr_bpm] = 52
    visitor.takes({visitor.at.number: visitor.reader.ask(visitor.values, request)})
    passed_over = [{visitor.at.actions.stop: gr.skip()}]  # nothing at all empties all fields
    assert list(visitor.reader.open_page(waiting, request)) == passed_over
    also_waiting = dict(visitor.values)
    visitor.values[visitor.at.dials.hr_bpm] = 90
    visitor.asks(visitor.reader.read_simulated)
    assert list(visitor.reader.read_simulated(also_waiting, request)) == passed_over
    assert [ecg.truth.hr_bpm for ecg, *_ in script.asked] == [pytest.approx(90, abs=3)]


def test_only_a_choice_of_another_example_is_asked_for(visitor, script):
    example, request = visitor.at.example.example, SimpleNamespace(session_hash="visitor")
    visitor.does(visitor.reader.open_page, example="A0003")
    # The list now stands at the link's example, of which the page hears as of any change.
    assert visitor.reader.ask_for_example(visitor.values, request) == gr.skip()
    visitor.does(visitor.reader.read_example)
    assert len(script.asked) == 1
    visitor.values[example] = next(iter(EXAMPLES))
    numbers = [visitor.reader.ask_for_example(visitor.values, request) for _ in range(2)]
    assert numbers == [1, gr.skip()]


def test_what_was_forgotten_is_not_replaced_by_an_example(visitor, script):
    with pytest.raises(gr.Error, match="forgotten"):
        visitor.asks(visitor.reader.read_again)
    assert script.asked == []


def test_what_was_made_of_one_ecg_does_not_stand_beside_the_next(visitor, script):
    visitor.does(visitor.reader.open_page)
    at, reader, values = visitor.at, visitor.reader, visitor.values
    made = (at.views.feedback, at.takeaway.files, at.takeaway.link)
    visitor.takes(reader.compare(values))
    visitor.takes({made[1]: reader.prepare(values), made[2]: reader.share(values)})
    assert all(visitor.page[one] for one in made)
    values[at.example.example] = list(EXAMPLES)[1]
    visitor.asks(reader.read_example)
    assert [visitor.page[one] for one in made] == ["", "", ""]
    demo, _ = build.build_demo(Models(["nano"]))
    begun = next(one for one in demo.fns.values() if one.api_name == "open")
    assert {"feedback", "downloads", "share-link"} <= {one.elem_id for one in begun.outputs}


def test_a_mistake_of_ours_leaves_no_column_waiting(visitor, monkeypatch):
    def broken(self, jobs):
        raise RuntimeError("a defect")
        yield

    monkeypatch.setattr(Models, "stream", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        visitor.does(visitor.reader.open_page)
    assert "went wrong" in visitor.page[visitor.at.columns["both"].status]
    assert visitor.reader.running == {}


def test_channels_without_a_lead_are_shown_with_their_samples(visitor, tmp_path):
    path = tmp_path / "up/unnamed.csv"
    path.parent.mkdir()
    wave = [f"{value:.3f}" for value in np.sin(np.arange(2500) / 25)]
    rows = ["I,II,<b>,V2,V3,V4,V5,V6", *(",".join([one] * 8) for one in wave)]
    path.write_text("\n".join(rows))
    visitor.puts(path)
    found = visitor.page[visitor.at.own.found]
    assert found.count("<svg") == 8
    assert '<th scope="row">3</th><td>&lt;b&gt;</td><td>?</td><td>?</td>' in found
    assert 'aria-label="from -1 to 1"' in found


def test_a_button_pressed_while_its_own_reading_ends_is_not_passed_over():
    """Gradio skips a pressed button whose event still runs, unless told otherwise."""
    demo, _ = build.build_demo(Models(["nano"]))
    modes = {
        each.api_name: each.trigger_mode
        for each in demo.fns.values()
        if each.concurrency_id == "reading" and each.api_name != "read"
    }
    assert len(modes) == 7
    assert set(modes.values()) == {"always_last"}


def test_an_address_is_never_fetched_and_an_uploads_own_address_is_its_path(tmp_path):
    with gr.Blocks():
        field = views.file_field()
    kept = Path(field.GRADIO_CACHE) / "0" / "x.csv"
    for address in (
        "https://example.org/x.csv",
        f"https://example.org/file={tmp_path}/x.csv",
        f"https://example.org/gradio_api/file={kept.parent}/../../x.csv",
    ):
        with pytest.raises(gr.Error, match="upload the file"):
            asyncio.run(field.async_move_resource_to_block_cache(address))
    own = f"http://127.0.0.1:7860/gradio_api/file={kept}"
    assert asyncio.run(field.async_move_resource_to_block_cache(own)) == str(kept)


def test_an_idle_visitor_is_forgotten_with_everything_on_the_screen():
    with gr.Blocks() as demo:
        state = gr.State(Session())
    holder = gr.routes.StateHolder()
    holder.set_blocks(demo)
    for visitor in ("idle", "busy"):
        holder[visitor][state._id].control_kind = visitor
    holder.time_last_used["idle"] -= timedelta(seconds=61)
    forget_idle(holder, 60)
    assert list(holder.session_data) == list(holder.time_last_used) == ["busy"]
    assert holder["busy"][state._id].control_kind == "busy"
    assert holder["idle"][state._id].control_kind == "none"

    async def serve():
        async with forgetting(60, every_s=0.01)(SimpleNamespace(state_holder=holder)):
            holder.time_last_used["busy"] -= timedelta(seconds=61)
            await asyncio.sleep(0.1)

    asyncio.run(serve())
    assert list(holder.session_data) == ["idle"]


def test_the_server_forgets_idle_visitors():
    _, served = build.build_demo(Models(["nano"]))
    assert served["app_kwargs"]["lifespan"].__qualname__.startswith("forgetting")
    assert served["state_session_capacity"] <= 300


def test_a_tool_takes_its_record_as_text_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tool, dicom = api.as_tool(api.measure_api), ROOT / "assets/ecgs/waveform_ecg.dcm"
    assert list(inspect.signature(tool).parameters) == [
        "record", "suffix", "fs", "units", "leads",
    ]  # fmt: skip
    assert "record: The ECG" in tool.__doc__
    assert "files:" not in tool.__doc__
    uri = "data:application/dicom;base64," + b64encode(dicom.read_bytes()).decode()
    told = tool(uri, ".dcm", 0, "", "")
    assert told == api.measure_api([str(dicom)], 0, "", "")
    with pytest.raises(ECGError, match=r"'\.\./x' is none of"):
        tool(uri, "../x", 0, "", "")
    with pytest.raises(ECGError, match="no data: URI in base64"):
        tool("data:,ab%", ".dcm", 0, "", "")
    with pytest.raises(ECGError, match="at most"):
        tool("1" * (MAX_BYTES + 1), ".csv", 0, "", "")
    text, *rest = inspect.signature(api.as_tool(api.audit_api)).parameters
    assert (text, rest[0]) == ("text", "record")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mcp", [False, True])
def test_over_mcp_there_are_four_tools_of_plain_names(mcp):
    demo, _ = build.build_demo(Models(("nano",)), mcp=mcp)
    public = [one.fn for one in demo.fns.values() if one.api_visibility == "public"]
    tools = [one.__name__ for one in public if one._mcp_type == "tool"]
    assert tools == (["read", "measure", "page", "audit"] if mcp else [])
    assert len({one.__name__ for one in public}) == len(public) == 4 + len(tools)


def test_the_models_card_carries_its_pictures(tmp_path, monkeypatch):
    (tmp_path / "nano").mkdir()
    card = "---\nlicense: x\n---\n# nano\n\n![Rewards <rise>](rewards.png)\n\n## Limits\n"
    (tmp_path / "nano/README.md").write_text(card)
    Image.new("RGB", (30, 10)).save(tmp_path / "nano/rewards.png")
    monkeypatch.setattr(build, "shipped", lambda name: tmp_path / name)
    with gr.Blocks() as demo:
        build._lay_card()
    before, picture, after = (one.value.strip() for one in demo.blocks.values())
    assert (before, after) == ("# nano", "## Limits")
    assert 'src="data:image/png;base64,' in picture
    assert 'alt="Rewards &lt;rise&gt;"' in picture


def test_torch_comes_with_the_model_and_not_before():
    """Two threads that import transformers at once stumble over each other."""
    code = """
import sys
from ecg_r1.ecg import ECGError
from ecg_r1.studio.models import Job, Models
def get(self, place):
    raise ECGError(f"asked for {place}")
Models.get = get
try:
    dict(Models(("nano",)).stream([Job(0, ("signal",))]))
except ECGError as error:
    print(error, {"torch", "transformers", "ecg_r1.reading"} & set(sys.modules))
"""
    told = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert told.stdout == "asked for 0 set()\n", told.stderr
