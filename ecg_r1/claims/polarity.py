"""Whether words of a sentence are affirmed, denied or hedged."""

import re
from functools import lru_cache

from ecg_r1.claims.anchors import Gated
from ecg_r1.claims.schema import Polarity

_REACH = 240  # characters before the words that can still speak of them: ours
_NOT_EXCLUDED = (
    r"(?:can ?not|can't|could not|cannot be) (?:entirely |completely |be )?"
    r"(?:exclude[sd]?|rule[sd]? out)"
)
_HEDGE_BEFORE = Gated(
    r"\b(?:"
    + "|".join(
        (
            r"possibl[ey]|possibility|probabl[ey]|likely|perhaps|presumed|presumably|"
            r"apparent(?:ly)?",
            r"in all likelihood|equivocal|potential(?:ly)?|conceivabl[ey]|either|favou?rs?|"
            r"looks? like|uncertain",
            r"(?:appears?|seems?|thought|believed) to be|doubtful",
            r"(?:is |are |would be |strongly |highly )?suggest(?:s|ive|ing|ed(?! by))?(?: of)?",
            r"may(?:be)?(?: be| represent| reflect| indicate)?|might(?: be| represent| have)?",
            rf"could(?: be(?: due to)?| represent| reflect)?|{_NOT_EXCLUDED}",
            r"not (?:entirely |completely )?exclude[sd]?|cannot rule out|r/o|(?<=to )rule out",
            r"consider(?:ation of)?|question of|questionable|query|suspicio(?:us|n) (?:for|of)",
            r"suspect(?:ed|s)?|concern(?:ing)? for|versus|\bvs\b",
            r"(?:difficult|hard|impossible) to (?:exclude|rule out)",
            r"raises? (?:the )?(?:concern|possibility|question|suspicion)(?: for| of)?",
            r"differential(?: diagnosis)?(?: includes?)?",
        )
    )
    + r")\b|^rule out\b|^less likely\b|\?\s*\Z"
)
_HEDGE_AFTER = Gated(
    "|".join(
        (
            r"(?:cannot|can ?not|can't|could not) be (?:entirely |completely |fully )?"
            r"(?:excluded|ruled out)",
            r"(?:is|are|remains?|seems) (?:\w+ )?(?:possible|probable|likely|suspected|"
            r"questionable|equivocal|conceivable|doubtful|uncertain|unclear|unproven)\b",
            r"(?:remains?|is|are) (?:a |only a |one )?possibilit(?:y|ies)|in the differential",
            r"^ ?(?:vs\b|versus\b)|must be (?:considered|suspected)|not ruled out",
            r"^[\w ,-]{0,14}?\b(?:may|might|could)(?: well)? be\b",
            r"^[\w ]{0,10}\b(?:possibly|perhaps|probably)\b|should be considered",
            r"(?:is|are) not (?:entirely |completely )?excluded|may be (?:present|considered)",
            r"not certain|\?|to be considered|less likely|^ ?(?:is|are) suggested\b",
            r"\b(?:possible|suspected|questionable|likely|probable)\b\s*\)?\s*\Z",
        )
    )
)
_DENYING = "|".join(
    (
        r"nothing|rather than|instead of|without|absen(?:ce of|t)|negative for|neither|never",
        r"free (?:of|from)|non(?=[- ]\Z)",
        r"lack(?:s|ing|ed)?(?: of)?|missing|loss of|devoid of|none of|neg\b",
        r"(?<!not )(?<!cannot )(?<!be )exclud(?:es?|ing)",
        r"(?<!cannot )rul(?:es|ing) out|(?<=\w )(?<!to )(?<!not )rule out",
        r"argues? (?:strongly )?against|against|unlikely(?= to)|does not|do not|is not|"
        r"are not|isn't",
        r"aren't|don't|doesn't|fails? to (?:show|meet|reach)|insufficient(?: \w+)? for",
    )
)
_DENY_BEFORE = Gated(
    rf"\b(?:{_DENYING}|no(?! longer(?! than))(?:t)?(?! only)(?! exclud)(?! rule)|no longer|"
    r"nor)\b"
)
_DENYING_LATE = (
    r"absent|negative\b(?! in\b)|excluded|ruled out|(?<!less )unlikely|lacking|missing|nil\b|"
    r"cannot be (?:seen|identified|found)"
)
_DENY_AFTER = re.compile(
    r"^[\s,:=(|-]*(?:(?:is|are|was|were|(?:can|could|may) be|(?:has|have) been|criteria|"
    r"criterion|voltage|pattern|changes?|signs?|"
    r"for \w+|in [^,;:]{1,40}|of any \w+|by voltage|\(\w+\)) ?){0,4}[\s,:=(|-]*(?:"
    rf"{_DENYING_LATE}|"
    r"not (?:present|seen|met|evident|identified|observed|found|visible|fulfilled|demonstrated|"
    r"noted|detected|suggested|supported|satisfied|reached|appreciated|discernible|apparent)|"
    r"no longer (?:present|seen|evident|visible)|none\b|"
    r"no\b(?: (?:signs?|evidence|features?|criteria|changes?|abnormalit\w+)\b)?"
    r"(?: (?:seen|present|found|detected|noted|identified|evident|met))?(?=\s*(?:[,.;|)]|\Z))|"
    r"not\b(?= *[,.)|]|$))"
)
_VERB = r"(?:is|are|shows?|remains?|measures?|appears?)"
_BREAK = re.compile(
    r"\b(?:but|however|although|though|while|whereas|yet|except|apart from|otherwise|"
    r"instead(?! of)|rather(?! than)|there (?:is|are)|consistent with|compatible with|"
    r"in keeping with|explanation (?:for|of)|explained by|which|"
    r"that (?:is|are)|because|hence|thus|therefore|given|in view of|so (?=\w+ (?:is|are)\b))\b|"
    rf", (?:an? |this |the )|(?:,| and) (?=(?:the |a |an )?[\w' -]{{1,30}}? {_VERB} )|"
    r" and the |[:|]|"
    r", (?=(?:ir)?regular|narrow|wide|broad|normal)|,? with (?!no\b)(?=\w)|, (?:at|rate|pr|qrs|"
    r"qtc?|axis|heart)\b"
)
_AFFIRM = Gated(
    r"\b(?:consistent|compatible|in keeping|diagnostic|indicates?|confirms?|shows?|"
    r"demonstrates?|is present|are present|replaced by)\b"
)
_AGREES = ("consistent", "compatible", "in keeping")
_NOT = re.compile(r"\b(?:not|nor|neither) (?:\w+ly )?\Z")
# "Flutter with 2:1 conduction is conceivable" doubts both.
_WITH_IS = re.compile(r" with (?:\w+[ :-]){1,4}(?:is|are|remains?|cannot|could not) ")
_DIRECTLY = re.compile(r"\s*(?:\w+ly )?")
# What the absence of something may do for something else; "no finding supports it" denies.
_ABSENCE = ("absen", "lack", "loss", "without")
_SUPPORT = re.compile(
    r"\b(?:supports?|establish(?:es)?|means?|points? to|represents?|reflects?|(?:is|"
    r"are) typical)\b"
)
# The last of a list says it of all: "Q waves and ST elevation are absent".
_LISTED = re.compile(
    r"(?:, [\w' -]{1,30}?){0,3},? (?:and|or) [\w' -]{1,40}? (?:are|were) (?:all |both )?"
    r"(?:(?P<denied>absent|not (?:present|seen|met|evident|identified|found|visible)|"
    r"excluded|ruled out|unlikely)|possible|likely|probable|suspected)\b"
)
_CLAUSE = re.compile(r"\b(?:is|are|was|were|shows?|has|have|with|there)\b")
_HEDGED_JOIN = re.compile(r"\b(?:possibly|probably|perhaps|maybe)\s*\Z")
_INSIDE = Gated(r"\b(?:may|might|could|possibly|probably|suspected)\b")


