"""Whether words of a sentence are affirmed, denied or hedged."""

import re

from ecg_r1.claims.schema import Polarity

_REACH = 240  # characters before the words that can still speak of them: ours
_NOT_EXCLUDED = (
    r"(?:can ?not|can't|could not|cannot be) (?:entirely |completely |be )?"
    r"(?:exclude[sd]?|rule[sd]? out)"
)
_HEDGE_BEFORE = re.compile(
    r"\b(?:"
    + "|".join(
        (
            r"possibl[ey]|possibility|probabl[ey]|likely|perhaps|presumed|presumably|"
            r"apparent(?:ly)?",
            r"equivocal|potential(?:ly)?|conceivabl[ey]|either|favou?rs?|looks? like|uncertain",
            r"(?:appears?|seems?|thought|believed) to be|doubtful",
            r"(?:is |are |would be |strongly |highly )?suggest(?:s|ive|ing|ed)?(?: of)?",
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
_HEDGE_AFTER = re.compile(
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
            r"not certain|\?|to be considered|less likely",
            r"\b(?:possible|suspected|questionable|likely|probable)\b\s*\)?\s*\Z",
        )
    )
)
_DENY_BEFORE = re.compile(
    r"\b(?:"
    + "|".join(
        (
            r"nothing|no(?! longer(?! than))(?:t)?(?! only)(?! exclud)(?! rule)|no longer",
            r"without|absen(?:ce of|t)|negative for|neither|nor|never|free (?:of|from)",
            r"lack(?:s|ing|ed)?(?: of)?|missing|loss of|devoid of|none of|neg\b",
            r"(?<!not )(?<!cannot )(?<!be )exclud(?:es?|ing)",
            r"(?<!cannot )rul(?:es|ing) out|(?<=\w )(?<!to )(?<!not )rule out",
            r"argues? (?:strongly )?against|against|unlikely(?= to)|does not|do not|is not|"
            r"are not|isn't",
            r"aren't|don't|doesn't|fails? to (?:show|meet|reach)|insufficient(?: \w+)? for",
        )
    )
    + r")\b"
)
_DENY_AFTER = re.compile(
    r"^[\s,:=(|-]*(?:(?:is|are|was|were|criteria|criterion|voltage|pattern|changes?|signs?|"
    r"for \w+|in [^,;:]{1,40}|of any \w+|by voltage|\(\w+\)) ?){0,4}[\s,:=(|-]*(?:absent|"
    r"not (?:present|seen|met|evident|identified|observed|found|visible|fulfilled|demonstrated|"
    r"noted|detected|suggested|supported|satisfied|reached|appreciated|discernible|apparent)|"
    r"no longer (?:present|seen|evident|visible)|none\b|nil\b|no\b(?=\s*(?:[,.;|)]|\Z))|"
    r"negative\b|excluded|ruled out|(?<!less )unlikely|cannot be (?:seen|identified|found)|"
    r"lacking|missing|not\b(?= *[,.)|]|$))"
)
_VERB = r"(?:is|are|shows?|remains?|measures?|appears?)"
_BREAK = re.compile(
    r"\b(?:but|however|although|though|while|whereas|yet|except|apart from|otherwise|instead|"
    r"rather|there (?:is|are)|consistent with|compatible with|in keeping with|which|"
    r"that (?:is|are)|because|hence|thus|therefore|given|in view of|so (?=\w+ (?:is|are)\b))\b|"
    rf", (?:an? |this |the )|(?:,| and) (?=(?:the |a |an )?[\w' -]{{1,30}}? {_VERB} )|"
    r" and the |[:|]|"
    r",? with (?!no\b)(?=\w)|, (?:at|rate|pr|qrs|qtc?|axis|heart)\b"
)
_AFFIRM = re.compile(
    r"\b(?:consistent|compatible|in keeping|diagnostic|indicates?|confirms?|shows?|"
    r"demonstrates?|is present|are present)\b"
)
_HEDGED_JOIN = re.compile(r"\b(?:possibly|probably|perhaps|maybe)\s*\Z")
_INSIDE = re.compile(r"\b(?:may|might|could|possibly|probably|suspected)\b")


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
    after = text[end : end + 70]
    stop = _BREAK.search(after)
    close = after[: stop.start()] if stop and stop[0] not in (":", "|") else after
    scope = _scope(text, max(0, start - _REACH), start)
    hedged = list(_HEDGE_BEFORE.finditer(scope))
    if hedged or _HEDGE_AFTER.search(close) or _INSIDE.search(text[start:end]):
        last = hedged[-1].end() if hedged else 0
        if not (hedged and _DENY_BEFORE.search(scope[last:])):
            denied_first = hedged and _DENY_BEFORE.search(scope[: hedged[0].start()])
            return "absent" if denied_first else "possible"
    if _DENY_AFTER.match(after):
        return "absent"
    denied = list(_DENY_BEFORE.finditer(scope))
    if denied and not _AFFIRM.search(scope[denied[-1].end() :]):
        twice = len(denied) > 1 and not scope[denied[-2].end() : denied[-1].start()].strip()
        return "present" if twice else "absent"
    return "present"


def _scope(text: str, first: int, start: int) -> str:
    """What stands before `start` and can still speak of what begins there."""
    cut = first
    for match in _BREAK.finditer(text, first, start + 50):
        if match.end() > start:
            break
        joins = match[0].startswith((",", " and")) and _DENY_BEFORE.search(match[0])
        hedged = "with" in match[0] and _HEDGED_JOIN.search(text[first : match.start()])
        if not joins and not hedged:
            cut = match.end()
    return text[cut:start]
