"""The models that are served: one, or two side by side; each loaded once for all visitors.

On ZeroGPU every reading is one GPU call for all arms of all models, since each call waits for a
GPU and is counted against the visitor's minutes.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from ecg_r1.ecg import ECG, ECGError

try:
    import spaces  # before torch, which it makes believe that there is a GPU
except ImportError:
    spaces = None

if TYPE_CHECKING:
    from PIL import Image

    from ecg_r1.loading import LoadedModel
    from ecg_r1.report import Reading

# Seconds asked of ZeroGPU: for moving the weights to the GPU, and for each token of the longest
# reading. Ours: an 8B model in bfloat16 writes a batch of four at some 30 ms a token.
GPU_START_S, GPU_TOKEN_S = 15.0, 0.05


def is_zero_gpu() -> bool:
    """Whether this runs on a ZeroGPU Space."""
    return spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")


@dataclass(frozen=True, eq=False)
class Job:
    """What one model is to read: arguments of `reading.stream`.

    Attributes:
        place: Which model, counted from 0.
        arms: Some of "signal", "image", "both".
        ecg: The record.
        image: The page.
        control: Another ECG, for the control arm.
    """

    place: int
    arms: tuple[str, ...]
    ecg: ECG | None = None
    image: "Image.Image | None" = None
    control: ECG | None = None


class Models:
    """Models by place: 0 is the first, 1 the one beside it.

    Attributes:
        names: What each was asked for by.
        quantise: "4bit" or "8bit" for all but nano, None for full precision.
        told: What loading said of each: size, licence, memory, minutes to expect.
    """

    def __init__(self, names: Sequence[str], quantise: str | None = None) -> None:
        """`names`: "nano", folders or hub ids, at most two."""
        self.names, self.quantise = tuple(names), quantise
        self.told: dict[str, list[str]] = {name: [] for name in names}
        self._loaded: dict[str, LoadedModel] = {}
        self._lock = Lock()
        self._read = _reader(self)
        if is_zero_gpu():
            self._read = spaces.GPU(duration=self.gpu_seconds)(self._read)

    def get(self, place: int = 0) -> "LoadedModel":
        """A model; the first call loads it, others wait for that.

        Raises:
            ECGError: It cannot be loaded, or does not fit beside what is loaded already.
        """
        name = self.names[place]
        if name not in self._loaded:
            with self._lock:
                if name not in self._loaded:
                    self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> "LoadedModel":
        # Both bring torch and transformers, whose lazy imports fail where two threads meet in
        # them: whoever needs these modules asks for the model first.
        from ecg_r1 import loading, reading  # noqa: F401

        def tell(line: str) -> None:
            sys.stderr.write(f"{line}\n")
            self.told[name].append(line)

        self.told[name].clear()
        bits = None if name == "nano" else self.quantise
        return loading.load_model(name, quantise=bits, tell=tell)

    def load_all(self) -> None:
        """Load every model, the first one first."""
        for place in range(len(self.names)):
            self.get(place)

    def gpu_seconds(self, jobs: Sequence[Job]) -> float:
        """How long ZeroGPU should lend a GPU for these jobs at most."""
        prompts = [self.get(job.place).processor.prompt for job in jobs]
        return GPU_START_S + GPU_TOKEN_S * sum(prompt.max_new_tokens for prompt in prompts)

    def stream(self, jobs: Sequence[Job]) -> "Iterator[tuple[int, dict[str, Reading]]]":
        """Read with one model after the other; closing the iterator stops them.

        Yields:
            A model's place, and its readings so far by arm; the last of a place is final.

        Raises:
            ECGError: A job cannot be read, or the memory does not suffice.
        """
        with closing(self._read(jobs)) as snapshots:
            for place, readings in snapshots:
                if isinstance(readings, ECGError):
                    raise readings
                yield place, readings


def _reader(models: Models) -> Callable[[Sequence[Job]], Iterator[tuple[int, Any]]]:
    """What runs on the GPU: a function of its own, since ZeroGPU copies its arguments.

    It yields an ECGError instead of raising it: from ZeroGPU's process only names of errors
    come back.
    """

    def read(jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        for job in jobs:
            try:
                model = models.get(job.place)
            except ECGError as error:
                yield job.place, error
                continue
            import torch

            from ecg_r1.reading import stream

            given = {"ecg": job.ecg, "image": job.image, "control": job.control}
            try:
                with closing(stream(model=model, arms=job.arms, **given)) as snapshots:
                    for readings in snapshots:
                        yield job.place, readings
            except ECGError as error:
                yield job.place, error
            except torch.OutOfMemoryError:
                name = models.names[job.place]
                yield job.place, ECGError(f"the GPU's memory does not suffice for {name!r}")

    return read
