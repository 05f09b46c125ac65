"""Greedy decoding against transformers' `generate` and against the reference's tokens."""

from contextlib import contextmanager
from unittest.mock import MagicMock, patch

import pytest
import torch
from safetensors.torch import load_file
from torch._dynamo.testing import CompileCounter

import ecg_r1.decode
from ecg_r1 import draw_page, load_model, read_ecg
from ecg_r1.decode import Prompts, _first_step, greedy, prefill, prompts_of
from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.processing import tower_input
from ecg_r1.simulate import HeartSpec, simulate

ROWS = ["signal", "image", "signal+image", "signal+image"]  # the last one is the control arm's
TINY_TOWER = {"width": 64, "layers": 2, "head_width": 16, "embed_dim": 32}


@pytest.fixture(scope="module")
def nano():
    return load_model("nano", device="cpu")


@pytest.fixture(scope="module")
def inputs(nano, assets):
    """Signals and pages of two real ECGs, for the rows that show them."""
    records = [read_ecg(assets / "ecgs" / f"{name}.hea") for name in ("A0002", "A0003")]
    one, other = (tower_input(ecg, nano.processor.prompt) for ecg in records)
    page, other_page = (draw_page(ecg, **nano.page) for ecg in records)
    return {"ecgs": [one, one, other], "images": [page, page, other_page]}


@pytest.fixture(scope="module")
def prompts(nano, inputs):
    return prompts_of(nano.processor, ROWS, **inputs)


def rows_of(steps):
    return [list(row) for row in zip(*steps, strict=True)]


def options(nano, **changed):
    end = nano.processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    return {
        "max_new_tokens": 200,
        "end_id": end,
        "suppressed": nano.processor.placeholder_ids,
    } | changed


def test_four_arms_give_the_tokens_of_plain_generate(nano, inputs, prompts):
    """On the plain batch, in which every row brings its own copy of its inputs."""
    batch, given = nano.processor(ROWS, **inputs), options(nano)
    out = nano.model.generate(
        **batch,
        do_sample=False,
        max_new_tokens=given["max_new_tokens"],
        eos_token_id=given["end_id"],
        pad_token_id=nano.processor.tokenizer.pad_token_id,
        suppress_tokens=given["suppressed"],
    )
    theirs = out[:, batch["input_ids"].shape[1] :].tolist()
    ours = rows_of(greedy(nano.model, prompts, **given))
    for mine, wanted in zip(ours, theirs, strict=True):
        length = wanted.index(given["end_id"]) + 1
        assert mine[:length] == wanted[:length]
    assert max(row.index(given["end_id"]) + 1 for row in ours) == len(ours[0])


def test_an_input_of_several_rows_is_encoded_once(nano, prompts):
    seen = []
    parts = {"tower": nano.model.model.ecg_tower, "vision": nano.model.model.visual}
    hooks = [
        part.register_forward_hook(
            lambda _, given, kwargs, out, name=name: seen.append(
                (name, len(kwargs.get("grid_thw", given[0])))
            ),
            with_kwargs=True,
        )
        for name, part in parts.items()
    ]
    list(greedy(nano.model, prompts, **options(nano, max_new_tokens=3)))
    for hook in hooks:
        hook.remove()
    assert seen == [("tower", 2), ("vision", 2)]  # three rows show each
    assert (prompts.signals, prompts.pictures) == ([0, 0, 1], [0, 0, 1])


def test_equal_inputs_that_are_not_the_same_object_stay_apart(nano, inputs):
    ecg = inputs["ecgs"][0]
    apart = prompts_of(nano.processor, ["signal", "signal"], ecgs=[ecg, ecg.copy()])
    assert apart.ecg_values.shape[0] == 2
    assert apart.signals == [0, 1]
    assert apart.pixel_values is None


