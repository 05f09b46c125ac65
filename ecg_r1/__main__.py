"""The command line: `python -m ecg_r1 read | measure | page FILE`, `simulate`, `train nano`.

Exit code 0 when it worked, 2 with one line on stderr when the input or an option is bad.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from PIL.PngImagePlugin import PngInfo

from ecg_r1 import DISCLAIMER
from ecg_r1.auditing import audit
from ecg_r1.corpus.options import (
    add_corpus_options,
    add_fetch_options,
    run_corpus,
    run_fetch,
)
from ecg_r1.display import ARM_NAMES, account, account_text
from ecg_r1.ecg import ECG, ECGError
from ecg_r1.evaluate.options import add_evaluate_options, run_evaluate
from ecg_r1.inputs import Case, open_case
from ecg_r1.measurement import measure
from ecg_r1.page import draw_page
from ecg_r1.protocol import apply_protocol
from ecg_r1.rl.options import add_rl_options, run_rl
from ecg_r1.sft.options import add_sft_options, run_sft
from ecg_r1.towers import add_tower_options, run_tower

if TYPE_CHECKING:
    from PIL.Image import Image

    from ecg_r1.loading import LoadedModel
    from ecg_r1.measurement import Measurements
    from ecg_r1.protocol import Findings
    from ecg_r1.report import Reading


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints take one line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message}\n")


@dataclass(frozen=True)
class Command:
    """One subcommand: its name and help, its own options, and what it does."""

    name: str
    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def _names(text: str) -> tuple[str, ...]:
    """A comma-separated list, blanks around the commas allowed."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _arms(text: str) -> tuple[str, ...]:
    arms = _names(text)
    unknown = [arm for arm in arms if arm not in ARM_NAMES]
    if unknown or not arms:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of arms; choose from {', '.join(ARM_NAMES)}"
        )
    return arms


def _age(text: str) -> float:
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0 <= age <= 120:
        raise argparse.ArgumentTypeError(f"{text!r} is no age; give years from 0 to 120")
    return age


def _add_file_options(parser: argparse.ArgumentParser, more: str = "") -> None:
    kinds = "WFDB .hea, DICOM, MUSE or aECG .xml, CSV, .mat, NPY"
    parser.add_argument("file", metavar="FILE", type=Path, help=kinds + more)
    _add_signal_options(parser)


def _add_signal_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fs", type=float, metavar="HZ", help="sampling rate of the file")
    parser.add_argument("--units", metavar="UNIT", help="unit of the file's samples: mV, uV, V")
    parser.add_argument(
        "--leads", type=_names, metavar="NAMES", help="lead names in the file's order: I,II,V1"
    )


def _add_person_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--age", type=_age, metavar="YEARS", help="where the file does not say")
    parser.add_argument("--sex", choices=("female", "male"), help="where the file does not say")


def _case(options: argparse.Namespace) -> Case:
    return open_case(
        [options.file], fs=options.fs, units=options.units, leads=options.leads or None
    )


def _record(options: argparse.Namespace) -> ECG:
    ecg = _case(options).ecg
    if ecg is None:
        raise ECGError(
            f"{options.file.name} is a picture, which cannot be measured or drawn anew; "
            "give the recorded signal, or use `read` for the picture"
        )
    return ecg


def _print_json(payload: dict) -> None:
    print(json.dumps({"disclaimer": DISCLAIMER, **payload}, indent=2, allow_nan=False))


# ---------------------------------------------------------------------------- read


def add_read_options(parser: argparse.ArgumentParser) -> None:
    """Options of `read`."""
    _add_file_options(parser, "; a page as PNG or JPEG; with -o a FOLDER of records")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="TABLE.csv", help="of a FOLDER: a row per record"
    )
    parser.add_argument(
        "--arms", type=_arms, default=tuple(ARM_NAMES), help="signal,image,both (default: all)"
    )
    parser.add_argument("--model", default="nano", help="nano, a folder or a hub id")
    parser.add_argument("--revision", help="branch, tag or commit of a hub id")
    parser.add_argument("--device", help="cpu, cuda, mps (default: the GPU when there is one)")
    parser.add_argument(
        "--quantise", choices=("4bit", "8bit"), help="on a CUDA GPU with bitsandbytes"
    )
    parser.add_argument(
        "--lead-order",
        choices=("standard", "mimic"),
        help="of the model's input; mimic: aVF before aVL (default: as the model learned)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")


