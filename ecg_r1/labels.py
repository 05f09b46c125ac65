"""Canonical diagnosis labels and the codes and wordings that mean the same.

What this leaves out: codes without a faithful label. PTB-XL's QWAVE, ABQRS, HVOLT and VCLVH
describe a form (cardiologists give them beside NORM), EL names no electrolyte, ANEUR and SEHYP
have no label, and SVARR, BIGU, TRIGU and PRC(S) do not say where the beats come from. SNOMED's
bare "myocardial infarction" (164865005) names no territory.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """One diagnosis, its canonical text and its equivalents elsewhere.

    Attributes:
        text: The canonical lower-case text, as in `<answer>`.
        group: rhythm, ectopy, conduction, chamber, ischaemia, electrolytes or normal.
        scp: SCP-ECG statements as PTB-XL spells them.
        snomed: SNOMED CT codes as the CinC 2020/2021 challenges and DICOM CID 3230 use them.
        paper: Other wordings: those of MIMIC-IV-ECG machine reports and common ones.
    """

    text: str
    group: str
    scp: tuple[str, ...] = ()
    snomed: tuple[str, ...] = ()
    paper: tuple[str, ...] = ()


def _label(text: str, group: str, scp: str = "", snomed: str = "", paper: str = "") -> Label:
    """A row of the table; codes parted by spaces, wordings by semicolons."""
    wordings = tuple(wording.strip() for wording in paper.split(";") if wording.strip())
    return Label(text, group, tuple(scp.split()), tuple(snomed.split()), wordings)


# Territories follow `diagnostic_subclass` of PTB-XL's scp_statements.csv: ALMI counts as
# anterior, ILMI as inferior, and the subendocardial injuries INJ** as infarctions.
LABELS: tuple[Label, ...] = (
    _label(
        "sinus rhythm",
        "rhythm",
        "SR",
        "426783006",
        "normal sinus rhythm; regular sinus rhythm; nsr; sinus rhythm normal",
    ),
    _label(
        "sinus bradycardia",
        "rhythm",
        "SBRAD",
        "426177001",
        "sinus brady; marked sinus bradycardia",
    ),
    _label("sinus tachycardia", "rhythm", "STACH", "427084000", "sinus tachy"),
    _label(
        "sinus arrhythmia",
        "rhythm",
        "SARRH",
        "427393009",
        "sinus rhythm with sinus arrhythmia; marked sinus arrhythmia; irregular sinus rhythm",
    ),
    _label("sinus pause", "rhythm", "", "5609005", "sinus arrest"),
    _label(
        "atrial fibrillation",
        "rhythm",
        "AFIB",
        "164889003 282825002 426749004 314208002 49436004",
        "af; a fib; atrial fib; atrial fibrillation with rapid ventricular response;"
        "atrial fibrillation with slow ventricular response;"
        "atrial fibrillation with controlled ventricular response",
    ),
    _label("atrial flutter", "rhythm", "AFLT", "164890007", "afl; flutter"),
    _label(
        "supraventricular tachycardia",
        "rhythm",
        "SVTAC PSVT",
        "426761007 67198005 713422000 251166008 233897008 6456007",
        "svt; paroxysmal supraventricular tachycardia; atrial tachycardia;"
        "av nodal reentrant tachycardia; avnrt; narrow complex tachycardia",
    ),
    _label(
        "paced rhythm",
        "rhythm",
        "PACE",
        "10370003 251268003 251266004",
        "pacing rhythm; pacemaker rhythm; ventricular pacing; ventricular paced rhythm;"
        "unipolar ventricular pacing; bipolar ventricular pacing; biventricular pacing;"
        "atrial pacing; unipolar atrial pacing; av pacing; electronic pacemaker;"
        "normal functioning artificial pacemaker",
    ),
    _label(
        "junctional rhythm",
        "rhythm",
        "",
        "29320008 426664006 426648003",
        "av junctional rhythm; accelerated junctional rhythm; junctional escape rhythm;"
        "nodal rhythm",
    ),
    _label(
        "ectopic atrial rhythm",
        "rhythm",
        "",
        "106068003 233892002",
        "atrial rhythm; low atrial rhythm; ectopic atrial bradycardia;"
        "unusual p axis possible ectopic atrial rhythm",
    ),
    _label(
        "ventricular tachycardia",
        "rhythm",
        "",
        "164895002 425856008 25569003",
        "vt; v tach; wide complex tachycardia consider ventricular tachycardia",
    ),
    _label(
        "premature atrial complexes",
        "ectopy",
        "PAC",
        "284470004 63593006 251173003 251170000",
        "pac; pacs; premature atrial complex; premature atrial contraction;"
        "premature atrial contractions; atrial premature complex; atrial premature complexes;"
        "atrial premature beats; premature supraventricular complexes; atrial ectopy;"
        "supraventricular premature beats; supraventricular extrasystoles; atrial extrasystole;"
        "atrial extrasystoles",
    ),
    _label(
        "premature ventricular complexes",
        "ectopy",
        "PVC",
        "427172004 17338001 164884008 251182009 11157007 251180001 251175005",
        "pvc; pvcs; premature ventricular complex; premature ventricular contraction;"
        "premature ventricular contractions; ventricular premature complex;"
        "ventricular premature complexes; ventricular premature beats; ventricular ectopics;"
        "ventricular ectopy; ventricular extrasystole; ventricular extrasystoles;"
        "ventricular bigeminy;"
        "ventricular trigeminy",
    ),
    _label(
        "first-degree av block",
        "conduction",
        "1AVB LPR",
        "270492004 164947007",
        "1st degree a v block; first degree atrioventricular block; prolonged pr interval;"
        "long pr interval; iavb; i degree av block; av block first degree;"
        "borderline first degree av block",
    ),
    _label(
        "second-degree av block",
        "conduction",
        "2AVB",
        "195042002 54016002 426183003 28189009 164903001",
        "2nd degree a v block; second degree atrioventricular block; mobitz i; mobitz ii;"
        "mobitz type i; mobitz type ii; wenckebach; 2 1 av block; ii degree av block",
    ),
    _label(
        "third-degree av block",
        "conduction",
        "3AVB",
        "27885002",
        "3rd degree a v block; third degree atrioventricular block; complete heart block;"
        "complete av block; iii degree av block",
    ),
    _label(
        "wolff-parkinson-white syndrome",
        "conduction",
        "WPW",
        "74390002 195060002",
        "wolff parkinson white; wolff parkinson white pattern; wolf parkinson white syndrome;"
        "ventricular preexcitation; ventricular pre excitation; preexcitation; pre excitation",
    ),
    _label(
        "left bundle branch block",
        "conduction",
        "CLBBB",
        "164909002 733534002",
        "lbbb; complete left bundle branch block; complete lbbb",
    ),
    _label(
        "incomplete left bundle branch block",
        "conduction",
        "ILBBB",
        "251120003",
        "incomplete lbbb",
    ),
    _label(
        "right bundle branch block",
        "conduction",
        "CRBBB",
        "59118001 713427006",
        "rbbb; complete right bundle branch block; complete rbbb",
    ),
    _label(
        "incomplete right bundle branch block",
        "conduction",
        "IRBBB",
        "713426002",
        "incomplete rbbb",
    ),
    _label(
        "left anterior fascicular block",
        "conduction",
        "LAFB",
        "445118002",
        "left anterior hemiblock; lah; lahb; lanfb",
    ),
    _label(
        "left posterior fascicular block",
        "conduction",
        "LPFB",
        "445211001",
        "left posterior hemiblock; lph; lphb",
    ),
    _label(
        "nonspecific intraventricular conduction delay",
        "conduction",
        "IVCD",
        "698252002 82226007",
        "nsivcb; iv conduction defect; intraventricular conduction delay;"
        "intraventricular conduction defect; intraventricular conduction disturbance;"
        "nonspecific intraventricular conduction disorder;"
        "nonspecific intraventricular conduction disturbance;"
        "nonspecific intraventricular conduction block; nonspecific ivcd;"
        "nonspecific intravintricular conduction delay",  # as LUDB spells it
    ),
    _label(
        "left axis deviation",
        "chamber",
        "",
        "39732003",
        "leftward axis; marked left axis deviation; lad",
    ),
    _label(
        "right axis deviation",
        "chamber",
        "",
        "47665007",
        "rightward axis; marked right axis deviation; rad",
    ),
    _label(
        "left atrial abnormality",
        "chamber",
        "LAO/LAE",
        "67741000119109 253352002 446813000",
        "left atrial enlargement; left atrial overload; left atrial hypertrophy; lae;"
        "left atrial overload enlargement; possible left atrial abnormality; p mitrale",
    ),
    _label(
        "right atrial abnormality",
        "chamber",
        "RAO/RAE",
        "253339007 446358003 67751000119106",
        "right atrial enlargement; right atrial overload; right atrial hypertrophy; rae;"
        "right atrial overload enlargement; possible right atrial abnormality; p pulmonale",
    ),
    _label(
        "left ventricular hypertrophy",
        "chamber",
        "LVH",
        "164873001",
        "possible left ventricular hypertrophy; probable left ventricular hypertrophy;"
        "left ventricular hypertrophy by voltage only",
    ),
    _label(
        "right ventricular hypertrophy",
        "chamber",
        "RVH",
        "89792004",
        "possible right ventricular hypertrophy; probable right ventricular hypertrophy",
    ),
    _label(
        "low qrs voltage",
        "chamber",
        "LVOLT",
        "251146004 251147008 251148003",
        "low qrs voltages; low voltage; low voltage qrs; generalized low qrs voltages;"
        "low qrs voltages in limb leads; low qrs voltages in precordial leads;"
        "low limb lead voltage",
    ),
    _label(
        "poor r wave progression",
        "chamber",
        "",
        "365413008",
        "poor r progression; prwp; abnormal r wave progression; late precordial r progression;"
        "poor precordial r wave progression",
    ),
    _label("dextrocardia", "chamber", "", "27637000", "situs inversus"),
    _label(
        "anterior myocardial infarction",
        "ischaemia",
        "AMI ASMI ALMI INJAS INJAL INJLA",
        "54329005",
        "anterior infarct; anterior infarction; anterior mi; anterior stemi; septal infarct;"
        "septal infarction; septal myocardial infarction; anteroseptal infarct;"
        "anteroseptal mi;"
        "anteroseptal infarction; anteroseptal myocardial infarction; anterolateral infarct;"
        "anterolateral infarction; anterolateral mi; anterolateral myocardial infarction;"
        "extensive anterior infarct; anterior infarct age undetermined;"
        "septal infarct age undetermined; anteroseptal infarct age undetermined;"
        "acute anterior myocardial infarction",
    ),
    _label(
        "inferior myocardial infarction",
        "ischaemia",
        "IMI ILMI IPLMI IPMI INJIN INJIL",
        "",
        "inferior infarct; inferior infarction; inferior mi; inferior stemi; inferolateral mi;"
        "inferolateral infarct; inferolateral infarction; inferolateral myocardial infarction;"
        "inferoposterior myocardial infarction; inferoposterolateral myocardial infarction;"
        "inferior infarct age undetermined; old inferior infarct;"
        "acute inferior myocardial infarction",
    ),
    _label(
        "lateral myocardial infarction",
        "ischaemia",
        "LMI",
        "",
        "lateral infarct; lateral infarction; lateral mi; lateral stemi; high lateral infarct;"
        "lateral infarct age undetermined; acute lateral myocardial infarction",
    ),
    _label(
        "posterior myocardial infarction",
        "ischaemia",
        "PMI",
        "",
        "posterior infarct; posterior infarction; posterior mi; posterior stemi;"
        "posterior infarct age undetermined",
    ),
    _label(
        "st elevation",
        "ischaemia",
        "STE_",
        "164931005",
        "ste; st segment elevation; nonspecific st elevation",
    ),
    _label(
        "st depression",
        "ischaemia",
        "STD_",
        "429622005 704997005",
        "std; st segment depression; nonspecific st depression",
    ),
    _label(
        "t wave inversion",
        "ischaemia",
        "INVT",
        "59931005",
        "tinv; t inversion; inverted t waves; t wave inversions; inverted t wave",
    ),
    _label(
        "myocardial ischaemia",
        "ischaemia",
        "ISC_ ISCAL ISCIN ISCIL ISCAS ISCLA ISCAN",
        "164861001 413444003 413844008 426434006 425419005 425623009",
        "ischaemia; ischaemic st t changes; ischaemic changes; possible myocardial ischaemia;"
        "st t changes suggest myocardial ischaemia; anterior ischaemia; inferior ischaemia;"
        "lateral ischaemia; anterolateral ischaemia; inferolateral ischaemia",
    ),
    _label(
        "nonspecific st-t abnormality",
        "ischaemia",
        "NDT NST_ NT_ TAB_ LOWT",
        "428750005 164934002 55930002 164930006",
        "nonspecific st t changes; nonspecific st t wave changes; nonspecific st changes;"
        "nonspecific t wave changes; nonspecific t wave abnormality; t wave abnormality;"
        "nonspecific st t abnormalities; st t changes; low amplitude t waves;"
        "nonspecific repolarisation abnormalities;"
        "nonspecific st t wave abnormality; nonspecific t wave abnormalities;"
        "st t changes are nonspecific",
    ),
    _label("pericarditis", "ischaemia", "", "3238004", "acute pericarditis"),
    _label(
        "early repolarisation",
        "ischaemia",
        "",
        "428417006",
        "early repolarisation pattern; benign early repolarisation;"
        "early repolarisation syndrome",
    ),
    _label(
        "prolonged qt interval",
        "electrolytes",
        "LNGQT",
        "111975006",
        "prolonged qt; prolonged qtc; prolonged qtc interval; long qt; long qt interval;"
        "qt prolongation; qtc prolongation; borderline prolonged qt interval",
    ),
    _label(
        "short qt interval",
        "electrolytes",
        "",
        "77867006",
        "short qt; short qtc; shortened qt interval; decreased qt interval",
    ),
    _label("hyperkalaemia", "electrolytes", "", "14140009", "possible hyperkalaemia"),
    _label("hypokalaemia", "electrolytes", "", "43339004", "possible hypokalaemia"),
    _label(
        "digoxin effect",
        "electrolytes",
        "DIG",
        "",
        "digitalis effect; digitalis; suggests digitalis effect",
    ),
    _label(
        "normal ecg",
        "normal",
        "NORM",
        "164854000",
        "normal electrocardiogram; within normal limits; normal ecg except for rate",
    ),
)

ORDER = {label.text: rank for rank, label in enumerate(LABELS)}
SINUS_RHYTHMS = ("sinus rhythm", "sinus bradycardia", "sinus tachycardia", "sinus arrhythmia")
# No P wave before each QRS, and no PR interval.
WITHOUT_P = (
    "atrial fibrillation", "atrial flutter", "supraventricular tachycardia",
    "ventricular tachycardia", "third-degree av block",
)  # fmt: skip
# Rhythm statements without a label of their own: still not a normal ECG.
_ABNORMAL_WITHOUT_LABEL = {"SVARR", "BIGU", "TRIGU", "PRC(S)"}
_SPELLINGS = (
    ("ischem", "ischaem"),
    ("kalem", "kalaem"),
    ("repolariz", "repolaris"),
    ("non specific", "nonspecific"),
    ("1st ", "first "),
    ("2nd ", "second "),
    ("3rd ", "third "),
    (" a v block", " av block"),
)


def _plain(text: str) -> str:
    """Lower case, British spelling, single spaces and no punctuation, for comparison only."""
    words = " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split())
    for ours, theirs in _SPELLINGS:
        words = words.replace(ours, theirs)
    return words


_BY_SCP = {code: label.text for label in LABELS for code in label.scp}
_BY_SNOMED = {code: label.text for label in LABELS for code in label.snomed}
_BY_WORDING = {
    _plain(wording): label.text
    for label in LABELS
    for wording in (label.text, *label.paper, *label.scp)
}


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Canonical labels, each once, in the order of `<answer>`, with the house's two rules.

    A more exact sinus label replaces "sinus rhythm", and "normal ecg" stands only where every
    other label is a sinus rhythm of some rate or regularity.

    Example:
        >>> in_order(["normal ecg", "sinus bradycardia", "sinus rhythm"])
        ('sinus bradycardia', 'normal ecg')
    """
    found = set(labels)
    if found & set(SINUS_RHYTHMS[1:]):
        found.discard("sinus rhythm")
    if found - {"normal ecg", *SINUS_RHYTHMS}:
        found.discard("normal ecg")
    return tuple(sorted(found, key=ORDER.__getitem__))


