"""How the studio is started: options and environment variables."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECGError

SUMMARY = (
    "Serve ECG-R1 Studio: a web page on which one ECG is read from its signal, from its image "
    f"and from both. {DISCLAIMER}"
)
EPILOG = """environment variables: ECG_R1_MODEL (as --model), ECG_R1_SECOND_MODEL (as
--second-model), ECG_R1_QUANTISE (as --quantise), ECG_R1_LOGIN ("name:password"; asks every
visitor for it), GRADIO_SERVER_NAME (as --host; Spaces set it), GRADIO_TEMP_DIR (where uploads
lie while they are read; default: a private folder, removed at the end)."""
MAX_PORT = 65_535
FEW_BITS = ("4bit", "8bit")  # as `load_model` takes them


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        model: "nano", a folder or a hub id.
        second_model: The same of a model to put beside the first; None for none.
        quantise: "4bit" or "8bit" for the language model of every model but nano; None for
            neither.
        host: Address to listen on; None is this machine alone, or what Spaces say.
        port: None is 7860 or the next free one.
        queue: Visitors that may wait; more are turned away with a message.
        mcp: Whether the API is also offered over the Model Context Protocol.
        record: Make the readings of the examples anew and leave.
        login: Name and password that every visitor needs; None for none.
    """

    model: str = "nano"
    second_model: str | None = None
    quantise: str | None = None
    host: str | None = None
    port: int | None = None
    queue: int = 30
    mcp: bool = False
    record: bool = False
    login: tuple[str, str] | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The models to serve, in their order."""
        return (self.model, self.second_model) if self.second_model else (self.model,)


def read_settings(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Settings from the command line, and where it is silent from the environment.

    Raises:
        ECGError: A login without a colon, or an empty half of it; the same model twice; or
            something to quantise that is unknown, or nothing.
    """
    parser = argparse.ArgumentParser(prog="app.py", description=SUMMARY, epilog=EPILOG)
    parser.add_argument(
        "--model",
        default=environment.get("ECG_R1_MODEL") or "nano",
        help="nano (shipped, the default), a folder, or a hub id such as "
        "PKUDigitalHealth/ECG-R1-8B-RL (17.7 GB; needs a GPU)",
    )
    parser.add_argument(
        "--second-model",
        metavar="MODEL",
        default=environment.get("ECG_R1_SECOND_MODEL") or None,
        help="a second model to compare: its readings stand below the first one's, and its "
        "memory comes on top",
    )
    parser.add_argument(
        "--quantise",
        choices=FEW_BITS,
        default=environment.get("ECG_R1_QUANTISE") or None,
        help="load the language model in 4 or 8 bits, for less memory; not for nano; needs a "
        "CUDA GPU and bitsandbytes (the extra qlora)",
    )
    parser.add_argument("--host", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, help="port (default: 7860 or the next free one)")
    parser.add_argument(
        "--queue",
        type=int,
        default=30,
        metavar="N",
        help="requests that may wait in line; more are turned away with a message (30)",
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        help='offer the API to MCP clients too (needs pip install "gradio[mcp]")',
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="do not serve: read the shipped examples with nano, write the readings that the "
        "first view shows to assets/readings.json, and exit",
    )
    said = parser.parse_args(arguments)
    if said.queue < 1:
        parser.error(f"--queue {said.queue} must be 1 or more")
    if said.port is not None and not 0 < said.port <= MAX_PORT:
        parser.error(f"--port {said.port} must be from 1 to {MAX_PORT}")
    if said.second_model == said.model:
        raise ECGError(f"the second model is the first, {said.model!r}: name another one")
    if said.quantise not in (None, *FEW_BITS):
        known = " or ".join(FEW_BITS)
        raise ECGError(f"ECG_R1_QUANTISE must be {known}, got {said.quantise!r}")
    settings = Settings(**vars(said), login=_login(environment))
    if said.quantise and settings.models == ("nano",):
        raise ECGError(f"{said.quantise} is not for nano, which fits anywhere: name a --model")
    return settings


def _login(environment: Mapping[str, str]) -> tuple[str, str] | None:
    text = environment.get("ECG_R1_LOGIN", "")
    if not text:
        return None
    name, _, password = text.partition(":")
    if not name or not password:
        raise ECGError('ECG_R1_LOGIN must be "name:password"')  # never quoted: it is a secret
    return name, password
