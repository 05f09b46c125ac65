"""Words that `plants` knows: findings, diagnoses, and what each can be mistaken for.

Written for it alone; the package's own vocabularies and parsers are not read.
"""

import re

_FLAGS = re.IGNORECASE

# A sentence with one of these is no plain statement about this record.
NOT_OF_THIS_RECORD = re.compile(
    r"\b(?:if|would|could|should|criterion|defined?|definition|requires?|in general|history|"
    r"previous\w*|last year|are judged|is judged|be judged|not judged|judged when|be measured|"
    r"measurable|are read|is read against|is named only|follows from|is the first to|divides|"
    r"adds the depth|considered before|counts when|are specific|taken from|goes beyond|"
    r"overall (?:impression|picture)|whole picture|leave this open)\b",
    _FLAGS,
)
HEDGES = re.compile(
    r"\b(?:possibl[ey]|possibility|probabl[ey]|may|might|cannot|consider|suspect\w*|suggest(?!s\b)"
    r"\w*|perhaps|questionable|likely|unlikely|seems?)\b",
    _FLAGS,
)
DENIALS = re.compile(
    r"\b(?:no|not|without|nothing|neither|nor|none|absence|absent|rather than|exclud\w+|"
    r"rul\w+ out|(?:argues?|speaks?) against)\b",
    _FLAGS,
)

FINDINGS = {
    "ST elevation": re.compile(r"ST(?:[- ]segment)?[- ]elevations?", _FLAGS),
    "ST depression": re.compile(r"ST(?:[- ]segment)?[- ]depressions?", _FLAGS),
    "T wave inversion": re.compile(r"T[- ](?:wave )?inversions?|inverted T waves?", _FLAGS),
    "Q waves": re.compile(r"(?:pathological |abnormal )?Q waves?", _FLAGS),
    "tall T waves": re.compile(
        r"(?:tall|peaked|tented)(?:,? (?:peaked|tented))? T waves?", _FLAGS
    ),
    "U waves": re.compile(r"(?:prominent )?U waves?", _FLAGS),
    "delta wave": re.compile(r"delta waves?", _FLAGS),
    "rSR' pattern": re.compile(r"rSR'?(?: pattern| complex(?:es)?)?(?!\w)", _FLAGS),
    "broad S waves": re.compile(r"(?:broad|wide) S waves?", _FLAGS),
    "dominant R wave": re.compile(r"dominant R waves?", _FLAGS),
    "upright P waves": re.compile(r"upright P waves?|P waves?(?: are| is)? upright", _FLAGS),
    "flutter waves": re.compile(r"flutter waves?", _FLAGS),
    "pacing spikes": re.compile(r"pac(?:ing|emaker) spikes?", _FLAGS),
    "strain pattern": re.compile(r"strain pattern", _FLAGS),
    "AV dissociation": re.compile(r"AV dissociation", _FLAGS),
    "dropped beats": re.compile(r"dropped beats?", _FLAGS),
    "PR depression": re.compile(r"PR(?:[- ]segment)? depression", _FLAGS),
    "P waves": re.compile(
        r"(?:consistent )?P waves?(?! (?:are |is )?(?:upright|inverted))", _FLAGS
    ),
}

