"""Wordings of the template writer: `<a|b>` is a choice, `{name}` what the writer fills in.

Kept apart from the writer so that a cardiologist can read and amend them.
"""

UNCALIBRATED = "Voltages and ST levels are not judged: the record is not calibrated."

# --- names ------------------------------------------------------------------------------------

# Canonical label -> how it is written inside a sentence, where that differs.
LABEL_NAMES = {
    "first-degree av block": "first-degree AV block",
    "second-degree av block": "second-degree AV block",
    "third-degree av block": "third-degree AV block",
    "wolff-parkinson-white syndrome": "Wolff-Parkinson-White syndrome",
    "low qrs voltage": "low QRS voltage",
    "poor r wave progression": "poor R wave progression",
    "st elevation": "ST elevation",
    "st depression": "ST depression",
    "t wave inversion": "T wave inversion",
    "nonspecific st-t abnormality": "nonspecific ST-T abnormality",
    "prolonged qt interval": "prolonged QT interval",
    "short qt interval": "short QT interval",
    "normal ecg": "normal ECG",
}
PLURAL = ("premature atrial complexes", "premature ventricular complexes")
WITH_ARTICLE = ("prolonged qt interval", "short qt interval", "normal ecg")

# The same after "no", where that reads better.
DENIED_NAMES = {"prolonged qt interval": "QT prolongation", "normal ecg": "normal ECG"}

# A finding, as it follows "with" or "there is" / "there are".
FINDING_NAMES = {
    "regular rhythm": "regular RR intervals",
    "irregular rhythm": "irregular RR intervals",
    "irregularly irregular rhythm": "irregularly irregular RR intervals",
    "p waves": "P waves before the QRS complexes",
    "upright p waves": "upright P waves",
    "inverted p waves": "inverted P waves",
    "flutter waves": "flutter waves",
    "pacing spikes": "pacing spikes",
    "pause": "a pause",
    "grouped beating": "grouped beating",
    "dropped beats": "dropped beats",
    "pr lengthening": "PR lengthening",
    "av dissociation": "AV dissociation",
    "2:1 conduction": "2:1 conduction",
    "delta wave": "delta waves",
    "rsr pattern": "an rSR' pattern",
    "broad s waves": "broad S waves",
    "dominant r waves": "a dominant R wave",
    "small r waves": "small R waves",
    "strain pattern": "a strain pattern",
    "q waves": "pathological Q waves",
    "st elevation": "ST elevation",
    "st depression": "ST depression",
    "t wave inversion": "T wave inversion",
    "flat t waves": "flat T waves",
    "tall t waves": "tall T waves",
    "u waves": "prominent U waves",
    "pr depression": "PR depression",
    "j point notching": "notching of the J point",
}
QUANTITY_NAMES = {
    "hr_bpm": "a rate of {value}",
    "atrial_bpm": "an atrial rate of {value}",
    "pr_ms": "a PR interval of {value}",
    "qrs_ms": "a QRS duration of {value}",
    "qtc_ms": "a QTc of {value}",
    "axis_deg": "a frontal axis of {value}",
    "sokolow_mv": "a Sokolow-Lyon sum of {value}",
    "cornell_mv": "a Cornell voltage of {value}",
    "p_ms": "a P wave duration of {value} in {leads}",
    "p_mv": "a P wave amplitude of {value} in {leads}",
}
TERRITORIES = {
    ("II", "III", "aVF"): "the inferior leads",
    ("I", "aVL"): "the high lateral leads",
    ("I", "aVL", "V5", "V6"): "the lateral leads",
    ("V1", "V2", "V3", "V4"): "the anterior leads",
}

# --- verdicts on numbers ----------------------------------------------------------------------

# Short ones follow the number in brackets, long ones after a comma.
SHORT_VERDICT = {
    "normal": "normal", "short": "short", "prolonged": "prolonged", "borderline": "borderline",
    "wide": "wide", "slow": "slow", "fast": "fast", "left": "leftward", "right": "rightward",
    "extreme": "extreme", "high": "high", "severely prolonged": "severely prolonged",
}  # fmt: skip
LONG_VERDICT = {
    "normal": ("normal", "within normal limits", "which is normal"),
    "short": ("short", "which is short"),
    "prolonged": ("prolonged", "which is prolonged"),
    "borderline": ("borderline", "which is borderline"),
    "wide": ("wide", "which is wide"),
    "slow": ("slow", "which is slow"),
    "fast": ("fast", "which is fast"),
    "left": ("leftward", "turned to the left"),
    "right": ("rightward", "turned to the right"),
    "extreme": ("extreme", "which is extreme"),
    "high": ("high", "which is high"),
    "severely prolonged": ("severely prolonged", "which is severely prolonged"),
}