@pytest.mark.parametrize("case", ["both", "ecg", "batch"])
def test_a_model_with_deepstack_gives_the_tokens_of_the_reference(shared, case):
    folder = shared / "reference"
    model = ECGR1ForConditionalGeneration.from_pretrained(
        folder / "tiny_ecgr1", ecg_tower_config=TINY_TOWER
    ).eval()
    recorded = {
        name.removeprefix(f"{case}."): value
        for name, value in load_file(folder / "tiny_ecgr1_io.safetensors").items()
        if name.startswith(f"{case}.")
    }
    ids, pictures = recorded["input_ids"], recorded.get("pixel_values")
    prompts = Prompts(
        input_ids=ids,
        attention_mask=recorded["attention_mask"],
        mm_token_type_ids=(ids == model.config.image_token_id).int(),
        signals=list(range(len(recorded["ecg_features"]))),
        pictures=[] if pictures is None else list(range(len(recorded["image_grid_thw"]))),
        ecg_values=recorded["ecg_features"],
        pixel_values=pictures,
        image_grid_thw=recorded.get("image_grid_thw"),
    )
    ends = model.generation_config.eos_token_id  # the reference kept them away for 20 tokens
    steps = greedy(model, prompts, max_new_tokens=20, end_id=None, suppressed=ends)
    assert rows_of(steps) == recorded["generated"].tolist()


def test_the_end_of_all_rows_ends_the_work(nano, prompts):
    steps = list(greedy(nano.model, prompts, **options(nano, max_new_tokens=12, end_id=None)))
    first = steps[0]
    assert len(set(first)) == 1  # every reading begins in the same way
    given = options(nano, max_new_tokens=12, end_id=first[0])
    assert list(greedy(nano.model, prompts, **given)) == [first]
    assert len(steps) == 12


def test_inputs_that_do_not_fit_their_rows_are_refused_with_both_numbers(nano, inputs):
    with pytest.raises(ValueError, match="2 rows show the image, but 1 were given"):
        prompts_of(nano.processor, ["image", "image"], images=inputs["images"][:1])


def test_placeholders_and_tokens_of_inputs_must_be_as_many(nano, inputs):
    whole = prompts_of(nano.processor, ["signal"], ecgs=inputs["ecgs"][:1])
    lacking = Prompts(**(vars(whole) | {"signals": [0, 0]}))
    with pytest.raises(ValueError, match="101 signal placeholders, but 202 signal tokens"):
        prefill(nano.model, lacking, 5)


def test_layers_compile_once_for_all_of_them_and_for_longer_prompts(nano, inputs, prompts):
    """What a GPU does with its own compiler; here only the tracing is real."""
    counter = CompileCounter()
    halves = tuple(
        torch.compile(half, backend=counter, fullgraph=True)
        for half in (ecg_r1.decode._ask, ecg_r1.decode._answer)
    )
    signals = ["signal"] * 4  # as many rows, and shorter
    shorter = prompts_of(nano.processor, signals, ecgs=inputs["ecgs"] + inputs["ecgs"][:1])
    plain = list(greedy(nano.model, prompts, **options(nano, max_new_tokens=4)))
    with (
        patch("ecg_r1.decode._compiles", return_value=True),
        patch("ecg_r1.decode._fused_halves", return_value=halves),
    ):
        assert list(greedy(nano.model, prompts, **options(nano, max_new_tokens=4))) == plain
        with patch("ecg_r1.decode._STRETCH", 8):  # room for other lengths
            list(greedy(nano.model, shorter, **options(nano, max_new_tokens=12)))
    assert counter.frame_count == 2  # one for each half
    assert len(nano.model.model.language_model.layers) == 5


def test_a_reading_over_many_stretches_has_the_tokens_of_one(nano, prompts):
    given = options(nano, max_new_tokens=40)
    whole = list(greedy(nano.model, prompts, **given))
    length = prompts.input_ids.shape[1]
    seen, step = [], ecg_r1.decode.Batch.step

    def noted(batch, places):
        seen.append((int(batch.place), places))
        step(batch, places)

    with (
        patch("ecg_r1.decode._STRETCH", 8),
        patch("ecg_r1.decode.Batch.step", noted),
    ):
        assert list(greedy(nano.model, prompts, **given)) == whole
    assert [place for place, _ in seen] == list(range(length, length + 39))
    # The new token is among the places, and there are fewer than 8 beyond it.
    assert all(places % 8 == 0 and 0 <= places - place - 1 < 8 for place, places in seen)


