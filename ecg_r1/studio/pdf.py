"""The report as a PDF of A4 pages: the trace first, then the words.

The words are text, to be selected, searched and read aloud; headings are bookmarks, and words
under the trace say what it is. What this leaves out: tags. A page of which only parts have them
is read aloud without the others.
"""

from io import BytesIO

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.prefs import ViewerPreferences
from matplotlib import get_data_path
from PIL import Image

from ecg_r1 import DISCLAIMER
from ecg_r1.page import draw_page
from ecg_r1.studio.exports import Line, report_lines
from ecg_r1.studio.study import Session, altered, damaged

MARGIN_MM, TEXT_PT, FOOT_PT = 15, 10, 8
LINE_HEIGHT = 1.35  # of its letters
HEADINGS_PT = {"title": 17, "heading": 14, "subheading": 12}  # kinds of lines by their depth
RED = (122, 12, 18)
TRACE_WORDS = "The twelve leads, drawn on ECG paper at 25 mm/s and 10 mm/mV."
UNCALIBRATED_WORDS = (
    "The twelve leads at 25 mm/s, uncalibrated: their heights are no millivolts."
)
PHOTO_WORDS = "The picture of an ECG page that was read."
PHOTO_PX = 1600  # at most, and then 200 dots per inch


class _Report(FPDF):
    """Pages with the disclaimer and their number at the foot."""

    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        # fpdf's own fonts have no letters beyond Latin-1; these come with matplotlib.
        fonts = f"{get_data_path()}/fonts/ttf"
        self.add_font("DejaVu", "", f"{fonts}/DejaVuSans.ttf")
        self.add_font("DejaVu", "B", f"{fonts}/DejaVuSans-Bold.ttf")
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=MARGIN_MM + 5)
        self.set_lang("en")
        self.set_title(title)
        self.set_subject(DISCLAIMER)
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)

    def footer(self) -> None:
        self.set_y(-MARGIN_MM)
        self.set_font("DejaVu", size=FOOT_PT)
        self.set_text_color(*RED)
        self.cell(text=f"{DISCLAIMER}   {self.page_no()}")

    def write_line(self, line: Line) -> None:
        words = " ".join(line.words.split())
        if line.kind in HEADINGS_PT:
            self.start_section(words, list(HEADINGS_PT).index(line.kind))
        is_bold = line.kind in HEADINGS_PT or line.kind == "strong"
        self.set_font("DejaVu", "B" if is_bold else "", HEADINGS_PT.get(line.kind, TEXT_PT))
        self.multi_cell(
            w=0,
            h=self.font_size * LINE_HEIGHT,
            text=f"- {words}" if line.kind == "item" else words,
            align="L",
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )


def to_pdf(session: Session) -> bytes:
    """The report as a PDF.

    Raises:
        ECGError: Nothing has been read yet.
    """
    title, disclaimer, *rest = report_lines(session)
    pdf = _Report(title.words)
    pdf.add_page()
    pdf.write_line(title)
    pdf.write_line(disclaimer)
    picture, told = _drawn(session)
    pdf.write_line(Line(told))
    pdf.image(picture, w=pdf.epw, h=pdf.page_break_trigger - pdf.y, keep_aspect_ratio=True)
    pdf.add_page()
    for line in rest:
        pdf.write_line(line)
    return bytes(pdf.output())


def _drawn(session: Session) -> tuple[Image.Image | BytesIO, str]:
    """The ECG as a picture, and what that shows."""
    study, change = session.study, session.change
    if study.ecg is not None:
        told = TRACE_WORDS if study.ecg.calibrated else UNCALIBRATED_WORDS
        return draw_page(altered(study.ecg, change), px_per_mm=6), told
    photo = damaged(study.image, change).convert("RGB")
    photo.thumbnail((PHOTO_PX, PHOTO_PX))
    out = BytesIO()
    photo.save(out, "JPEG", quality=85)  # lossless it would be megabytes
    return out, PHOTO_WORDS
