"""Memory and minutes by arithmetic, against hand sums of the released 8B; 4 and 8 bits."""

import pytest
import torch
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from benchmarks.random_weights import RELEASED
from ecg_r1 import load_model
from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1Config, ECGR1ForConditionalGeneration
from ecg_r1.quantise import KEPT, check_quantise, quantisation
from ecg_r1.room import (
    Sizes,
    check_room,
    choose_dtype,
    need,
    probe,
    reading_seconds,
    sizes,
    slow_reading,
)

GB = 10**9
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def config():
    return ECGR1Config(**RELEASED, tie_word_embeddings=False)


@pytest.fixture(scope="module")
def size(config):
    return sizes(config)


def test_the_8b_has_the_parameters_of_its_published_shards(size):
    """36 layers of four attention and three MLP matrices; the shards hold 2 bytes each."""
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 12288
    assert size.decoder == 36 * layer
    assert size.head == 151_672 * 4096
    assert size.total == 8_870_882_032
    assert size.cached == 36 * 2 * 8 * 128
    headers = 17_741_876_040 - need(size, torch.bfloat16).weights
    assert headers == 111_976  # the rest of four files are names and shapes


@pytest.mark.parametrize(
    ("quantise", "weights_gb", "total_gb"),
    [(None, 17.74, 20.05), ("8bit", 10.80, 13.10), ("4bit", 7.43, 9.74)],
)
def test_memory_of_the_8b(size, quantise, weights_gb, total_gb):
    """NF4: half a byte, and 1/64 + 4/16,384 of scales; three arms of 911 + 2,048 tokens."""
    needed = need(size, torch.bfloat16, quantise)
    assert needed.cache == 3 * (911 + 2048) * 36 * 2 * 8 * 128 * 2
    assert needed.weights / GB == pytest.approx(weights_gb, abs=0.005)
    assert needed.total / GB == pytest.approx(total_gb, abs=0.005)


def test_a_model_that_does_not_fit_is_refused_with_all_numbers(size):
    needed = need(size, torch.bfloat16)
    said = (
        r"20\.1 GB \(weights 17\.7, .*\) of GPU memory, and 15\.6 GB .*: try 4 bits \(--quant"
    )
    with pytest.raises(ECGError, match=said):
        check_room("big", needed, int(15.6 * GB), CUDA, whole=True)
    with pytest.raises(ECGError, match=r"of memory, .*: try a larger machine"):
        check_room("big", needed, 8 * GB, CPU, whole=True)
    with pytest.raises(ECGError, match=": try a larger machine"):
        check_room("big", needed, 8 * GB, CUDA, whole=False)
    check_room("big", needed, needed.total, CUDA, whole=True)


def test_a_cpu_computes_in_float32_where_it_fits(size):
    whole = need(size, torch.float32).total
    assert choose_dtype(size, CPU, whole) is torch.float32
    assert choose_dtype(size, CPU, whole - 1) is torch.bfloat16


def test_minutes_are_those_of_the_weights_that_pass(size):
    """At 1 ns a weight and step, 800 steps of 7.567 billion weights are 6,053.6 s."""
    assert reading_seconds(size, (1e-9, 0.0)) == pytest.approx(6053.6, abs=0.1)
    prefill = 3 * 911 * 6.945767424 + 2 * 4 * 744 * 0.576388336
    assert reading_seconds(size, (0.0, 1e-9)) == pytest.approx(prefill, rel=1e-6)


def test_a_slow_machine_says_its_minutes_and_a_small_model_nothing(monkeypatch):
    small = Sizes(decoder=10**6, head=10**5, vision=10**5, other=10**5, cached=64, width=64)
    step, token = probe(small, CPU, torch.float32)
    assert 0 < token < step * 3  # a token of a long prompt costs less than a step
    monkeypatch.setattr("ecg_r1.room.probe", lambda *_: (1e-9, 1e-12))
    assert slow_reading(small, CPU, torch.float32) is None
    large = Sizes(7 * 10**9, 10**9, 10**9, 10**9, 64, 4096)
    told = slow_reading(large, CPU, torch.float32)
    assert told.startswith("On this cpu three readings of 800 tokens take about 107 minutes")
    assert slow_reading(large, CUDA, torch.bfloat16) is None


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_few_bits_are_for_the_decoder_alone(config, kind):
    """By transformers' own rule of what it converts."""
    settings = quantisation(kind, torch.bfloat16)
    with torch.device("meta"):
        model = ECGR1ForConditionalGeneration(config)
    skipped = HfQuantizer.get_modules_to_not_convert(model, settings.llm_int8_skip_modules)
    linear = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    converted = [name for name in linear if should_convert_module(name, skipped)]
    assert len(converted) == 36 * 7
    assert all(name.startswith("model.language_model.layers.") for name in converted)
    assert settings.load_in_4bit == (kind == "4bit")
    assert len(KEPT) == len(skipped)


def test_few_bits_without_a_gpu_are_refused_clearly(monkeypatch):
    with pytest.raises(ECGError, match="one of 4bit, 8bit, got '2bit'"):
        check_quantise("2bit")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ECGError, match="4bit needs a CUDA GPU, and there is none"):
        load_model("nano", quantise="4bit")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(ECGError, match=r"8bit needs bitsandbytes \(.*\): pip install bitsand"):
        check_quantise("8bit")
