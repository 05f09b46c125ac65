"""Which sentences, and which parts of them, say nothing about the ECG at hand."""

import re

from ecg_r1.claims.anchors import Gated

_TRACING = r"(?:ecg|ekg|tracing|recording)"

_SEEN = (
    r"(?:also |clearly |not |well )?(?:present|seen|visible|noted|evident|found|observed|"
    r"identified|"
    r"apparent|discernible|recorded)\b"
)
_MET = (
    r"[\w ,-]{1,50}(?:is|are|was|were) (?:not |clearly |also )*(?:met|fulfilled|satisfied|"
    r"reached|"
    r"present|absent|positive|negative)\b"
)
# How a sentence begins that advises, recalls, compares or teaches.
_OPENING = re.compile(
    "|".join(
        (
            # conditions
            r"if\b|in case|should\b|were (?:this|it|there)|had (?:this|it|there)",
            # advice
            r"consider(?:ing)? (?:repeat|serial|further|clinical)|please|recommend|advise",
            r"suggest (?:repeat|serial|clinical)|repeat\b|follow[- ]?up|"
            r"clinical(?:ly)? correlat",
            r"correlat\w+ (?:with|clinical)|think of|beware|(?:keep|bear) in mind",
            # the patient, other tests and earlier recordings
            r"(?:the )?(?:echo\w*|mri|ct\b|x-ray|holter|angiogra\w+|troponin\w*|laborator\w+|"
            r"serum)\b|"
            r"history|past (?:medical )?history|(?:indication|reason)\b|"
            r"(?:the )?patient(?! (?:is |was |remains )?(?:now |not |still |no longer )?"
            r"(?:in\b|tachy|brady))|"
            r"clinical (?:info|details|data|history|question)|status post|s/p\b|blood pressure|"
            r"previous|known\b|serial|in (?:19|20)\d\d\b|family history|yesterday",
            rf"prior {_TRACING}|comparison|in comparison|\d+[- ]year|this \d+\b(?!-lead)",
            r"(?:(?:his|her|the|a) )?(?:man|woman|male|female|mother|father|sister|brother|"
            r"siblings?|"
            r"parents?|relatives?)\b",
            # the textbook
            r"normal (?:range|values?|limits?)\b|by definition|in general|generally|typically",
            r"normal (?:is|are)\b[^.]{0,40}?\d|(?:the )?normal (?:pr|qrs|qtc?)\b[^.]{0,40}?(?:"
            r"(?:range|<|between|below|under|up to|less than)\s*\d|"
            r"(?:is|are|:|=)\s*\d[\d.]*(?: ?m?s)? ?(?:-|to\b|or\b))",
            r"in [\w ]{0,30}(?:a?emia|block|syndrome|itis|disease|failure), |interpretation of",
            r"(?:the )?normal \w+(?: \w+)? (?:lies|ranges|extends)|question:",
            r"usually|note that (?:the )?(?:normal|criteri)|"
            rf"(?:the )?criteri(?:on|a)(?! {_MET})",
            r"textbook|reference|remember|causes?\b|options?\b|choose|"
            r"possible answers",
            r"(?:the )?(?:treatment|management|prognosis|causes?|differential diagnos\w+) of",
            r"an? normal [\w -]{1,40}? (?:is|lies|ranges|extends|spans|lasts|measures|means|"
            rf"has|should|does not|excludes)\b(?! {_SEEN})",
            # questions and tasks
            r"(?:is|are|does|do|did|can|has|have|was|will|would) (?:there|this|the|it|these|"
            r"you|i|any|one|an?)\b",
            r"(?:what|which|how|why|who|where|when(?! compared))\b",
            r"(?:look|check|assess|describe|determine|evaluate|measure|explain|analy[sz]e|list|"
            r"identify|classify|tell|answer|rule out (?:other|secondary))\b",
            rf"an? \w+ (?:wave|interval|axis|rhythm) (?:is(?! {_SEEN})|means|reflects)",
        )
    )
)
_ANYWHERE = Gated(
    r"\b(?:"
    + "|".join(
        (
            r"recommended|advised|would (?:be|have|show|expect|suggest|see|need|require)",
            r"history of|known (?:to have|case)|presents with|"
            r"(?<!is )(?<!are )present with|presented|(?:in|since) (?:19|20)\d\d|complain\w*|"
            r"admitted",
            r"treated for|underwent|(?:was|were) given|in the past|implanted",
            r"should (?:report|be (?:obtained|checked|repeated|performed|monitored|started|"
            r"given))",
            r"defines?|requires?\b[^.]*\d|(?:last|previous) (?:year|month|week)|"
            r"(?:years?|months?|weeks?|days?) ago|taking|medication|referred|if|unless|"
            r"(?<!, )known(?! \w+ (?:bundle|block))",
            r"(?:is|are) (?:needed|required|warranted|necessary|common|replaced by|typical of)",
            r"causes|produces|makes(?! [\w ,/-]{1,40}likely)|can all|"
            r"(?:slow|increase|reduce|prolong|shorten|flatten|widen)s? the|only (?:when|if)",
            r"is (?:called|termed|known as)|is an? (?:heart )?rate (?:above|below|over|under)",
            r"common causes?|not specific (?:for|of)|marks the (?:border|limit)",
            r"(?:reading|statement) of [\w -]{1,40} is (?:wrong|incorrect|not confirmed)",
            r"seen in (?:hypertension|athletes|children|young|elderly|healthy)",
            r"was (?:seen|present|noted|recorded) (?:on|in) (?:the )?"
            r"(?:previous|prior|last|earlier)",
            rf"on (?:the )?(?:previous|prior|last|earlier) {_TRACING}",
            rf"(?:last|previous|prior|earlier|old)(?: \w+'?s?)? {_TRACING}",
            r"(?:is|are) (?:defined|caused|characteri[sz]ed) (?:as|by)|is diagnosed when",
            r"is considered (?:normal|abnormal|prolonged|wide)|prevalence|means that",
            r"(?:is|are) (?:the|a|an|one of the) (?:most )?common|occurs? (?:in(?! groups|"
            r" pairs| runs)|when)",
            r"is an? (?:\w+ )?(?:sign|marker|feature|cause|arrhythmia|disorder|"
            r"condition) (?:of|in|that)",
            r"(?:can|could|may|might) (?:also )?(?:cause|produce|mimic|obscure|mask|hide|"
            r"lead to|result|occur|develop|"
            r"be (?:caused|seen (?:in|with)|found in|a (?:sign|normal variant)|mistaken))",
            r"(?:is|are) (?:often|usually|commonly|typically|frequently|generally|rarely|"
            r"sometimes|"
            r"most often|always)|(?:often|usually|commonly|typically|frequently) (?:show|"
            r"cause|have|"
            r"occur|present|associated)\w*|(?:is|are) associated with|patients with|risk of",
            r"in (?:healthy )?(?:adults|men|women|athletes|people)",
        )
    )
    + r")\b"
)
# "When compared with ECG of 12-MAR-2019, ...": what follows may say what is there now.
_COMPARED = re.compile(r"(?:when )?compared (?:with|to) [^,;:]*[,;:]?\s*")
_NOW = re.compile(r"\bnow\b|\breplaced\b|\bno longer\b")

