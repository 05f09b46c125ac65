"""Protocol-guided instruction data: measured ECGs and six-step readings written from them.

A source lists tasks, a `RowMaker` turns each task into a row (measure, plan, write, check,
draw), and `build_corpus` does so with many processes into a folder:

- `parts/*.arrow`, `state.json`, `dataset_info.json`: read by `load_corpus` and by
  `datasets.load_from_disk`, where they lie;
- `corpus.jsonl`, `images/`, `records/`: the paper's layout, pages as PNG or JPEG, signals as
  WFDB;
- `rejects.jsonl` (id, reason) and `README.md`, the data card;
- `made_from.json` and `parts/*.json`: what an interrupted run needs to go on.

Many machines take `--shard 0/4` to `--shard 3/4` of one listing, in one folder or in several
that are copied together afterwards; `finish` brings the whole up to date.

A `RowMaker` is a picklable function of one record, and runs elsewhere as it is. On a table of
tasks in `datasets`::

    table = datasets.Dataset.from_list([task.to_json() for task in tasks_named("ptbxl:FOLDER")])
    rows = table.map(RowMaker(), num_proc=8, remove_columns=table.column_names)
    rows = rows.filter(lambda row: not row["reason"])

As a stage of Ray Data (not a dependency of this project, and not tested with it)::

    tasks = [task.to_json() for task in tasks_named("mimic:FOLDER")]
    ray.data.from_items(tasks).map(RowMaker()).filter(lambda row: not row["reason"])

Every row follows from the maker and the task, so that all of these give the same rows. At no
time is more than a few parts of 64 rows in memory, and of each other row a hash, to find
doubles: 100,000 rows take as much as 1,000, but for some 10 MB.
"""

from ecg_r1.corpus.build import Plant, build_corpus, load_corpus
from ecg_r1.corpus.record import GAP, SAMPLES, pack_signal, unpack_signal
from ecg_r1.corpus.rows import (
    AMPLITUDES,
    NUMBERS,
    PAGE,
    PAGE_SIZE,
    RowMaker,
    make_row,
    row_ecg,
    row_page,
)
from ecg_r1.corpus.sources import ptbxl_tasks, simulated_tasks, tasks_named
from ecg_r1.corpus.task import Task
from ecg_r1.corpus.template import UNCALIBRATED, write_report

__all__ = [
    "AMPLITUDES",
    "GAP",
    "NUMBERS",
    "PAGE",
    "PAGE_SIZE",
    "SAMPLES",
    "UNCALIBRATED",
    "Plant",
    "RowMaker",
    "Task",
    "build_corpus",
    "load_corpus",
    "make_row",
    "pack_signal",
    "ptbxl_tasks",
    "row_ecg",
    "row_page",
    "simulated_tasks",
    "tasks_named",
    "unpack_signal",
    "write_report",
]