def labels_from_scp(codes: Mapping[str, float]) -> tuple[str, ...]:
    """Canonical labels of a PTB-XL record.

    Every listed statement counts, whatever its likelihood. In the 1,772 records of
    `shared/data`, rhythm and form statements nearly always carry 0, and purely diagnostic ones
    never do: 0 occurs only at NST_ (18 of 54) and DIG (1 of 13), which are form statements too
    and whose reports state the finding. Low likelihoods count too, as in PTB-XL's own
    benchmark.

    Args:
        codes: Statement to likelihood in per cent, as in the column `scp_codes`.

    Returns:
        Labels in canonical order. Without a rhythm statement (3 % of the records) there is no
        rhythm label. "normal ecg" (NORM) is kept only beside sinus rhythms.

    Source:
        Wagner et al. 2020, PTB-XL, doi:10.1038/s41597-020-0495-6

    Example:
        >>> labels_from_scp({"NORM": 100.0, "SBRAD": 0.0})
        ('sinus bradycardia', 'normal ecg')
    """
    found = {_BY_SCP[code] for code in codes if code in _BY_SCP}
    if _ABNORMAL_WITHOUT_LABEL & set(codes):
        found.discard("normal ecg")
    return in_order(found)


def labels_from_snomed(codes: Iterable[str]) -> tuple[str, ...]:
    """Canonical labels of SNOMED CT codes; codes without a label are left out.

    Source:
        PhysioNet/CinC Challenge 2021, Dx mapping (Reyna et al. 2021); DICOM CID 3230

    Example:
        >>> labels_from_snomed(["733534002", "426783006"])
        ('sinus rhythm', 'left bundle branch block')
    """
    stripped = (str(code).strip() for code in codes)
    return in_order(_BY_SNOMED[code] for code in stripped if code in _BY_SNOMED)


def canonical(text: str) -> str | None:
    """The canonical label that a wording means, or None where it is none we know.

    The whole text must be the wording: "no st elevation" and "abnormal ecg" give None.

    Example:
        >>> canonical("Complete Right Bundle-Branch Block.")
        'right bundle branch block'
    """
    return _BY_WORDING.get(_plain(text))