def polarity(text: str, start: int, end: int) -> Polarity:
    """Whether a sentence affirms, denies or hedges the words from `start` to `end`.

    Args:
        text: One sentence in lower case.
        start: First character of the words.
        end: Behind their last.

    Example:
        >>> polarity("no st elevation", 3, 15), polarity("possible lvh", 9, 12)
        ('absent', 'possible')
    """
    if not _has_cue(text):
        return "present"
    after = text[end : end + 70]
    stop = next(
        (one for one in _breaks(text) if one[0] >= end and not _WITH_IS.match(text, one[0])),
        None,
    )
    close = after[: stop[0] - end] if stop and stop[2] not in (":", "|") else after
    scope = _scope(text, max(0, start - _REACH), start)
    hedged = list(_HEDGE_BEFORE.finditer(text, scope))
    denied_late = _DENY_AFTER.match(after) is not None
    late = hedged or (not denied_late and _HEDGE_AFTER.search(text, close))
    if late or _INSIDE.search(text, text[start:end]):
        last = hedged[-1].end() if hedged else 0
        if not (hedged and _DENY_BEFORE.search(text, scope[last:])):
            denied_first = hedged and _DENY_BEFORE.search(text, scope[: hedged[0].start()])
            return "absent" if denied_first else "possible"
    if denied_late:
        return "absent"
    listed = _LISTED.match(after)
    if listed and not _CLAUSE.search(re.split("[,:]", text[:start])[-1] + text[start:end]):
        return "absent" if listed["denied"] else "possible"
    denied = list(_DENY_BEFORE.finditer(text, scope))
    if denied and not _is_affirmed(text, scope, denied[-1]):
        twice = len(denied) > 1 and not scope[denied[-2].end() : denied[-1].start()].strip()
        return "present" if twice else "absent"
    return "present"


def _is_affirmed(text: str, scope: str, denial: re.Match[str]) -> bool:
    """Whether what follows a denial is affirmed all the same."""
    later = scope[denial.end() :]
    affirms = _AFFIRM.search(text, later)
    if affirms:  # but "does not show", "not consistent with"
        return _DIRECTLY.fullmatch(later, 0, affirms.start()) is None
    return denial[0].startswith(_ABSENCE) and _SUPPORT.search(later) is not None


_CUES = Gated(
    "|".join(
        (_HEDGE_BEFORE.pattern, _HEDGE_AFTER.pattern, _INSIDE.pattern, _DENYING, _DENYING_LATE)
    )
)
_NO = re.compile(r"no(?<!\w..)(?:t|r|ne)?\b")  # letters that too many words hold


def _has_cue(text: str) -> bool:
    """Whether any word of a sentence could deny or hedge something."""
    return _CUES.may_match(text) or _NO.search(text) is not None


@lru_cache(maxsize=8)
def _breaks(text: str) -> tuple[tuple[int, int, str], ...]:
    """Start, end and words of where a sentence turns to something else."""
    return tuple((*match.span(), match[0]) for match in _BREAK.finditer(text))


def _scope(text: str, first: int, start: int) -> str:
    """What stands before `start` and can still speak of what begins there."""
    cut = first
    for begin, end, words in _breaks(text):
        if end > start:
            break
        joins = words.startswith((",", " and")) and _DENY_BEFORE.search(text, words)
        hedged = "with" in words and _HEDGED_JOIN.search(text[first:begin])
        denied = words.startswith(_AGREES) and _NOT.search(text[first:begin])
        if not joins and not hedged and not denied:
            cut = max(first, end)
    return text[cut:start]
