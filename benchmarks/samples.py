"""Files of every format holding one ECG, written as their makers' documents lay them out."""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io
import wfdb
from PIL import Image

from ecg_r1.ecg import ECG, FS, LEADS
from ecg_r1.page import draw_page

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
GAIN_UV = 4.88  # microvolts a step, as GE's carts write


def beats(seconds: float = 10.0, fs: float = FS) -> np.ndarray:
    """Twelve leads in millivolts that obey Einthoven and Goldberger.

    I, II and the chest leads are whole steps of 4.88 uV.
    """
    t = np.arange(round(seconds * fs)) / fs
    sizes = np.linspace(-1, 1.4, 8)[:, None]
    wave = np.exp(-0.5 * ((t % 0.8 - 0.3) / 0.012) ** 2)
    wave = wave + 0.25 * np.exp(-0.5 * ((t % 0.8 - 0.6) / 0.04) ** 2)
    eight = np.round(1000 * sizes * wave / GAIN_UV) * GAIN_UV / 1000
    i, ii = eight[:2]
    limbs = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    return np.vstack([limbs, eight[2:]])


def of(signal: np.ndarray, leads: Sequence[str]) -> np.ndarray:
    """Some leads of the twelve."""
    return signal[[LEADS.index(lead) for lead in leads]]


def write_muse(
    path: Path,
    signal: np.ndarray,
    *,
    fs: float = FS,
    leads: Sequence[str] = EIGHT,
    lost: Sequence[str] = (),
) -> Path:
    """GE MUSE: a DOCTYPE that is not there, a median waveform first, then the rhythm."""
    steps = {
        lead: np.round(row * 1000 / GAIN_UV).astype("<i2")
        for lead, row in zip(leads, of(signal, leads), strict=True)
    }

    def waveform(kind: str, stop: int | None) -> str:
        data = "".join(
            f"""<LeadData><LeadByteCountTotal>{2 * len(row[:stop])}</LeadByteCountTotal>
<LeadTimeOffset>0</LeadTimeOffset>
<LeadSampleCountTotal>{len(row[:stop])}</LeadSampleCountTotal>
<LeadAmplitudeUnitsPerBit>{GAIN_UV}</LeadAmplitudeUnitsPerBit>
<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{lead}</LeadID>
<LeadOffsetFirstSample>0</LeadOffsetFirstSample><LeadSampleSize>2</LeadSampleSize>
<LeadOff>{"TRUE" if lead in lost else "FALSE"}</LeadOff>
<WaveFormData>{base64.encodebytes(row[:stop].tobytes()).decode()}</WaveFormData></LeadData>"""
            for lead, row in steps.items()
        )
        return f"""<Waveform><WaveformType>{kind}</WaveformType>
<NumberofLeads>{len(leads)}</NumberofLeads><SampleBase>{fs}</SampleBase>
<SampleExponent>0</SampleExponent>{data}</Waveform>"""

    path.write_text(
        f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE RestingECG SYSTEM "restecg.dtd">
<RestingECG><MuseInfo><MuseVersion>9.0.10</MuseVersion></MuseInfo>
<PatientDemographics><PatientAge>61</PatientAge><AgeUnits>YEARS</AgeUnits>
<Gender>FEMALE</Gender></PatientDemographics>
{waveform("Median", 600)}{waveform("Rhythm", None)}</RestingECG>""",
        encoding="latin-1",
    )
    return path


def write_aecg(path: Path, signal: np.ndarray, *, fs: float = FS) -> Path:
    """HL7 annotated ECG: one series, one set of sequences, and a derived beat to be ignored."""

    def sequence(lead: str, row: np.ndarray) -> str:
        digits = " ".join(str(int(v)) for v in np.round(row * 1000 / GAIN_UV))
        return f"""<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}"
codeSystem="2.16.840.1.113883.6.24"/><value xsi:type="SLIST_PQ"><origin value="0" unit="uV"/>
<scale value="{GAIN_UV}" unit="uV"/><digits>{digits}</digits></value></sequence></component>"""

    def sequences(stop: int | None) -> str:
        rows = zip(LEADS, signal[:, :stop], strict=True)
        return f"""<component><sequenceSet><component><sequence><code code="TIME_ABSOLUTE"/>
<value xsi:type="GLIST_TS"><head value="20260101120000"/>
<increment value="{1 / fs:g}" unit="s"/></value></sequence></component>
{"".join(sequence(lead, row) for lead, row in rows)}</sequenceSet></component>"""

    path.write_text(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>
<subjectDemographicPerson><administrativeGenderCode code="M"/></subjectDemographicPerson>
</trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>
<component><series>{sequences(None)}
<derivation><derivedSeries>{sequences(600)}</derivedSeries></derivation></series></component>
</AnnotatedECG>""",
        encoding="utf-8",
    )
    return path


def write_table(
    path: Path,
    signal: np.ndarray,
    *,
    delimiter: str = ",",
    comma: bool = False,
    header: Sequence[str] | None = LEADS,
) -> Path:
    """Text: a row for each sample, with decimal commas if asked for."""
    rows = [] if header is None else [delimiter.join(header)]
    for sample in signal.T:
        cells = [f"{value:.6g}" for value in sample]
        rows.append(delimiter.join(cell.replace(".", ",") if comma else cell for cell in cells))
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def write_wfdb(folder: Path, signal: np.ndarray, *, name: str = "rec", fs: float = FS) -> Path:
    """WFDB: a header and its signal file, in steps of a microvolt."""
    wfdb.wrsamp(
        name,
        fs=fs,
        units=["mV"] * len(signal),
        sig_name=list(LEADS),
        p_signal=signal.T,
        fmt=["16"] * len(signal),
        adc_gain=[1000.0] * len(signal),
        baseline=[0] * len(signal),
        comments=["Age: 61", "Sex: Female"],
        write_dir=str(folder),
    )
    return folder / f"{name}.hea"


def write_all(folder: Path, dicom: Path | None = None) -> list[tuple[Path, ...]]:
    """The files of one upload each, in every format that is read."""
    signal = beats(seconds=2.5)
    header = write_wfdb(folder, signal)
    uploads = [
        (header, header.with_suffix(".dat")),
        (write_muse(folder / "muse.xml", signal),),
        (write_aecg(folder / "aecg.xml", signal),),
        (write_table(folder / "comma.csv", signal),),
        (write_table(folder / "decimal.txt", signal, delimiter=";", comma=True),),
        (write_table(folder / "bare.tsv", signal, delimiter="\t", header=None),),
    ]
    np.save(folder / "array.npy", signal.astype(np.float32))
    scipy.io.savemat(folder / "v5.mat", {"val": signal, "fs": 500.0, "who": "x"})
    scipy.io.savemat(folder / "v7.mat", {"val": signal.astype("f4")}, do_compression=True)
    scipy.io.savemat(folder / "v4.mat", {"val": signal}, format="4")
    page = draw_page(ECG(signal, "beats"), px_per_mm=2.37)
    page.save(folder / "page.png")
    page.convert("L").save(folder / "page.jpg", quality=80)
    page.resize((400, 280), Image.Resampling.BOX).save(folder / "small.jpg", progressive=True)
    names = ("array.npy", "v5.mat", "v7.mat", "v4.mat", "page.png", "page.jpg", "small.jpg")
    uploads += [(folder / name,) for name in names]
    if dicom is not None:
        uploads.append((dicom,))
    return uploads