# --- sentences --------------------------------------------------------------------------------

SENTENCES = {
    # Step 1
    "good quality": (
        "<The tracing|The recording|This recording> is of <good|adequate> <technical |>"
        "quality.",
        "<Signal|Technical|Recording> quality is <good|adequate|sufficient>.",
        "<Good|Adequate> <signal|technical|recording> quality.",
        "The quality of the <recording|tracing|signal> is <good|adequate>.",
    ),
    "noise": (
        "<There is noise|Noise is seen> in {leads}.",
        "Signal quality is limited by noise in {leads}.",
        "<The recording|The tracing> is noisy in {leads}.",
    ),
    "possible noise": (
        "Some artefact may be present.",
        "The recording may hold some artefact.",
    ),
    "clipping": (
        "The signal is clipped in {leads}.",
        "There is clipping of the signal in {leads}.",
    ),
    "lead off": (
        "The electrode seems to be off in {leads}.",
        "An electrode contact is lost in {leads}.",
    ),
    "lead reversal": (
        "Lead reversal is suspected: the {kind} electrodes seem exchanged.",
        "Possible lead reversal, since the {kind} electrodes seem exchanged.",
    ),
    "rate": (
        "<The heart|The ventricular|Heart|Ventricular> rate is {value}{verdict}.",
        "<The rate|Rate> <is|comes to> {value}{verdict}.",
        "<The heart beats at|The ventricles beat at> {value}{verdict}.",
    ),
    "regular rhythm": (
        "<The RR intervals|RR intervals> are regular.",
        "The rhythm is regular.",
        "<The beats follow each other regularly|The ventricular rhythm is regular>.",
    ),
    "irregular rhythm": (
        "<The RR intervals|RR intervals> are irregular.",
        "The rhythm is irregular.",
    ),
    "irregularly irregular rhythm": (
        "<The RR intervals|RR intervals> are irregularly irregular.",
        "The rhythm is irregularly irregular.",
    ),
    "unknown regular rhythm": (
        "<Regularity|The regularity of the rhythm> cannot be judged from so few beats.",
    ),
    "rr range": (
        "<The RR intervals|RR intervals> <range|vary> from {value}.",
        "RR runs from {value}.",
    ),
    "rr longest": ("The longest RR interval is {value}.",),
    "p waves": (
        "<A|One> P wave precedes <each|every> QRS<| complex>.",
        "P waves <precede|come before> <the|all> QRS complexes.",
        "<Each|Every> QRS complex is preceded by a P wave.",
    ),
    "no p waves": (
        "<No P waves are seen|There are no P waves> before the QRS<| complexes>.",
        "<Consistent P waves|P waves> are absent.",
        "No <consistent |>P waves precede the QRS complexes.",
    ),
    "unknown p waves": (
        "<The P waves|P waves> cannot be judged<| with confidence>.",
        "The P waves do not stand out clearly enough to be judged.",
    ),
    "upright p waves": (
        "<P waves are|The P waves are> upright in {leads}.",
        "Upright P waves are seen in {leads}.",
    ),
    "inverted p waves": (
        "<P waves are|The P waves are> inverted in {leads}.",
        "Inverted P waves are seen in {leads}.",
    ),
    "flutter waves": (
        "Flutter waves <are seen|are present>.",
        "There are flutter waves.",
    ),
    "atrial rate": ("The atrial rate is {value}.", "The atrial rate comes to {value}."),
    "pacing spikes": (
        "Pacing spikes <are seen|are present>.",
        "There are pacing spikes<| before the beats>.",
    ),
    "pause": ("There is a pause.", "A pause interrupts the rhythm."),
    "grouped beating": (
        "The beats come in groups (grouped beating).",
        "There is grouped beating.",
    ),
    # Steps 2 to 5
    "pr_ms": (
        "<The PR interval|PR interval|PR> <is|measures> {value}{verdict}.",
        "<The PR interval|PR> comes to {value}{verdict}.",
    ),
    "qrs_ms": (
        "<The QRS duration|QRS duration|The QRS complex> <is|measures> {value}{verdict}.",
        "QRS <lasts|measures> {value}{verdict}.",
    ),
    "axis_deg": (
        "<The frontal axis|The QRS axis|The electrical axis|Frontal axis> <is|lies at> "
        "{value}{verdict}.",
        "<The axis|The mean frontal axis> is {value}{verdict}.",
    ),
    "unknown pr_ms": (
        "<The PR interval|PR> cannot be measured<|{because}>.",
        "<The PR interval|PR> is not measurable<|{because}>.",
    ),
    "unknown qrs_ms": (
        "<The QRS duration|QRS duration> <cannot be measured|is not measurable>.",
    ),
    "unknown axis_deg": (
        "<The frontal axis|The axis> <cannot be measured|is not measurable>.",
    ),
    "unknown qtc_ms": ("<The QT interval|QT> <cannot be measured|is not measurable>.",),
    "unknown hr_bpm": ("The heart rate cannot be measured.",),
    "unknown sokolow_mv": (
        "<The voltage|Voltage> criteria <cannot be applied|are not applied> here.",
    ),
    "2:1 conduction": ("<AV conduction|Conduction> is 2:1.", "There is 2:1 conduction."),
    "pr lengthening": (
        "<The PR interval|PR> lengthens from beat to beat.",
        "There is progressive lengthening of the PR interval.",
    ),
    "dropped beats": ("There are dropped beats.", "Dropped beats are seen."),
    "av dissociation": (
        "There is AV dissociation.",
        "P waves and QRS complexes show AV dissociation.",
    ),
    "sokolow": (
        "<The S wave|S> in V1 is {s} and <the R wave|R> in {lead} {r}, <together|in sum> a "
        "Sokolow-Lyon voltage of {value}{verdict}.",
        "S in V1 of {s} and R in {lead} of {r} <give|add up to> a Sokolow-Lyon sum of "
        "{value}{verdict}.",
        "S in V1 {s}, R in {lead} {r}, Sokolow-Lyon sum {value}{verdict}.",
    ),
    "cornell": (
        "<The Cornell voltage|Cornell voltage> is {value}{verdict}.",
        "The Cornell <sum|index> <is|comes to> {value}{verdict}.",
    ),
    "normal r progression": (
        "R wave progression is normal.",
        "<Normal R wave progression|There is normal R wave progression>.",
    ),
    "late transition": ("<The transition|Transition> is late, in {leads}.",),
    "early transition": ("<The transition|Transition> is early, in {leads}.",),
    "p size": (
        "In II the P wave <is {p_mv} high|has an amplitude of {p_mv}> and lasts {p_ms}.",
        "<The P wave|P> in II is {p_mv} <high|tall> and {p_ms} <long|wide>.",
    ),
    "in leads": (
        "There {be} {name} in {leads}.",
        "{Name} {be} <seen|present> in {leads}.",
        "{Leads} {show} {name}.",
    ),
    "in no lead": ("There {be} {name}.", "{Name} {be} seen."),
    "st level": (
        "In {lead} the ST level is {value}.",
        "The ST level in {lead} <is|reaches> {value}.",
    ),
    "t size": ("In {lead} the T wave is {value}.", "The T wave in {lead} measures {value}."),
    "absent": (
        "No {names}.",
        "No {names} can be seen.",
        "There {be} no {names}.",
        "<The leads|The twelve leads> show no {names}.",
        "The tracing shows no {names}.",
    ),
    "not judged": (
        "It cannot be judged whether there {be} {names}.",
        "Whether there {be} {names} cannot be judged.",
    ),
    "qt": (
        "<The QT interval|QT interval|QT> is {qt}, <QTc|and QTc|corrected to a QTc of> "
        "{value} by Fridericia{verdict}.",
        "<QT|The QT interval> measures {qt} and QTc (Fridericia) {value}{verdict}.",
        "QT {qt} and QTc <(Fridericia) |>{value}{verdict}.",
        "QTc (Fridericia) is {value}{verdict}, <from|at> a QT of {qt}.",
    ),
    # Diagnoses
    "diagnosis": (
        "<This is|The picture is that of|The finding is|It is> {label}.",
        "{Label} is present.",
        "There is {label}.",
        "{Label}.",
    ),
    "diagnosis because": (
        "<This is|It is> {label}, <with|given> {because}.",
        "With {because}, <this is|the picture is that of> {label}.",
        "{Label} is <supported by|shown by|based on> {because}.",
        "{Label} <with|on the basis of> {because}.",
    ),
    "overall": (
        "{Label} is the overall impression and goes beyond {reason}.",
        "Beyond {reason}, the overall impression is {label}.",
        "{Label} is taken from the overall picture rather than from {reason}.",
        "The whole picture is read as {label}; {reason} alone would leave this open.",
    ),
    "overall short": (
        "{Label} as overall impression.",
        "Overall impression: {label}.",
        "The overall impression is {label}.",
    ),
    "excluded": (
        "No {label}.",
        "<No sign of|No evidence of> {label}.",
        "There is no <sign|evidence> of {label}.",
        "<Nothing suggests|Nothing points to> {label}.",
    ),
    "excluded because": (
        "With {because}, there is no <sign|evidence> of {label}.",
        "Given {because}, there is no <sign|evidence> of {label}.",
        "There is no <sign|evidence> of {label}, given {because}.",
        "{Because} {argue} against {labels}.",
        "{Because} {speak} against {labels}.",
    ),
    "ruled out because": (
        "With {because}, {label} is <excluded|ruled out>.",
        "{Label} is <excluded|ruled out> by {because}.",
        "{Because} {exclude} {label}.",
    ),
    # Step 6 and summary
    "opening": (
        "Taken together, ",
        "In conclusion, ",
        "Putting this together, ",
        "Overall, ",
        "In synthesis, ",
        "",
        "",
        "",
    ),
    "at rate": ("{label} at {value}", "{label} with a rate of {value}"),
    "beside": (
        "Beside this there {be} {names}.",
        "In addition there {be} {names}.",
        "<Further findings|Other findings>: {names}.",
    ),
    "at all": ("There {be} {names}.", "The finding is {names}.", "{Names}."),
    "normal": (
        "<This is a|The whole picture is that of a|It is a> normal ECG.",
        "Normal ECG.",
        "All in all a normal ECG.",
    ),
    "immediate": (
        "This needs attention at once.",
        "Someone must act on this at once.",
        "This cannot wait: it needs action within minutes.",
    ),
    "prompt": (
        "This should be looked at promptly.",
        "A physician should see this soon.",
        "This asks for prompt review.",
    ),
    "summary": (
        "<This|The> <12-lead |>ECG shows {names}.",
        "12-lead ECG with {names}.",
        "<Reading|Summary>: {names}.",
        "{Names}.",
    ),
    "normal summary": (
        "Normal <12-lead |>ECG<: | with >{names}.",
        "{Names}, a normal ECG.",
        "<This|The> ECG shows {names} and is a normal ECG.",
    ),
    # General knowledge, for teaching texts: no claims about this record.
    "teach 1": (
        "Rate and rhythm come first, because all that follows depends on them.",
        "A systematic reading begins with the quality of the recording, the rate and the "
        "rhythm.",
        "A rhythm is named only after looking for the atria in several leads.",
    ),
    "teach 2": (
        "Intervals are read over all leads, from the earliest onset to the latest end.",
        "The axis follows from the net area of the complexes in I and aVF.",
        "Conduction is read from the atria downwards: AV node, bundles, fascicles.",
    ),
    "teach 3": (
        "The Sokolow-Lyon sum adds the depth of S in V1 to the taller R of V5 and V6.",
        "Voltage criteria are specific rather than sensitive.",
        "Body build and the chest wall change voltages as much as muscle does.",
    ),
    "teach 4": (
        "ST levels are judged in neighbouring leads that look at the same wall.",
        "A change counts when neighbouring leads agree.",
        "Mimics are considered before the vessel.",
    ),
    "teach 5": (
        "Fridericia divides QT by the cube root of the RR interval.",
        "QT is read against the rate: this is what the correction is for.",
        "The T wave is the first to show a shift of potassium.",
    ),
}