def run_read(options: argparse.Namespace) -> None:
    """Read one ECG with the model, once per arm, or all of a folder into a table."""
    if options.file.is_dir():
        _read_folder(options)
        return
    if options.output is not None:
        raise ECGError(f"-o makes a table of a folder, and {str(options.file)!r} is none")
    case = _case(options)
    model = _model(options)
    from ecg_r1.reading import stream

    snapshots = stream(ecg=case.ecg, image=case.image, model=model, arms=options.arms)
    if not options.json:
        print(f"{DISCLAIMER}\n\n{options.file.name}, read by {model.name}")
        print_readings(snapshots, options.arms)
        return
    for readings in snapshots:
        final = readings
    arms = {arm: asdict(final[arm]) for arm in options.arms}
    _print_json({"file": options.file.name, "model": model.name, "arms": arms})


def _model(options: argparse.Namespace) -> "LoadedModel":
    from ecg_r1.loading import load_model  # brings torch, which the other commands do not need

    return load_model(
        options.model,
        device=options.device,
        revision=options.revision,
        quantise=options.quantise,
        lead_order=options.lead_order,
    )


def _read_folder(options: argparse.Namespace) -> None:
    if options.output is None:
        raise ECGError(f"{str(options.file)!r} is a folder; say where its table goes: -o t.csv")
    from ecg_r1.studio.batch import read_folder

    said = {"fs": options.fs, "units": options.units, "leads": options.leads or None}
    model = _model(options)
    for line in read_folder(
        options.file, options.output, model=model, arms=options.arms, **said
    ):
        print(line, flush=True)


def print_readings(snapshots: Iterable[dict[str, "Reading"]], arms: Sequence[str]) -> None:
    """Print the arms one below the other, each as it grows, though they are read at once."""
    waiting, printed = list(arms), None  # characters of the first waiting arm already printed
    for readings in snapshots:
        while waiting:
            reading = readings[waiting[0]]
            if printed is None:
                print(f"\n== {ARM_NAMES[reading.arm]} ==")
                printed = 0
            # A half-decoded character is held back until its last byte has come.
            text = reading.text if reading.done else reading.text.rstrip("\ufffd")
            print(text[printed:], end="", flush=True)
            printed = max(printed, len(text))
            if not reading.done:
                break
            print(_last_line(reading))
            waiting, printed = waiting[1:], None


def _last_line(reading: "Reading") -> str:
    if reading.problem:
        return reading.problem
    form = "" if reading.well_formed else "; the text does not keep to the six steps"
    return f"\n[{reading.n_tokens} tokens in {reading.seconds:.1f} s{form}]"


# ---------------------------------------------------------------------------- measure


def add_measure_options(parser: argparse.ArgumentParser) -> None:
    """Options of `measure`."""
    _add_file_options(parser)
    parser.add_argument(
        "--plot", type=Path, metavar="OUT.png", help="draw the leads with every mark found"
    )
    _add_person_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run_measure(options: argparse.Namespace) -> None:
    """Measure one ECG and judge it by the protocol; no model takes part."""
    if options.plot is not None:
        _check_picture(options.plot)
    ecg = _with_person(_record(options), options.age, options.sex)
    measured = measure(ecg)
    found = apply_protocol(
        measured, age_years=ecg.age_years, sex=ecg.sex, calibrated=ecg.calibrated
    )
    if options.plot is not None:
        _save_gallery(options, ecg, measured, found)
    told = account(ecg, measured, found)
    if options.json:
        record = {
            "source_fs": ecg.source_fs,
            "duration_s": ecg.duration_s,
            "age_years": ecg.age_years,
            "sex": ecg.sex,
            "calibrated": ecg.calibrated,
            "derived": list(ecg.derived),
            "notes": list(ecg.notes),
        }
        _print_json(
            {
                "file": options.file.name,
                "record": record,
                "warnings": list(told.warnings),
                **measured.to_json(),
                **found.to_json(),
            }
        )
    else:
        table = measured.leads[["r_mv", "s_mv", "t_mv", "st_mv"]]
        print(f"{DISCLAIMER}\n\n{options.file.name}\n{account_text(told)}\n\nLeads")
        print(table.to_string(na_rep="-", float_format="{:.2f}".format))


def _with_person(ecg: ECG, age_years: float | None, sex: str | None) -> ECG:
    """The record with the age and sex that limits depend on, where its file lacks them."""
    for name, said, known in (("age", age_years, ecg.age_years), ("sex", sex, ecg.sex)):
        if None not in (said, known) and said != known:
            raise ECGError(f"--{name} {said} contradicts the file, which says {known}")
    return replace(
        ecg,
        age_years=ecg.age_years if age_years is None else age_years,
        sex=ecg.sex if sex is None else sex,
    )