_LOOKED = (
    r"(?:judged|assessed|evaluated|determined|measur\w+|interpret\w+|assess\w+|commented|told|"
    r"distinguished|analy[sz]ed|confirmed|verified|established|diagnosed)"
)
_UNJUDGED = Gated(
    r"\b(?:can ?not|can't|could not|not|never)(?: be| reliably| possible to|"
    rf" to be)* {_LOOKED}\b|"
    r"\bunmeasurable\b|\bwhether\b"
)
_CLAUSE = re.compile(
    r"[;:]|,? \b(?:but|while|whereas|although|so|because|since)\b|"
    r",(?: and)?(?=[^,]*\b(?:can(?:not|'t)?|could|not|never)\b)"
)
_TURN = re.compile(r"[;:]|\bbut\b|\bhowever\b")
_SAYS_MORE = re.compile(r"\d|\b(?:is|are|shows?|measures?|remains?)\b")

_GONE_AFTER = re.compile(
    r"^ ?(?:has|have|had) (?:been replaced|resolved|disappeared)|^ ?(?:is|are) now absent"
)
_GONE_BEFORE = re.compile(
    r"\b(?:has|have|had) replaced (?:the )?\Z|"
    r"\b(?:preclud|limit|hamper|obscur|complicat|prevent)\w+ (?:the )?(?:diagnosis|assessment|"
    r"interpretation|evaluation|recognition|detection) of (?:[\w-]+ ){0,2}\Z"
)


def start_of_claims(text: str) -> int | None:
    """Where a sentence begins to speak of this ECG; None when it never does.

    Args:
        text: One sentence in lower case.

    Example:
        >>> start_of_claims("pr 160 ms"), start_of_claims("recommend a holter ecg")
        (0, None)
    """
    compared = _COMPARED.match(text)
    if compared:
        return compared.end() if _NOW.search(text, compared.end()) else None
    if _OPENING.match(text) or _ANYWHERE.search(text):
        return None
    return 0


def unjudged(text: str) -> tuple[int, int]:
    """The part of a sentence that says what was not looked at; empty at (0, 0).

    Example:
        >>> text = "qrs is wide, st cannot be assessed"
        >>> text[slice(*unjudged(text))]
        ' st cannot be assessed'
    """
    match = _UNJUDGED.search(text)
    if match is None:
        return 0, 0
    start = 0
    for cut in _CLAUSE.finditer(text):
        if cut.end() > match.start():
            break
        if cut[0].strip() in (";", ":") or _SAYS_MORE.search(text[start : cut.start()]):
            start = cut.end()
    later = _TURN.search(text, match.end())
    return start, later.start() if later else len(text)


def is_gone(text: str, start: int, end: int) -> bool:
    """Whether the words from `start` to `end` name what another recording showed."""
    return bool(
        _GONE_AFTER.match(text[end : end + 60]) or _GONE_BEFORE.search(text[:start][-60:])
    )
