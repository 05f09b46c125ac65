"""Words for diagnoses beyond those of `ecg_r1.labels`."""

_ECTOPY = r"(?:ectop(?:y|ics?|ic beats?)|extra-?systoles?|premature (?:beats?|complexes))"
_BLOCK = r"(?:a-?v|atrio-?ventricular)(?: conduction)?[- ]block"

_SIDES = r"(?:left|right) ?(?:or|and|nor|/) ?(?:left|right)[- ]"

DIAGNOSIS_WORDS: tuple[tuple[str, str], ...] = (
    ("incomplete left bundle branch block",
        r"incomplete (?:left bund(?:le|el)[- ]branch[- ]block|lbbb)|ilbbb"),
    ("incomplete right bundle branch block",
        r"incomplete (?:right bund(?:le|el)[- ]branch[- ]block|rbbb)|irbbb"),
    ("left bundle branch block",
        r"(?:complete )?(?:left bund(?:le|el)[- ]branch(?:[- ]block)?|lbbb)\b|clbbb"),
    ("right bundle branch block",
        r"(?:complete )?(?:right bund(?:le|el)[- ]branch(?:[- ]block)?|rbbb)\b|crbbb"),
    ("bifascicular block", r"bi-?fascicular[- ]block"),
    ("trifascicular block", r"tri-?fascicular[- ]block"),
    ("left anterior fascicular block",
        r"left anterior (?:fascicular[- ]block|hemi-?block|fascicle block)|\blafb\b|\blah\b|"
        r"\blahb\b"),
    ("left posterior fascicular block",
        r"left posterior (?:fascicular[- ]block|hemi-?block|fascicle block)|\blpfb\b|\blph\b"),
    ("fascicular block", r"fascicular[- ]block|hemi-?block"),
    ("bundle branch block", r"bund(?:le|el)[- ]branch[- ]block|\bbbb\b"),
    ("nonspecific intraventricular conduction delay",
        r"(?:non-?specific )?(?:intra-?ventricular|iv) conduction (?:delay|defect|"
        r"disturbance|disorder|block)|\bivcd\b"),
    (
        "first-degree av block+second-degree av block",
        r"(?:first|1st)-?(?: degree)?(?: or| nor| and|,|/)+ (?:second|"
        rf"2nd)[- ]degree (?:{_BLOCK})",
    ),
    ("first-degree av block",
        rf"(?:first|1st|1)[- °]?(?:st)?[- ]?degree (?:{_BLOCK}|a ?v ?b|heart[- ]block)|"
        rf"1st degree|\b1avb\b|{_BLOCK},?(?: of(?: the)?)? (?:first|1st)[- ]degree"),
    ("second-degree av block",
        rf"(?:second|2nd)[- ]degree (?:{_BLOCK}|heart[- ]block)(?:,? (?:type|"
        r"mobitz)(?: type)? i{1,2})?|"
        rf"mobitz(?: type)?(?: i{{1,2}}| [12])?(?: (?:second[- ]degree )?{_BLOCK})?|"
        rf"wenckebach\w*(?: (?:phenomenon|block|pattern|periodicity))?|2:1 (?:{_BLOCK}|"
        rf"block)|{_BLOCK},?(?: of(?: the)?)? (?:second|2nd)[- ]degree"),
    ("third-degree av block",
        rf"(?:third|3rd)[- ]degree (?:{_BLOCK}|heart[- ]block)|complete (?:{_BLOCK}|"
        rf"heart[- ]block)|\bchb\b|{_BLOCK},?(?: of(?: the)?)? (?:third|3rd)[- ]degree"),
    ("av block", rf"{_BLOCK}|heart[- ]block"),
    ("sinoatrial block", r"(?:sino-?atrial|s-?a)[- ](?:exit )?block"),
    ("wolff-parkinson-white syndrome",
        r"wol(?:f|ff)[- ]parkinson[- ]white(?: (?:syndrome|pattern))?|"
        r"\bwpw\b(?: (?:syndrome|pattern))?|(?:ventricular )?pre-?excitation"),
    ("sinus bradycardia", r"(?:marked |mild )?sinus brad(?:y(?:cardia)?)?"),
    ("sinus tachycardia", r"(?:marked |mild )?sinus tach(?:y(?:cardia)?)?"),
    ("sinus arrhythmia", r"(?:respiratory |marked )?sinus arr?h?ythmia"),
    ("sinus pause", r"sinus (?:pauses?|arrest)"),
    ("sinus rhythm",
        r"(?:normal )?sinus r[hyt]{2,5}m|\bnsr\b|(?:normal )?sinus(?= (?:at|with|,|p\b))|"
        r"sinus[- ]node rhythm|sinus ?rhythmus|sinusrhythm|"
        r"sinus (?:origin|mechanism)|(?:originat|aris)\w+ (?:from|in) the sinus(?: node)?|"
        r"\bsr\b|(?<!coronary )(?:normal )?sinus(?=,|$)|"
        r"(?<=rhythm )(?:regular |normal )?sinus\b(?! (?:brady|tachy|arr|rhy))|"
        r"(?<=rhythm: )(?:regular )?sinus\b(?! (?:brady|tachy|arr))|(?<=rhythm is )sinus\b"),
    ("atrial fibrillation", r"atrial fib(?:rillation|rilation)?\b|\ba-?fib\b|\baf\b"),
    ("ventricular fibrillation", r"ventricular fibrillation|\bvf\b"),
    ("atrial flutter", r"atrial flutter|\bafl\b|\bflutter\b(?![- ]wave)"),
    ("multifocal atrial tachycardia", r"multi-?focal atrial tachycardia|\bmat\b"),
    ("wandering atrial pacemaker", r"wandering (?:atrial )?pacemaker"),
    ("supraventricular tachycardia",
        r"(?:paroxysmal )?supra-?ventricular tachycardia|\bp?svt\b|(?:av|"
        r"atrioventricular)[- ]?nodal re-?entr\w+ tachycardia|\bavnrt\b|\bavrt\b|"
        r"(?:focal )?atrial tachycardia"),
    ("ventricular tachycardia", r"ventricular tachycardia|\bvt\b|v-?tach"),
    ("junctional rhythm",
        r"(?:accelerated )?(?:a-?v )?(?:junctional|"
        r"nodal)(?: escape)?(?: ectopic)? (?:rhythm|bradycardia|tachycardia)|"
        r"(?<=rhythm is )(?:junctional|nodal)\b|(?<=rhythm: )(?:junctional|nodal)\b"),
    ("ectopic atrial rhythm",
        r"(?:ectopic|low) atrial (?:rhythm|bradycardia|focus)|(?<=: )atrial rhythm"),
    ("paced rhythm",
        r"(?:(?:ventricular|atrial|dual[- ]chamber|a-?v|av sequential|electronic|artificial|"
        r"electronically|ventricularly|demand)[- ]*)*"
        r"(?:paced(?: (?:rhythm|complex(?:es)?|beats?|qrs))?|pacemaker(?: rhythm)?|"
        r"pacing(?! (?:spike|art|stim|rate))(?: rhythm)?)"),
    ("premature ventricular complexes+premature atrial complexes",
        r"premature (?:ventricular (?:or|and|nor) atrial|atrial (?:or|and|nor) ventricular) "
        r"(?:complexes|beats|contractions|ectop\w+)|(?:atrial|supra-?ventricular|ventricular) "
        r"(?:or|and|nor) (?:atrial|supra-?ventricular|ventricular) (?:ectop(?:y|ics?|"
        r"ic beats?)|"
        r"extra-?systoles?|premature (?:beats|complexes|contractions))"),
    ("premature ventricular complexes",
        r"(?:unifocal |multifocal |frequent |occasional |isolated |single |uniform |"
        r"multiform )*(?:premature ventricular (?:complex(?:es)?|contractions?|beats?|"
        r"ectopics?|depolari[sz]ations?)|"
        r"ventricular (?:premature (?:complex(?:es)?|beats?|contractions?)|extra-?systoles?|"
        r"ectop(?:y|ics?|ic beats?))|\b[pv]p?vcs?\b|\bpvcs?\b|\bves\b|"
        rf"{_ECTOPY} of ventricular origin)"),
    ("premature atrial complexes",
        r"(?:frequent |occasional |isolated |single )*(?:premature (?:atrial|"
        r"supra-?ventricular) (?:complex(?:es)?|contractions?|beats?|ectopics?|"
        r"depolari[sz]ations?)|"
        r"(?:atrial|supra-?ventricular) (?:premature (?:complex(?:es)?|beats?|"
        r"contractions?)|extra-?systoles?|ectop(?:y|ics?|ic beats?))|\bpacs?\b|\bapcs?\b|"
        rf"{_ECTOPY} of (?:atrial|supra-?ventricular) origin)"),
    ("left axis deviation+right axis deviation",
        r"(?:(?<=no )|(?<=any )|(?<=without ))(?:significant |abnormal )?(?:qrs )?"
        r"axis deviation|(?:left|right) n?or (?:left|right) axis deviation"),
    ("left axis deviation",
        r"(?:marked |mild |moderate )?left(?:ward)? (?:frontal )?(?:qrs )?axis(?: deviation|"
        r" shift)|\blad\b|left(?:ward)? axis\b|deviat(?:ed|"
        r"ion)(?: of)?(?: the)?(?: \w+)? to the left|axis deviation to the left|"
        r"axis(?: is)? (?:deviate[ds]|shift(?:ed|s)) (?:to the )?left(?:ward)?"),
    ("right axis deviation",
        r"(?:marked |mild |"
        r"moderate )?right(?:ward)? (?:frontal )?(?:qrs )?axis(?: deviation| shift)|\brad\b|"
        r"right(?:ward)? axis\b|axis deviation to the right|"
        r"axis(?: is)? (?:deviate[ds]|shift(?:ed|s)) (?:to the )?right(?:ward)?"),
    ("left atrial abnormality+right atrial abnormality",
        rf"{_SIDES}atrial (?:enlargement|abnormality|hypertrophy|overload)"),
    ("left ventricular hypertrophy+right ventricular hypertrophy",
        rf"{_SIDES}ventricular (?:hypertrophy|enlargement)"),
    ("left bundle branch block+right bundle branch block",
        rf"{_SIDES}bund(?:le|el)[- ]branch[- ]blocks?"),
    ("left atrial abnormality",
        r"left[- ]atrial (?:enlargement|abnormality|hypertrophy|overload|dilat\w+)|\blae\b|"
        r"p[- ]mitrale"),
    ("right atrial abnormality",
        r"right[- ]atrial (?:enlargement|abnormality|hypertrophy|overload|dilat\w+)|\brae\b|"
        r"p[- ]pulmonale"),
    ("atrial enlargement", r"(?:bi-?)?atrial (?:enlargement|abnormality|hypertrophy|overload)"),
    ("left ventricular hypertrophy",
        r"left[- ]ventricular[- ](?:hypertrophy|enlargement)|\blvh\b"),
    ("right ventricular hypertrophy",
        r"right[- ]ventricular[- ](?:hypertrophy|enlargement)|\brvh\b"),
    ("ventricular hypertrophy",
        r"(?:bi-?)?ventricular hypertrophy|chamber hypertrophy|hypertrophy"),
    ("low qrs voltage",
        r"(?:generali[sz]ed |abnormally )?low(?:[- ](?:qrs|limb[- ]leads?|precordial|"
        r"chest[- ]lead))?[- ](?:voltages?|amplitudes?)(?: qrs)?|low[- ]voltage qrs|"
        r"(?:qrs )?voltages?(?: is| are) (?:abnormally )?low|micro-?voltage"),
    ("dextrocardia", r"dextrocardia|situs inversus"),
    ("brugada pattern", r"brugada(?: (?:pattern|syndrome|type \w+))*"),
    ("wellens pattern", r"wellens'?(?: (?:pattern|syndrome|sign))?"),
    ("pulmonary embolism", r"pulmonary embol\w+|\bpe\b"),
    ("arrhythmogenic cardiomyopathy",
        r"arrhythmogenic (?:right ventricular )?(?:cardiomyopathy|dysplasia)|\barvc\b"),
    ("cardiomyopathy", r"(?:hypertrophic |dilated |takotsubo )?cardiomyopathy"),
    ("ventricular aneurysm", r"(?:left )?ventricular aneurysm|\baneurysm"),
    ("heart failure", r"(?:congestive )?heart failure|\bchf\b"),
    ("pulmonary disease",
        r"(?:chronic )?(?:obstructive )?(?:pulmonary|lung) disease|\bcopd\b|cor pulmonale|"
        r"emphysema"),
    ("myocarditis", r"(?:peri)?myocarditis"),
    ("pericardial effusion", r"pericardial effusion|tamponade"),
    ("pericarditis", r"(?:acute )?pericarditis"),
    ("early repolarisation", r"(?:benign )?early repolari[sz]ation(?: pattern)?"),
    ("hyperkalaemia", r"hyper-?kal(?:a?emi(?:a|c(?: changes?)?)|iaemia)"),
    ("hypokalaemia", r"hypo-?kal(?:a?emi(?:a|c(?: changes?)?)|iaemia)"),
    ("hypercalcaemia", r"hyper-?calca?emia"),
    ("hypocalcaemia", r"hypo-?calca?emia"),
    ("hypothermia", r"hypothermia"),
    ("digoxin effect", r"(?:digoxin|digitalis)(?:[- ](?:effect|toxicity|changes?))?"),
    ("electrolyte disturbance",
        r"(?:any )?electrolyte (?:disturbances?|abnormalit\w+|imbalances?|disorders?|"
        r"derangements?|shifts?|changes?)"),
    ("drug effect", r"drug[- ](?:effects?|toxicity)"),
    ("prolonged qt interval",
        r"(?:borderline )?(?:prolonged|long|lengthened) (?:qtc?|"
        r"corrected qt)(?:[- ]intervals?)?(?: syndrome)?|"
        r"qtc?(?:[- ]interval)?[- ]prolongation|qtc?(?:[- ]interval)?(?: is|"
        r" are) (?:markedly )?(?:prolonged|long)|prolongation of (?:the )?qtc?"),
    ("short qt interval",
        r"(?:short|shortened) (?:qtc?|corrected qt)(?:[- ]intervals?)?(?: syndrome)?|"
        r"qtc?(?:[- ]interval)?[- ]shortening"),
    ("nonspecific st-t abnormality",
        r"non-?specific (?:st|t|st[-/ ]t|st (?:and|&) t|repolari[sz]ation)(?:[- ](?:segment|"
        r"waves?|and|t))* ?(?:changes?|abnormalit\w+|alterations?|disturbances?)"),
    ("myocardial ischaemia",
        r"(?:myocardial |subendocardial |acute |transmural )*isch(?:a)?emi(?:a|"
        r"c(?: (?:changes?|st[- ]?t? changes?|pattern|heart disease))?)"),
    ("abnormal ecg",
        r"abnormal (?:ecg|ekg|electrocardiogram|tracing|12[- ]lead ecg|12[- ]lead)|(?:ecg|"
        r"ekg|tracing) is (?:abnormal|not normal)"),
    ("borderline ecg", r"borderline (?:ecg|ekg|electrocardiogram)"),
    ("normal ecg",
        r"normal (?:12[- ]lead |resting |adult )*(?:ecg|ekg|electrocardiogram|tracing|"
        r"study)|(?<!of this )(?<!of the )(?:ecg|ekg|electrocardiogram|"
        r"tracing) is (?:entirely |completely |within )?normal(?: limits)?|(?:ecg|ekg|"
        r"tracing) within (?:the )?normal limits|otherwise normal (?:ecg|ekg)|"
        r"unremarkable (?:12[- ]lead )?(?:ecg|ekg)"),
)  # fmt: skip