def _save_gallery(
    options: argparse.Namespace, ecg: ECG, measured: "Measurements", found: "Findings"
) -> None:
    try:
        from ecg_r1.gallery import draw_gallery
    except ModuleNotFoundError as error:
        raise ECGError(
            f'{error}; --plot needs matplotlib: `pip install -e ".[notebooks]"`'
        ) from error
    draw_gallery(ecg, measured, found, title=options.file.name).savefig(options.plot)


def _check_picture(path: Path) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ECGError(f"cannot write {path.name!r}; name it .png or .jpg")


# ---------------------------------------------------------------------------- audit


def add_audit_options(parser: argparse.ArgumentParser) -> None:
    """Options of `audit`."""
    parser.add_argument("file", metavar="FILE.txt", type=Path, help="the reading, as text")
    parser.add_argument(
        "--ecg", type=Path, required=True, metavar="RECORD", help="what it speaks of"
    )
    _add_signal_options(parser)
    _add_person_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run_audit(options: argparse.Namespace) -> None:
    """Check every claim of a text against an ECG; no model takes part."""
    try:
        text = options.file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ECGError(f"{options.file.name} is no UTF-8 text: {error}") from error
    ecg = open_case(
        [options.ecg], fs=options.fs, units=options.units, leads=options.leads or None
    ).ecg
    found = audit(text, None if ecg is None else _with_person(ecg, options.age, options.sex))
    if options.json:
        _print_json({"file": options.file.name, "ecg": options.ecg.name, **found.to_json()})
    else:
        print(f"{DISCLAIMER}\n\n{options.file.name} about {options.ecg.name}")
        print(found.to_text())


# ---------------------------------------------------------------------------- page


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Options of `page`."""
    _add_file_options(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PAGE.png")
    parser.add_argument("--layout", choices=("3x4", "6x2", "12x1"), default="3x4")
    parser.add_argument("--speed", type=float, default=25, metavar="MM_S", help="paper, mm/s")
    parser.add_argument("--gain", type=float, default=10, metavar="MM_MV", help="mm per mV")


def run_page(options: argparse.Namespace) -> None:
    """Draw one ECG on paper and save the picture."""
    _check_picture(options.output)
    picture = draw_page(
        _record(options),
        options.layout,
        speed_mm_s=options.speed,
        gain_mm_mv=options.gain,
        disclaimer=DISCLAIMER,
    )
    _save_page(picture, options.output)


def _save_page(page: "Image", path: Path) -> None:
    """Save a page with its resolution, its disclaimer as PNG text or JPEG comment."""
    texts = PngInfo()
    texts.add_text("Disclaimer", DISCLAIMER)
    page.save(path, dpi=page.info["dpi"], pnginfo=texts, comment=DISCLAIMER)


# ---------------------------------------------------------------------------- simulate


def add_simulate_options(parser: argparse.ArgumentParser) -> None:
    """Options of `simulate`."""
    parser.add_argument(
        "conditions", metavar="CONDITION", nargs="*", help="of the list, one of each group"
    )
    parser.add_argument("--list", action="store_true", help="print all conditions and leave")
    parser.add_argument("--seed", type=int, default=0, help="another patient (default: 0)")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="samples as .csv or a page as .png"
    )


def run_simulate(options: argparse.Namespace) -> None:
    """Simulate a patient with the named conditions, say what is true, and save the record."""
    import numpy as np

    from ecg_r1.simulate import simulate
    from ecg_r1.simulate.conditions import CATALOGUE, condition
    from ecg_r1.simulate.population import spec_of

    if options.list:
        for one in CATALOGUE:
            print(f"{one.group:12s}{one.name}")
        return
    if options.seed < 0:
        raise ECGError(f"seed {options.seed} is negative: give 0 or more")
    groups: dict[str, str] = {}
    for name in options.conditions:
        group = condition(name).group
        if group in groups:
            raise ECGError(f"{name!r} and {groups[group]!r} are both of the group {group!r}")
        groups[group] = name
    ecg = simulate(spec_of(groups, np.random.default_rng([options.seed, 1])), options.seed)
    if options.output is not None:
        _save_simulated(ecg, options.output)
    truth = ecg.truth
    print(f"{DISCLAIMER}\n\nSimulated, {ecg.sex}, {ecg.age_years:.0f} years")
    for title, value, unit in (
        ("Heart rate", truth.hr_bpm, "bpm"),
        ("PR", truth.pr_ms, "ms"),
        ("QRS", truth.qrs_ms, "ms"),
        ("QT", truth.qt_ms, "ms"),
        ("QRS axis", truth.axis_deg, "degrees"),
    ):
        print(f"  {title:<18} " + ("none" if value is None else f"{value:.0f} {unit}"))
    print(f"\nTrue of it: {'; '.join(truth.diagnoses)}")


def _save_simulated(ecg: ECG, path: Path) -> None:
    if path.suffix.lower() == ".png":
        _save_page(draw_page(ecg, disclaimer=DISCLAIMER), path)
    elif path.suffix.lower() == ".csv":
        rows = [",".join(("time_s", *(f"{lead} (mV)" for lead in ecg.leads)))]
        for k, sample in enumerate(ecg.signal.T.tolist()):
            rows.append(",".join([f"{k / ecg.fs:.3f}", *(f"{mv:.4f}" for mv in sample)]))
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    else:
        raise ECGError(f"cannot write {path.name!r}; name it .csv or .png")


# ---------------------------------------------------------------------------- corpus, fetch


def print_corpus(options: argparse.Namespace) -> None:
    """Make a corpus and say where it is."""
    for line in run_corpus(options):
        print(line)


def print_fetch(options: argparse.Namespace) -> None:
    """Fetch a public data set and say what happens."""
    for line in run_fetch(options):
        print(line, flush=True)


# ---------------------------------------------------------------------------- evaluate


def print_evaluation(options: argparse.Namespace) -> None:
    """Evaluate a reader and print its table."""
    for line in run_evaluate(options):
        print(line, flush=True)


# ---------------------------------------------------------------------------- train


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Options of `train`."""
    parser.add_argument("what", choices=("nano",), help="the small model that ships")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="PTB-XL, LUDB, CinC 2020 or 2021 as PhysioNet lays them out; simulated ECGs alone "
        "when none is given",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/nano"), metavar="FOLDER")
    parser.add_argument(
        "--stages",
        type=_names,
        default=(),
        metavar="NAMES",
        help="some of corpus,tower,vision,features,sft,rl,report (default: all); each resumes "
        "by itself",
    )
    parser.add_argument(
        "--dropout",
        choices=("paper", "paper-code", "none"),
        default="paper",
        help="modality dropout of sft and rl; what comes before them is the same with each",
    )


