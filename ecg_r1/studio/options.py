"""How the studio is started: options, environment variables, and what a model needs."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECGError
from ecg_r1.shipped import shipped

EPILOG = """environment variables: ECG_R1_MODEL (as --model), ECG_R1_LOGIN ("name:password";
asks every visitor for it), GRADIO_SERVER_NAME (as --host; Spaces set it)."""
# Beside the weights: activations, the page, Python itself. Ours, from nano's own need.
ROOM_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        model: "nano", a folder or a hub id.
        host: Address to listen on; None is this machine alone, or what Spaces say.
        port: None is 7860 or the next free one.
        queue: Visitors that may wait; more are turned away with a message.
        mcp: Whether the API is also offered over the Model Context Protocol.
        record: Make the readings of the examples anew and leave.
        login: Name and password that every visitor needs; None for none.
    """

    model: str = "nano"
    host: str | None = None
    port: int | None = None
    queue: int = 30
    mcp: bool = False
    record: bool = False
    login: tuple[str, str] | None = None


def read_settings(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Settings from the command line, and where it is silent from the environment.

    Raises:
        ECGError: A login without a colon, or an empty half of it.
    """
    parser = argparse.ArgumentParser(prog="app.py", description=DISCLAIMER, epilog=EPILOG)
    parser.add_argument(
        "--model",
        default=environment.get("ECG_R1_MODEL") or "nano",
        help="nano (shipped, the default), a folder, or a hub id such as "
        "PKUDigitalHealth/ECG-R1-8B-RL (17.7 GB; needs a GPU)",
    )
    parser.add_argument("--host", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, help="port (default: 7860 or the next free one)")
    parser.add_argument(
        "--queue", type=int, default=30, metavar="N", help="visitors that may wait (30)"
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        help="offer the API over MCP too (pip install gradio[mcp])",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="read the shipped examples with nano, keep the readings for the first view, leave",
    )
    said = parser.parse_args(arguments)
    if said.queue < 1:
        parser.error(f"--queue {said.queue} must be 1 or more")
    login = _login(environment)
    return Settings(said.model, said.host, said.port, said.queue, said.mcp, said.record, login)


def _login(environment: Mapping[str, str]) -> tuple[str, str] | None:
    text = environment.get("ECG_R1_LOGIN", "")
    if not text:
        return None
    name, _, password = text.partition(":")
    if not name or not password:
        raise ECGError('ECG_R1_LOGIN must be "name:password"')  # never quoted: it is a secret
    return name, password


def weights_bytes(model: str) -> int | None:
    """Size of a checkpoint's weights on disk; None for a hub id that is not a folder here."""
    folder = shipped("nano") if model == "nano" else Path(model)
    if not folder.is_dir():
        return None
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def check_memory(model: str, weights: int | None, free: int | None, *, on_gpu: bool) -> None:
    """Refuse a model that cannot fit, before minutes of loading end in a crash.

    Args:
        model: For the message.
        weights: Bytes of its weights in bfloat16, None when unknown: then nothing is refused.
        free: Bytes free, None when unknown.
        on_gpu: A CPU computes in float32, which doubles them.

    Raises:
        ECGError: It does not fit; says how much is needed and free, and what to do.

    Example:
        >>> check_memory("big", 17_000_000_000, 8_000_000_000, on_gpu=True)
        Traceback (most recent call last):
        ecg_r1.formats.common.ECGError: model 'big' needs about 18.0 GB of GPU memory and 8.0 GB ...
    """
    if weights is None or free is None or model == "nano":
        return
    needed = weights * (1 if on_gpu else 2) + ROOM_BYTES
    if needed > free:
        where = "GPU memory" if on_gpu else "memory"
        raise ECGError(
            f"model {model!r} needs about {needed / 1e9:.1f} GB of {where} and "
            f"{free / 1e9:.1f} GB are free: use a larger machine, or --model nano"
        )


def free_bytes(*, on_gpu: bool) -> int | None:
    """Memory free now; None where the system does not tell."""
    if on_gpu:
        import torch

        return int(torch.cuda.mem_get_info()[0])
    table = Path("/proc/meminfo")
    if not table.is_file():
        return None
    lines = dict(line.split(":", 1) for line in table.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def load(model: str) -> Any:
    """The model, once its memory has been checked; seconds for nano, minutes for a large one.

    Raises:
        ECGError: It does not fit into memory or cannot be loaded.
    """
    import torch  # the page need not wait for it

    from ecg_r1.loading import load_model

    on_gpu = torch.cuda.is_available()
    check_memory(model, weights_bytes(model), free_bytes(on_gpu=on_gpu), on_gpu=on_gpu)
    return load_model(model)