TERRITORIES = {
    "high lateral": ("I", "aVL"),
    "anterolateral": ("I", "aVL", "V3", "V4", "V5", "V6"),
    "anteroseptal": ("V1", "V2", "V3", "V4"),
    "inferior": ("II", "III", "aVF"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "anterior": ("V1", "V2", "V3", "V4"),
    "septal": ("V1", "V2"),
    "precordial": ("V1", "V2", "V3", "V4", "V5", "V6"),
    "limb": ("I", "II", "III", "aVR", "aVL", "aVF"),
}
# Leads where a finding would be a plain error, by wall. Left out are leads that show it in
# healthy hearts too (ST elevation in V1-V3; T inversion and Q in III, aVR, V1).
FAR_LEADS: dict[str, dict[str, tuple[str, ...]]] = {
    "ST elevation": {"inferior": ("II", "aVF", "III"), "lateral": ("V6", "I", "aVL", "V5")},
    "ST depression": {
        "inferior": ("II", "aVF", "III"),
        "lateral": ("V6", "I", "aVL", "V5"),
        "anterior": ("V2", "V3", "V1", "V4"),
    },
    "T wave inversion": {"inferior": ("II", "aVF"), "lateral": ("V6", "I", "V5"),
                         "anterior": ("V3", "V4")},
    "Q waves": {"inferior": ("II", "aVF"), "lateral": ("V6", "I", "V5"),
                "anterior": ("V3", "V4")},
    "tall T waves": {"limb": ("aVL", "III")},
    "rSR' pattern": {"lateral": ("V6", "V5")},
    "broad S waves": {"septal": ("V1", "V2")},
    "dominant R wave": {"aVR": ("aVR",)},
    "upright P waves": {"aVR": ("aVR",)},
    "PR depression": {"aVR": ("aVR",)},
}  # fmt: skip

_INFARCTION = r"(?: wall)? (?:myocardial infarction|infarct(?:ion)?|MI|STEMI)"
_BLOCK = r"(?: bundle[- ]branch block|BBB)"
DIAGNOSES = {
    name: re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", _FLAGS)
    for name, pattern in {
        "sinus rhythm": r"(?:normal |regular )?sinus rhythm",
        "sinus bradycardia": r"sinus bradycardia",
        "sinus tachycardia": r"sinus tachycardia",
        "sinus arrhythmia": r"sinus arrhythmia",
        "sinus pause": r"sinus pause",
        "atrial fibrillation": r"atrial fibrillation|a-?fib",
        "atrial flutter": r"atrial flutter",
        "supraventricular tachycardia": r"supraventricular tachycardia|SVT",
        "paced rhythm": r"(?:ventricular |atrial )?paced rhythm",
        "junctional rhythm": r"junctional rhythm",
        "ectopic atrial rhythm": r"ectopic atrial rhythm",
        "ventricular tachycardia": r"ventricular tachycardia|VT",
        "premature atrial complexes": r"premature atrial complex(?:es)?|PACs?",
        "premature ventricular complexes": r"premature ventricular complex(?:es)?|PVCs?",
        "first-degree AV block": r"(?:first|1st)[- ]degree A-?V block",
        "second-degree AV block": r"(?:second|2nd)[- ]degree A-?V block",
        "third-degree AV block": r"(?:third|3rd)[- ]degree A-?V block|complete heart block",
        "Wolff-Parkinson-White syndrome": r"wolff-parkinson-white(?: syndrome| pattern)?|WPW",
        "left bundle branch block": r"(?:complete )?left bundle[- ]branch block|LBBB",
        "incomplete left bundle branch block": rf"incomplete (?:left{_BLOCK}|LBBB)",
        "right bundle branch block": r"(?:complete )?right bundle[- ]branch block|RBBB",
        "incomplete right bundle branch block": rf"incomplete (?:right{_BLOCK}|RBBB)",
        "left anterior fascicular block": r"left anterior (?:fascicular |hemi)block|LAFB",
        "left posterior fascicular block": r"left posterior (?:fascicular |hemi)block|LPFB",
        "nonspecific intraventricular conduction delay":
            r"nonspecific intraventricular conduction delay",
        "left axis deviation": r"left axis deviation",
        "right axis deviation": r"right axis deviation",
        "left atrial abnormality": r"left atrial (?:abnormality|enlargement)",
        "right atrial abnormality": r"right atrial (?:abnormality|enlargement)",
        "left ventricular hypertrophy": r"left ventricular hypertrophy|LVH",
        "right ventricular hypertrophy": r"right ventricular hypertrophy|RVH",
        "low QRS voltage": r"low QRS voltage",
        "poor R wave progression": r"poor R[- ](?:wave )?progression",
        "dextrocardia": r"dextrocardia",
        "anterior myocardial infarction": rf"anterior{_INFARCTION}",
        "inferior myocardial infarction": rf"inferior{_INFARCTION}",
        "lateral myocardial infarction": rf"lateral{_INFARCTION}",
        "posterior myocardial infarction": rf"posterior{_INFARCTION}",
        "myocardial ischaemia": r"myocardial ischa?emia",
        "nonspecific ST-T abnormality": r"nonspecific ST-T (?:abnormality|changes)",
        "pericarditis": r"pericarditis",
        "early repolarisation": r"early repolari[sz]ation",
        "hyperkalaemia": r"hyperkala?emia",
        "hypokalaemia": r"hypokala?emia",
        "prolonged QT interval": r"prolonged QT(?: interval)?|QT prolongation",
        "short QT interval": r"short QT(?: interval)?",
        "digoxin effect": r"digoxin effect",
        "normal ECG": r"normal ECG",
    }.items()
}  # fmt: skip

_TACHY, _BLOCKS = ("ventricular tachycardia", "atrial flutter"), ("left bundle branch block",)
_OTHER_WALL = {
    "anterior": ("inferior", "lateral"),
    "inferior": ("anterior", "lateral"),
    "lateral": ("inferior", "anterior"),
    "posterior": ("anterior", "lateral"),
}
# What each is swapped for: something that the same record cannot well be, and that shows in
# what can be measured.
PARTNERS: dict[str, tuple[str, ...]] = {
    "sinus rhythm": ("atrial fibrillation", "atrial flutter", "ventricular tachycardia"),
    "sinus bradycardia": ("sinus tachycardia", "atrial fibrillation"),
    "sinus tachycardia": ("sinus bradycardia", "atrial fibrillation"),
    "sinus arrhythmia": ("atrial fibrillation", "ventricular tachycardia"),
    "sinus pause": ("atrial fibrillation", "supraventricular tachycardia"),
    "atrial fibrillation": ("sinus rhythm", "paced rhythm"),
    "atrial flutter": ("sinus rhythm", "sinus bradycardia"),
    "supraventricular tachycardia": ("sinus bradycardia", "atrial fibrillation"),
    "paced rhythm": ("supraventricular tachycardia", "ventricular tachycardia"),
    "junctional rhythm": ("atrial fibrillation", "supraventricular tachycardia"),
    "ectopic atrial rhythm": ("atrial fibrillation", "ventricular tachycardia"),
    "ventricular tachycardia": ("sinus rhythm", "sinus bradycardia"),
    "premature atrial complexes": ("premature ventricular complexes",),
    "premature ventricular complexes": ("premature atrial complexes",),
    "first-degree AV block": ("third-degree AV block", "Wolff-Parkinson-White syndrome"),
    "second-degree AV block": ("Wolff-Parkinson-White syndrome", *_TACHY),
    "third-degree AV block": ("Wolff-Parkinson-White syndrome", *_TACHY),
    "Wolff-Parkinson-White syndrome": ("third-degree AV block", "first-degree AV block"),
    "left bundle branch block": ("right bundle branch block", "paced rhythm"),
    "incomplete left bundle branch block": ("right bundle branch block",),
    "right bundle branch block": ("left bundle branch block", "paced rhythm"),
    "incomplete right bundle branch block": ("left bundle branch block", "paced rhythm"),
    "left anterior fascicular block": ("left posterior fascicular block",),
    "left posterior fascicular block": ("left anterior fascicular block",),
    "nonspecific intraventricular conduction delay": ("paced rhythm",),
    "left axis deviation": ("right axis deviation",),
    "right axis deviation": ("left axis deviation",),
    "left atrial abnormality": ("dextrocardia", *_BLOCKS),
    "right atrial abnormality": ("dextrocardia", *_BLOCKS),
    "left ventricular hypertrophy": ("low QRS voltage", "dextrocardia"),
    "right ventricular hypertrophy": ("low QRS voltage", *_BLOCKS),
    "low QRS voltage": ("left ventricular hypertrophy",),
    "poor R wave progression": ("right bundle branch block",),
    "dextrocardia": ("left ventricular hypertrophy",),
    **{
        f"{wall} myocardial infarction": tuple(f"{x} myocardial infarction" for x in others)
        for wall, others in _OTHER_WALL.items()
    },
    "myocardial ischaemia": _BLOCKS,
    "nonspecific ST-T abnormality": ("anterior myocardial infarction", *_BLOCKS),
    "pericarditis": ("right bundle branch block", *_BLOCKS),
    "early repolarisation": ("right bundle branch block", *_BLOCKS),
    "hyperkalaemia": ("hypokalaemia", "short QT interval"),
    "hypokalaemia": ("hyperkalaemia", "short QT interval"),
    "prolonged QT interval": ("short QT interval",),
    "short QT interval": ("prolonged QT interval",),
    "digoxin effect": ("prolonged QT interval", "hyperkalaemia"),
    "normal ECG": ("left bundle branch block", "atrial fibrillation"),
}
