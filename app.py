"""The studio's web page: one ECG, read from its signal, from its page and from both.

`python app.py` serves it on this machine alone; `python app.py --help` lists the options.
"""

import ctypes
import signal
import sys
from contextlib import suppress
from importlib.util import find_spec
from threading import Thread
from typing import Any

from ecg_r1.studio.models import Models, is_zero_gpu  # first: on ZeroGPU it goes before torch

# isort: split

from ecg_r1.ecg import ECGError
from ecg_r1.shipped import shipped
from ecg_r1.studio.build import build_demo, read_examples
from ecg_r1.studio.options import Settings, read_settings
from ecg_r1.studio.recorded import record_examples, recorded
from ecg_r1.studio.tempfiles import private_folder

M_ARENA_MAX = -8  # as glibc's malloc.h numbers it


def serve(settings: Settings, **more: Any) -> Any:
    """Serve the page until interrupted.

    Args:
        settings: How.
        more: What goes to Gradio's `launch` beside them.

    Returns:
        The page, when `more` says that the call is not to wait.

    Raises:
        ECGError: A model cannot be loaded, or MCP was asked for and its package is missing.
    """
    if settings.mcp and find_spec("mcp") is None:  # Gradio would go on without it
        raise ECGError('--mcp needs another package: pip install "gradio[mcp]"')
    models = Models(settings.models, settings.quantise)
    warm = Thread(target=_warm, args=[models], daemon=True)
    if is_zero_gpu() or settings.models != ("nano",):
        models.load_all()  # minutes, spent before visitors come; ZeroGPU wants them here
    before = {("nano", file): one for file, one in recorded(shipped("readings.json")).items()}
    demo, served = build_demo(models, before, mcp=settings.mcp)
    demo.queue(max_size=settings.queue)
    warm.start()
    # Without a host, Gradio takes GRADIO_SERVER_NAME, which Spaces sets, else 127.0.0.1.
    demo.launch(
        server_name=settings.host,
        server_port=settings.port,
        auth=settings.login,
        mcp_server=settings.mcp,
        **served,
        **more,
    )
    return demo


def _warm(models: Models) -> None:
    """Load behind the page, which is there at once; a failure is told to whoever reads."""
    with suppress(ECGError):
        models.load_all()


def record() -> None:
    """Read the examples with nano and keep the readings."""
    examples = list(read_examples().values())
    for line in record_examples(Models(["nano"]).get(), examples, shipped("readings.json")):
        sys.stdout.write(f"{line}\n")


def share_arenas() -> None:
    """Let all threads take memory from two arenas, where the C library is glibc.

    It gives each thread arenas of its own and keeps in each what readings once needed. As
    MALLOC_ARENA_MAX=2 would, for which it is too late once Python runs.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library, macOS, Windows
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def main() -> int:
    """Serve until interrupted; 2 with one line on stderr when something is wrong."""
    try:
        settings = read_settings()
        if settings.record:
            record()
        else:
            # A container is stopped with this signal; its files are to go as after Ctrl-C.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            share_arenas()
            with private_folder():
                serve(settings)
    except (ECGError, ImportError, OSError) as error:  # OSError: a port or host that is taken
        sys.stderr.write(f"app.py: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
