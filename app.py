"""The studio's web page: one ECG, read from its signal, from its page and from both.

`python app.py` serves it on this machine alone; `python app.py --help` lists the options.
"""

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from starlette.routing import Route

from ecg_r1 import __version__
from ecg_r1.ecg import ECGError
from ecg_r1.shipped import shipped
from ecg_r1.studio.build import LAUNCH, build_demo, read_examples
from ecg_r1.studio.options import Settings, load, read_settings
from ecg_r1.studio.recorded import record_examples, recorded

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel


@cache
def load_once(model: str) -> "LoadedModel":
    """The model, loaded once for all visitors."""
    return load(model)


def health(_request: Any) -> JSONResponse:
    """That the server answers, and which version does."""
    return JSONResponse({"status": "ok", "version": __version__})


def serve(settings: Settings, **more: Any) -> Any:
    """Launch the page; `more` goes to Gradio's `launch`."""
    before = None
    if settings.model == "nano":
        before = recorded(shipped("readings.json"))
    else:
        load_once(settings.model)  # minutes, spent before the first visitor comes
    demo = build_demo(lambda: load_once(settings.model), settings.model, before)
    demo.queue(max_size=settings.queue)
    # Without a host, Gradio takes GRADIO_SERVER_NAME, which Spaces sets, else 127.0.0.1.
    return demo.launch(
        server_name=settings.host,
        server_port=settings.port,
        auth=settings.login,
        mcp_server=settings.mcp,
        app_kwargs={"routes": [Route("/health", health)]},
        **LAUNCH,
        **more,
    )


def main() -> int:
    """Serve until interrupted; 2 with one line on stderr when something is wrong."""
    try:
        settings = read_settings()
        if settings.record:
            examples = list(read_examples().values())
            out = shipped("readings.json")
            for line in record_examples(load_once("nano"), examples, out):
                sys.stdout.write(f"{line}\n")
        else:
            serve(settings)
    except (ECGError, ImportError) as error:
        sys.stderr.write(f"app.py: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