def run_train(options: argparse.Namespace) -> None:
    """Train nano stage by stage, with progress bars."""
    try:
        from ecg_r1.dropout import ModalityDropout
        from ecg_r1.train import STAGES, Recipe, train_nano
    except ModuleNotFoundError as error:
        raise ECGError(f'{error}; training needs `pip install -e ".[train]"`') from error
    unknown = [stage for stage in options.stages if stage not in STAGES]
    if unknown:
        raise ECGError(f"{unknown[0]!r} is no stage; choose from {', '.join(STAGES)}")
    recipe = Recipe().with_dropout(ModalityDropout.named(options.dropout))
    train_nano(options.data, options.out, recipe, options.stages or STAGES)


# ---------------------------------------------------------------------------- all of them

COMMANDS = (
    Command("read", "read an ECG or a page image with the model", add_read_options, run_read),
    Command("measure", "measure an ECG; no model", add_measure_options, run_measure),
    Command("audit", "check a reading against its ECG", add_audit_options, run_audit),
    Command("page", "draw an ECG on paper as a picture", add_page_options, run_page),
    Command("simulate", "simulate an ECG", add_simulate_options, run_simulate),
    Command("fetch", "download a public data set", add_fetch_options, print_fetch),
    Command("corpus", "make instruction data", add_corpus_options, print_corpus),
    Command("train", "train the shipped model from nothing", add_train_options, run_train),
    Command("evaluate", "have records read and scored", add_evaluate_options, print_evaluation),
    Command("tower", "pretrain or assemble ECG towers", add_tower_options, run_tower),
    Command("sft", "fine-tune a checkpoint on a corpus", add_sft_options, run_sft),
    Command("rl", "train a checkpoint further with rewards", add_rl_options, run_rl),
)


def command_line() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = OneLineParser(prog="python -m ecg_r1", description=DISCLAIMER)
    chosen = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        one = chosen.add_parser(command.name, help=command.help, description=command.help)
        command.add_options(one)
        one.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = command_line().parse_args(arguments)
    try:
        options.run(options)
    except (ECGError, OSError) as error:  # OSError: a path that cannot be read or written
        message = " ".join(str(error).split())
        print(f"python -m ecg_r1 {options.command}: {message}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
