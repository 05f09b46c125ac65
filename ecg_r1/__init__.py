"""ECG-R1 Studio: protocol-guided, modality-agnostic reading of 12-lead ECGs."""

from importlib import import_module

__version__ = "0.1.0"

DISCLAIMER = (
    "For education and research only. Not a medical device; never use it to diagnose or treat."
)

# Names are loaded on first use, so that `import ecg_r1` needs neither torch nor transformers.
_HOME = {
    "ECG": "ecg",
    "ECGError": "ecg",
    "read_ecg": "ecg",
    "measure": "measurement",
    "draw_page": "page",
    "apply_protocol": "protocol",
    "audit": "auditing",
    "load_model": "loading",
    "interpret": "reading",
}

__all__ = ["DISCLAIMER", "__version__", *_HOME]  # noqa: PLE0604  keys of _HOME are strings


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'ecg_r1' has no attribute {name!r}")
    return getattr(import_module(f"ecg_r1.{_HOME[name]}"), name)
