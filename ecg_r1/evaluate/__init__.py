"""Evaluation: readings kept on disk, and every number computed from them by a pure function.

`records` finds and measures records, `readers` and `own` read them, `runner` does so in
batches, `files` keeps it all. On such a `Run` work the measures: `stage_one` (numbers, labels,
grammar), `modality` (missing modalities, robustness, shuffled ECGs), `consistency`, `grounded`
with `offline_judge` and `llm_judge`, `ecgbench`, `evidence`, `calibration`. `suite` joins
them, `compare` sets two runs against each other, `page` shows them.
"""

from importlib import import_module

# Loaded on first use: the command line imports this package, and some of it brings torch.
_HOME = {
    "read_rows": "stage_one",
    "summarise": "stage_one",
    "jaccard": "statistics",
    "stated_numbers": "stated",
    "diagnoses_of": "stated",
    "Run": "files",
    "Row": "files",
    "Truth": "files",
    "run_reader": "runner",
    "OwnReader": "own",
    "evaluate_run": "suite",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'ecg_r1.evaluate' has no attribute {name!r}")
    return getattr(import_module(f"ecg_r1.evaluate.{_HOME[name]}"), name)
