"""Twenty-four simulated pathologies as paper pages on one sheet, to look at one by one.

    python -m benchmarks.contact_sheet [--out assets/simulator/contact_sheet.png]

Each patient is a line of the catalogue (`ecg_r1.simulate.conditions`) and a seed.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ecg_r1.page import draw_page
from ecg_r1.simulate import simulate
from ecg_r1.simulate.conditions import condition
from ecg_r1.simulate.population import spec_of

SHOWN = (
    "sinus rhythm",
    "atrial fibrillation",
    "atrial flutter 4:1",
    "AV nodal re-entrant tachycardia",
    "ventricular tachycardia",
    "dual-chamber pacing",
    "Mobitz I",
    "complete AV block, ventricular escape",
    "ventricular bigeminy",
    "WPW",
    "LBBB",
    "RBBB",
    "RBBB and LAFB",
    "LVH with strain",
    "RVH with strain",
    "acute anterior infarction",
    "acute inferior infarction",
    "acute posterior infarction",
    "old inferior infarction",
    "pericarditis",
    "early repolarisation",
    "severe hyperkalaemia",
    "hypokalaemia",
    "long QT",
)
COLUMNS, PX_PER_MM, TITLE_PX = 4, 2.6, 22
SEED = 11


def draw_one(name: str, seed: int) -> Image.Image:
    """The page of one condition under its name and the labels that it got."""
    spec = spec_of({condition(name).group: name}, np.random.default_rng([seed, 1]))
    ecg = simulate(spec, seed)
    page = draw_page(ecg, px_per_mm=PX_PER_MM)
    framed = Image.new("RGB", (page.width, page.height + TITLE_PX), "white")
    framed.paste(page, (0, TITLE_PX))
    font, title = ImageFont.load_default(13), f"{name} | {'; '.join(ecg.truth.diagnoses)}"
    while font.getlength(title) > page.width - 12:
        title = title.rstrip("…")[:-1] + "…"
    ImageDraw.Draw(framed).text((6, 3), title, fill="black", font=font)
    return framed


def main() -> None:
    """Draws and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    path = Path("assets/simulator/contact_sheet.png")
    parser.add_argument("--out", type=Path, default=path)
    args = parser.parse_args()
    pages = [draw_one(name, SEED + k) for k, name in enumerate(SHOWN)]
    width, height = pages[0].size
    rows = -(-len(pages) // COLUMNS)
    sheet = Image.new("RGB", (width * COLUMNS, height * rows), "white")
    for k, page in enumerate(pages):
        sheet.paste(page, (k % COLUMNS * width, k // COLUMNS * height))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(32, dither=Image.Dither.NONE).save(args.out, optimize=True)
    print(f"{args.out}: {args.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
