"""Words for findings: (names, pattern), several names where one phrase says several things."""

import re

_W = r"(?:[- ]?waves?)?"
_ST = r"st(?:[- ]segments?)?"
_IS = (
    r"(?::| is| are| was| were| appears?| remains?|"
    r" (?:may|might|could|(?:seem|appear)s? to) be)?"
)
# "ST segments: no significant elevation": the wave is the title of a line.
_REAL = r"(?:significant |acute |pathologic\w* |relevant )?"
_NO_ST = rf"(?:(?<=st: no )|(?<=segment: no )|(?<=segments: no )){_REAL}"
_NO_T = rf"(?:(?<=t: no )|(?<=t wave: no )|(?<=t waves: no )){_REAL}"
# Of "horizontal ST depression" both words speak.
_OF_ST = rf"(?: {_ST})?(?![- ](?:segments?[- ])?(?:elev|depr))"
_EVEN = r"(?:constant|equal|even(?:ly spaced)?|uniform|fixed|consistent|identical|steady)"
_UNEVEN = r"(?:variable|varying|unequal|uneven(?:ly spaced)?|inconsistent)"
_EVERY = r"(?:each|every) "
_ODD = (
    r" (?:beat|qrs)(?: complex)? is (?=(?:an? )?(?:\w+ )?(?:premature|ventricular|pvc|pac|"
    r"ectop|"
    r"extra|atrial|supra))"
)
_SIZE = r"(?:tall|peaked|tented|hyper-?acute|pointed|narrow-based|symmetric\w*|prominent)"