def test_numbers_that_overflow_are_told_and_not_read(nano, prompts):
    weight = nano.model.model.language_model.norm.weight
    with torch.no_grad():
        kept = weight[0].clone()
        weight[0] = torch.inf
    try:
        with pytest.raises(ECGError, match="numbers overflow in float32"):
            prefill(nano.model, prompts, 2)
    finally:
        with torch.no_grad():
            weight[0] = kept


def test_a_step_moves_no_memory(nano, prompts):
    """A recorded step reads and writes where it did when it was recorded."""
    batch = prefill(nano.model, prompts, 4)
    held = [batch.token, batch.place, batch.positions, batch.mask, *sum(batch.kept, ())]
    before = [one.data_ptr() for one in held]
    with torch.no_grad():
        batch.step(batch.room)
        batch.step(batch.room)
    after = [batch.token, batch.place, batch.positions, batch.mask, *sum(batch.kept, ())]
    assert [one.data_ptr() for one in after] == before
    assert batch.place.item() == prompts.input_ids.shape[1] + 2


def test_recording_a_step_is_not_a_step(nano, prompts):
    """The order of a GPU's steps: one as it is, one recorded and not run, then replays."""
    told, made = [], []

    def kept_prefill(*given):
        made.append(prefill(*given))
        return made[0]

    class Graph:
        def replay(self):
            told.append("replay")
            made[0].step(made[0].room)

    @contextmanager
    def graph(_, stream, capture_error_mode):
        told.append(f"record, {capture_error_mode}")
        state = [made[0].token, made[0].place, made[0].positions]
        before = [one.clone() for one in state]
        yield  # recorded work runs here, and on a GPU it does not
        for one, was in zip(state, before, strict=True):
            one.copy_(was)

    plain = list(greedy(nano.model, prompts, **options(nano, max_new_tokens=6)))
    with (
        patch("ecg_r1.decode._graphs", return_value=True),
        patch("ecg_r1.decode._compiles", return_value=False),
        patch("ecg_r1.decode.prefill", kept_prefill),
        patch.multiple(
            "torch.cuda",
            Stream=MagicMock(),
            stream=MagicMock(),
            current_stream=MagicMock(),
            CUDAGraph=Graph,
            graph=graph,
        ),
    ):
        assert list(greedy(nano.model, prompts, **options(nano, max_new_tokens=6))) == plain
    assert told == ["record, thread_local", *["replay"] * 4]


def test_layers_that_do_not_compile_are_run_as_they_are_with_a_warning(nano, prompts):
    def broken(*_):
        raise OSError("no C compiler")

    plain = list(greedy(nano.model, prompts, **options(nano, max_new_tokens=3)))
    batch = prefill(nano.model, prompts, 3, nano.processor.placeholder_ids)
    batch.halves = (broken, broken)
    with pytest.warns(UserWarning, match="do not compile: no C compiler"), torch.no_grad():
        _first_step(batch, batch.room)
    assert batch.token[:, 0].tolist() == plain[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.filterwarnings("default")  # torch's compiler has advice to give
@pytest.mark.parametrize("compiles", [False, True])
def test_a_recorded_step_gives_the_tokens_of_generate(compiles):
    """In float32, over a dozen stretches; on a simulated ECG, which needs no files."""
    nano = load_model("nano", device="cuda")
    model = nano.model.float()
    ecg = simulate(HeartSpec(hr_bpm=72), seed=1)
    signal, page = tower_input(ecg, nano.processor.prompt), draw_page(ecg, **nano.page)
    inputs = {"ecgs": [signal] * 2, "images": [page] * 2}
    batch = nano.processor(ROWS[:3], **inputs).to("cuda")
    given = options(nano, max_new_tokens=100)
    given["suppressed"] = [*given["suppressed"], given["end_id"]]  # no row ends before
    out = model.generate(
        **batch, do_sample=False, max_new_tokens=100, suppress_tokens=given["suppressed"]
    )
    with (
        patch("ecg_r1.decode._compiles", return_value=compiles),
        patch("ecg_r1.decode._STRETCH", 8),
    ):
        ours = rows_of(greedy(model, prompts_of(nano.processor, ROWS[:3], **inputs), **given))
    assert ours == out[:, batch["input_ids"].shape[1] :].tolist()
