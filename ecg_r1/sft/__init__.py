"""Stage one: fine-tuning with Interleaved Modality Dropout, on transformers' Trainer.

`config` is a run's settings, `recipes` those for the 8B on one GPU, `room` the memory that they
take, `data` samples in order, `loss` what is learned of them, `parts` which parameters learn,
`features` encoders' outputs kept on disk, `trainer` the Trainer, `saving` states that survive a
kill, `run` the whole. `options` is the command line and imports no torch.
"""

from importlib import import_module

# Names are loaded on first use, so that the command line's options need no torch.
_HOME = {
    "SFTConfig": "config",
    "Collator": "data",
    "SFTData": "data",
    "TokenLoss": "loss",
    "PRESETS": "config",
    "freeze": "parts",
    "freeze_encoders": "parts",
    "Features": "features",
    "SFTTrainer": "trainer",
    "train_sft": "run",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'ecg_r1.sft' has no attribute {name!r}")
    return getattr(import_module(f"ecg_r1.sft.{_HOME[name]}"), name)