FINDING_WORDS: tuple[tuple[str, str], ...] = (
    # ST, T, U
    (
        "st elevation+st depression",
        rf"{_ST} (?:elevations?|deviation)(?: ?(?:or|and|/|nor|,) ?)(?:{_ST} )?depressions?|"
        rf"{_ST}[- ](?:deviations?|shifts?)|{_NO_ST}(?:deviations?|shifts?)|"
        rf"{_NO_ST}elevations? (?:or|and|nor) depressions?",
    ),
    ("st depression+st elevation", rf"{_ST} depressions?(?: ?(?:or|and|/|nor) ?)elevations?"),
    ("st-t changes",
        r"st[-/ ]t(?:[- ]waves?)? (?:changes?|abnormalit\w+|alterations?)|"
     rf"st (?:&|and) t{_W} (?:changes?|abnormalit\w+)|{_ST}[- ](?:changes?|abnormalit\w+)|"
     rf"t{_W} (?:changes?|"
     r"abnormalit\w+)|repolari[sz]ation (?:changes?|abnormalit\w+|disturbances?)"),
    ("st isoelectric+normal t waves",
        rf"(?:normal|unremarkable) {_ST} and t{_W}\b|{_ST} and t{_W}{_IS} (?:normal|"
        rf"unremarkable)"),
    ("convex st", rf"(?:convex|coved|dome[- ]shaped|domed)(?: upwards?)?{_OF_ST}"),
    ("concave st", rf"(?:concave|saddle[- ]?shaped)(?: upwards?)?{_OF_ST}"),
    ("horizontal st", rf"horizontal{_OF_ST}(?=[ ,.]|$)(?! axis| heart)"),
    ("upsloping st", rf"up-?sloping{_OF_ST}"),
    ("downsloping st", rf"down-?sloping{_OF_ST}"),
    ("concordant st change", rf"concordant {_ST}(?: \w+)?"),
    ("reciprocal changes", rf"reciprocal(?: (?:changes?|depressions?))?(?!(?: \w+)? {_ST})"),
    ("st elevation",
        rf"{_NO_ST}elevation|{_ST}[- ]{{1,2}}elevations?|{_ST}{_IS} (?:mildly |slightly |"
        r"markedly )?"
     rf"(?:elevated|raised)|(?:elevated|raised) {_ST}|elevations? of (?:the )?{_ST}|ste\b|"
     rf"injury current|j[- ]point elevations?|j[- ]points?{_IS} (?:elevated|raised)"),
    ("st depression",
        rf"{_NO_ST}depression|{_ST}[- ]{{1,2}}depressions?|{_ST}{_IS} (?:mildly |"
        r"slightly |markedly )?"
     rf"(?:depressed|lowered)|depressed {_ST}|depressions? of (?:the )?{_ST}|std\b"),
    ("st isoelectric", rf"{_ST}{_IS} (?:isoelectric|at (?:the )?baseline|normal|unremarkable|"
     rf"on the baseline|flat)|(?:isoelectric|normal|unremarkable) {_ST}"),
    ("pr depression",
        r"p[rq](?:[- ]segment)?[- ]depressions?|depressed p[rq](?:[- ]segments?)?|"
     r"p[rq][- ]segments?(?: is| are) depressed"),
    ("t wave inversion",
        r"(?:(?:deep(?:ly)?|giant|symmetric\w*|asymmetric\w*|shallow|minor|slight|"
        rf"marked),? (?:and )?){{0,3}}t{_W}[- ]inversions?|(?:inverted|negative) t{_W}\b|"
        r"twi\b|"
        rf"t{_W}{_IS} (?:deeply |symmetrically )?(?:inverted|negative)|"
        rf"inversions? of (?:the )?t{_W}|{_NO_T}inversions?"),
    ("flat t waves", rf"flat(?:tened|tening of(?: the)?)?[- ]t{_W}\b|t{_W}[- ]flattening|"
     rf"t{_W}{_IS} (?:flat|flattened|low)|low[- ]amplitude t{_W}"),
    ("tall t waves", rf"{_SIZE}(?:(?:,| and|-)? ?{_SIZE})* t{_W}\b|t{_W}{_IS} {_SIZE}"
     rf"(?:(?:,| and) {_SIZE})*|t{_W}[- ]peaking|peaking of (?:the )?t{_W}"),
    ("biphasic t waves", rf"biphasic t{_W}|t{_W}{_IS} biphasic"),
    ("normal t waves", rf"(?:normal|upright|positive|unremarkable) t{_W}\b|"
     rf"t{_W}{_IS} (?:normal|upright|positive|unremarkable)|t{_W} morphology{_IS} normal|"
     rf"t{_W} (?:shows?|ha(?:s|ve)|with|of)(?: a)? normal (?:morphology|shape|configuration)"),
    ("u waves", r"u[- ]waves?"),
    # QRS
    ("strain pattern", r"(?:secondary )?(?:lv |rv |left ventricular |right ventricular )?"
     r"strain(?:[- ]pattern| changes?)?"),
    ("high voltage", r"(?:high|increased|large|tall)(?: (?:qrs|lv|left ventricular|precordial|"
     r"limb[- ]lead|r[- ]wave))? (?:voltages?|amplitudes?)|(?:qrs )?voltages?"
     rf"{_IS} (?:high|increased)"),
    ("small q waves",
        rf"(?:small|septal|narrow|non-?pathologic\w*|(?:non-?|in)significant|physiologic\w*|"
        rf"tiny) q{_W}\b"),
    ("q waves",
        r"(?:pathologic\w*|significant|abnormal|deep|broad|wide|infarct|"
        r"new)? ?\bq[- ]waves?|"
        r"pathologic\w* qs?\b"),
    ("qs complexes", r"qs[- ](?:complex(?:es)?|pattern|waves?|deflections?)|\bqs\b"),
    ("poor r wave progression", r"(?:poor|delayed|reduced|slow|abnormal|loss of|impaired)"
        rf"(?: precordial)? r{_W}[- ]progression|r{_W} progression{_IS} (?:poor|delayed|"
        r"reduced|slow|abnormal)|prwp"),
    ("normal r progression", rf"(?:normal|good|preserved|regular)(?: precordial)? r{_W}"
     rf"[- ]progression|r{_W}[- ]progression(?: \w+ the \w+ leads)?{_IS} (?:normal|preserved|"
     r"good|adequate|unremarkable)"),
    ("early transition",
        r"early (?:precordial |r[- ]wave )?transition|counter-?clockwise rotation|"
        rf"transition(?: zone)?{_IS} early"),
    ("late transition",
        r"(?:late|delayed) (?:precordial |r[- ]wave )?transition|"
        r"(?<!counter)(?<!counter-)clockwise rotation|"
        rf"transition(?: zone)?{_IS} (?:late|delayed)"),
    ("dominant r waves",
        rf"dominant r{_W}\b|r/s(?: ratio)?(?: in v[1-6]| is| of)* (?:>|above|over|"
        r"greater than) ?1|"
     rf"r{_W}{_IS} dominant"),
    ("tall r waves", rf"(?:tall|prominent|large|high) r{_W}\b|r{_W}{_IS} tall"),
    ("small r waves",
        rf"(?:small|low|tiny|absent) r{_W}\b|(?:loss|absence) of (?:the )?r{_W}(?![- ]*prog)"),
    ("deep s waves", rf"(?:deep|prominent|large) s{_W}\b|s{_W}{_IS} deep"),
    ("broad s waves",
        r"(?:broad|wide|slurred|terminal)(?:,? (?:and )?(?:broad|wide|slurred|"
        rf"terminal))* s{_W}\b|"
     rf"s{_W}{_IS} (?:broad|slurred)"),
    ("rsr pattern",
        r"\br ?s ?r ?'?(?:[- ](?:pattern|complex(?:es)?|morphology|"
        r"configuration))?(?![a-z'])|rsr'|rabbit ears|m-shaped(?: qrs)?"),
    ("notched qrs",
        r"(?:notch(?:ed|ing)|fragment(?:ed|ation)|slurr(?:ed|ing))(?: of)?(?: the)? (?:qrs|"
        rf"r{_W}\b)|"
     rf"(?:qrs|r{_W}){_IS} (?:notched|fragmented)|qrs (?:notching|fragmentation)"),
    ("delta wave", r"delta[- ]waves?|slurred (?:qrs )?(?:upstroke|onset)|pre-?excitation wave"),
    ("j point notching",
        r"j[- ]point (?:notch\w*|slurr\w*)|(?:terminal qrs|end-qrs) (?:notch\w*|slurr\w*)|"
     r"notch\w* (?:at|of) the (?:j[- ]point|end of the qrs)"),
    ("osborn waves", r"osborn\w*(?:[- ]waves?)?|\bj[- ]waves?"),
    ("epsilon waves", r"epsilon[- ]waves?"),
    ("electrical alternans", r"(?:electrical|qrs) alternans"),
    # P
    ("terminal p negativity",
        r"terminal (?:negativ\w+|negative (?:deflection|part|component|force))"
        rf"(?: of (?:the )?p{_W})?|(?:deep |negative )*(?:terminal )?p[- ](?:terminal force|"
        r"wave terminal force)|"
        rf"p{_W} (?:with )?(?:a )?(?:deep )?(?:terminal negativ\w+|negative terminal \w+)|"
        rf"biphasic p{_W}"),
    ("tall p waves",
        r"(?:tall|peaked|pointed|high)(?:,? (?:and )?(?:tall|peaked|"
        r"pointed))* p[- ]waves?(?: (?:are|is) (?:seen|present|visible))?|"
        rf"p[- ]waves?{_IS} (?:tall|peaked)"),
    ("broad p waves",
        r"(?:broad|wide|prolonged|long)(?:,? (?:and )?(?:notched|"
        r"bifid))? p[- ]waves?(?: (?:are|is) (?:seen|present|visible))?|"
        rf"p[- ]waves?{_IS} (?:broad|wide|prolonged)"),
    ("notched p waves",
        r"(?:notched|bifid|double-humped) p[- ]waves?(?: (?:are|is) (?:seen|present|"
        rf"visible))?|p[- ]waves?{_IS} (?:notched|bifid)"),
    ("inverted p waves",
        r"(?:inverted|negative|retrograde) p(?:[- ]waves?|\b)(?: (?:are|is) (?:seen|present|"
        rf"visible))?|p[- ]waves?{_IS} (?:inverted|negative|retrograde)"),
    ("upright p waves",
        r"(?:upright|positive) p(?:[- ]waves?|\b)(?: (?:are|is) (?:seen|present|visible))?|"
        rf"p[- ]waves?{_IS} (?:upright|positive)"),
    # Rhythm
    ("dropped beats",
        r"p[- ]waves?(?: is| are|) not (?:conducted|followed)(?: by \w+ ?\w*)?|"
        r"p[- ]waves? fails? to conduct|p[- ]waves? (?:is|are) (?:blocked|dropped)|"
        r"(?:dropped|non-?conducted|blocked)(?: (?:qrs|"
        r"p))?(?:[- ]?(?:beats?|waves?|complex(?:es)?))|"
        r"(?:dropped|non-?conducted|blocked) (?:qrs|p)\b|not (?:every|"
        r"all) p(?:[- ]waves?)? (?:is|are) "
        r"(?:followed by(?: an?)? (?:\w+ )?qrs(?: complex(?:es)?)?|conducted)|"
        r"intermittent(?:ly)? (?:non-?conduct\w+|dropped)|not followed by (?:a |any )?qrs|"
        r"(?:beat|qrs(?: complex)?|qrs complex(?:es)?|beats) (?:is|are) (?:dropped|missing)"),
    ("pr lengthening",
        r"(?<=without )(?:progressive )?lengthening|"
        r"progressive(?:ly)?(?: pr)?(?:[- ]interval)? (?:prolong\w+|"
        r"lengthen\w+)(?: pr(?: intervals?)?)?|"
     r"pr(?: interval)? (?:gets|becomes|grows) (?:progressively )?longer|"
     r"pr(?: interval)? (?:progressively )?(?:lengthens|prolongs|increases)(?: progressively)?|"
     r"lengthening (?:of the )?pr"),
    ("av dissociation", r"(?:a-?v|atrio-?ventricular)[- ]dissociation|"
        r"p[- ]waves? march(?:es|ing)? through|(?:complete )?dissociation (?:between|"
        r"of) (?:the )?"
        r"(?:p(?:[- ]waves?)?|atri\w+) (?:and|from)(?: the)? (?:qrs(?: complexes)?|ventric\w+)|"
        r"(?:atri\w+ and ventric\w+|p[- ]waves? and(?: the)? qrs)(?: \w+)? are (?:dissociated|"
        r"independent|unrelated)(?: (?:of|from|to) each other)?|(?:dissociated|"
        r"independent) p[- ]waves?|"
        r"p[- ]waves? (?:and|are) "
        r"(?:qrs )?(?:complexes )?(?:are )?(?:dissociated|independent|unrelated)|(?:no|any|"
        r"without(?: any)?) (?:constant |fixed |consistent )?relation(?:ship)? "
        r"(?:between (?:the )?p|to (?:each other|one another|(?:the )?(?=qrs)))"),
    ("2:1 conduction",
        r"2 ?(?::|to|-to-) ?1 (?:a-?v )?(?:conduction|ratio|response)|"
        r"2:1(?= (?:atrial )?flutter)|(?<=flutter \()2:1|(?<=flutter )2:1|"
        r"(?<=with )2:1(?: a-?v)?(?= block)"),
    ("3:1 conduction", r"3 ?(?::|to|-to-) ?1 (?:a-?v )?(?:conduction|ratio|response)|"
        r"3:1(?= (?:atrial )?flutter)|(?<=flutter \()3:1|(?<=flutter )3:1"),
    ("flutter waves+fibrillatory waves", r"flutter (?:or|and|nor) fibrillat(?:ory|ion) waves"),
    ("fibrillatory waves",
        r"fibrillat(?:ory|ion)[- ](?:waves?|baseline|activity)|(?<![a-z])f[- ]waves?"),
    ("flutter waves", r"flutter[- ]waves?|saw-?tooth(?:ed)?(?: \w+)?"),
    ("pacing spikes",
        r"(?:ventricular |atrial )?pac(?:ing|er|emaker)[- ](?:spikes?|artefacts?|artifacts?|"
        r"stimul\w+)|"
        r"(?:ventricular|atrial) spikes?"),
    ("grouped beating", r"group(?:ed)?[- ]beat(?:ing|s)|beats?(?: \w+)? in groups|"
        r"grouping of (?:the )?(?:beats|qrs(?: complexes)?)"),
    ("premature ventricular complexes+bigeminy",
        r"ventricular bigemin(?:y|us|al)\b(?: pattern| rhythm)?"),
    ("premature ventricular complexes+trigeminy",
        r"ventricular trigemin(?:y|us|al)\b(?: pattern)?"),
    ("premature atrial complexes+bigeminy",
        r"(?<!supraventricular )(?:supraventricular|atrial) bigemin(?:y|us)\b"),
    ("bigeminy", rf"bigemin(?:y|us|al)\b(?: pattern| rhythm)?|{_EVERY}(?:second|other|"
        rf"2nd){_ODD}"),
    ("trigeminy", rf"trigemin(?:y|us|al)\b(?: pattern)?|{_EVERY}(?:third|3rd){_ODD}"),
    ("couplets", r"couplets?"),
    ("escape beats", r"escape[- ](?:beats?|complex(?:es)?|rhythm)|"
        r"(?:idio)?ventricular escape"),
    ("irregularly irregular rhythm",
        r"(?:irregularl?y|totally|completely)[- ]irregular(?: rhythm| r-?r(?: intervals?)?)?"),
    ("irregular rhythm",
        r"\birregular(?:ly spaced|ity)?(?: rhythm| r-?r(?: intervals?)?)?|"
        r"r-?r intervals?(?: \w+)? var(?:y|ies)(?! (?:from|between) (?:about )?\d)|"
        rf"r-?r intervals?{_IS} {_UNEVEN}|{_UNEVEN} r-?r(?: intervals?)?"),
    ("regular rhythm",
        r"\bregular(?!ity ?:|ly irreg)(?! (?:normal )?sinus rh?y)(?:ly spaced|ity)?(?: rhythm|"
        r" r-?r(?: intervals?)?)?(?! r-?wave)|"
        rf"r-?r intervals?{_IS} {_EVEN}(?! at\b| of\b)|{_EVEN} r-?r(?: intervals?)?"),
    ("p waves",
        r"(?:each|every|all|the)? ?qrs(?: complex(?:es)?)?(?: is|"
        r" are)(?: not)? preceded by (?:a )?(?:\w+ )?p(?:[- ]waves?)?(?![a-z])|"
        r"(?:each|every) p is followed by (?:a |one )?(?:\w+ )?qrs|"
        r"\bp (?:before|precedes|preceding|in front of) (?:each|every|all|the) qrs|"
        r"(?<=there are )p[- ]waves?|p[- ]waves?:? (?:of \w+ (?:morphology|shape) )?"
        r"(?:\w+ |do not |does not )?(?:precedes?|"
        r"come before|comes before|before|in front of|ahead of|"
        r"(?:(?:is|are) )?(?:\w+ly |still |also |always |well )?(?:present|visible|seen)|"
        r"followed by|identifiable|for every|with every|with each)|"
        r"(?:consistent|clear|discernible|visible|distinct|definite|identifiable|normal|"
        r"discrete|sinus|preceding|organi[sz]ed) (?:p[- ]waves?|atrial activity)"
        r"(?![- ](?:axis|duration|amplitude))|"
        r"p[- ]waves?(?: morphology)?:? (?:are |is )?(?:normal|absent|none|missing|lacking|"
        r"buried|hidden|"
        r"obscured|"
        r"not (?:\w+ly )?(?:visible|seen|present|identif\w+|discern\w+)|"
        r"cannot be (?:seen|identified|found))|\bp: (?:present|absent|none)\b|"
        r"cannot (?:identify|see|find|discern)(?: any| clear)* p[- ]waves?|"
        r"p[- ]waves?(?= ?\| ?(?:no|yes|none|absent|present)\b)|"
        r"(?:absent|absence of|no|nor|neither|without|missing|loss of|lack of)(?: any)? "
        r"p[- ]waves?(?! (?:abnormal|change|axis|duration))"),
    ("pause", r"(?:sinus )?(?:pauses?)\b"),
    # Quality
    ("lead reversal",
        r"(?:lead|electrode|cable|arm|limb)(?:[- ](?:lead|electrode|cable))?s?[- ]"
        r"(?:reversals?|misplacements?|exchange|interchange|swap\w*|mix-?up)|(?:reversed|"
        r"exchanged|swapped|misplaced) "
        r"(?:arm |limb )?(?:leads?|electrodes?|cables?)|(?:leads?|electrodes?|"
        r"cables?)(?: [\w ]{1,12}?)??(?: are| were| is| appear| seem| may be|"
        r" to be)* (?:reversed|exchanged|swapped|misplaced)"),
    ("lead off",
        r"(?:lead|electrode)s?(?: [\w ]{0,12}?)?[- ](?:(?:is |are |may be )?off\b|"
        r"disconnect\w+|detach\w+|lost)|flat ?line"),
    ("baseline wander",
        r"baseline(?:[- ](?:wander\w*|drift\w*|shift|instability|is unstable|wanders|"
        r"drifts)| (?:sway|undulation))|"
        r"wandering baseline|unstable baseline|stable baseline|baseline is (?:stable|"
        r"steady)|steady baseline"),
    ("muscle artefact",
        r"muscle (?:tremor |noise )?(?:tremor|noise|artefacts?|artifacts?)|(?:emg|myogenic|"
        r"somatic)[- ](?:noise|artefacts?|artifacts?|interference|tremor)|tremor"),
    ("mains interference",
        r"(?:mains|power[- ]?line|a/?c|50[- ]hz|60[- ]hz|electrical|"
        r"mains hum)[- ](?:interference|noise|hum|artefacts?|artifacts?)"),
    ("motion artefact", r"(?:motion|movement)[- ](?:artefacts?|artifacts?)"),
    ("clipping", r"clipp(?:ed|ing)|saturat(?:ed|ion)"),
    ("uncalibrated",
        r"uncalibrated|not calibrated|no calibration|calibration (?:is )?(?:missing|unknown|"
        r"absent)"),
    ("good quality",
        r"(?:(?:signal|technical|recording|tracing|trace|image|overall|data) )*quality"
        rf"(?: of (?:the|this) \w+)?{_IS}:? (?:good|adequate|excellent|acceptable|sufficient|"
        r"satisfactory|fair|limited|poor|suboptimal|reduced|bad)|"
        r"(?:good|adequate|excellent|acceptable|sufficient|satisfactory|poor|limited|"
        r"suboptimal|bad)"
        r"(?: (?:signal|technical|recording|tracing|overall|diagnostic))* quality|"
        r"technically (?:adequate|good|satisfactory|acceptable|limited|poor|inadequate)|"
     r"clean (?:tracing|recording|signal)"),
    ("noise",
        r"(?:significant |much |some |excessive |high-frequency )?(?:noise|noisy|artefacts?|"
        r"artifacts?|interference)"),
)  # fmt: skip
# What these say of quality when they praise, or blame, instead.
DENYING_WORDS = re.compile(
    r"limited|poor|suboptimal|reduced|inadequate|bad|stable|steady|absent|absence|\bnor? |none|"
    r"neither|buried|hidden|obscured|"
    r"without|missing|lack|loss|not |cannot"
)
