"""Which of many patterns can match a text at all, from the letters they cannot do without.

From a pattern follow clauses: sets of strings of which every match, or what its lookarounds
look at, holds at least one. Where none of a set stands in a text, the pattern cannot match, so
leaving it out changes nothing; what a clause is not drawn from is simply not used. A few
hundred patterns over a sentence so cost what a dozen did.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from re import _constants as op
from re import _parser
from typing import TypeVar

_MOST = 12  # spellings of one stretch that are worth telling apart
_KEPT = 2  # clauses of a pattern

Clause = frozenset[str]
_Patterns = TypeVar("_Patterns")


class Index:
    r"""Patterns with their clauses, asked which of them can match a text.

    Example:
        >>> index = Index([r"t[- ]waves?", r"(?:left|right) axis", r"\d+ ms"])
        >>> index.candidates("right axis, 80 ms")
        [1, 2]
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        wanted = [_chosen(clauses(pattern)) for pattern in patterns]
        self._always = [place for place, one in enumerate(wanted) if not one]
        # Under each word of a pattern's first clause its place and its other clauses.
        by_word: dict[str, list[tuple[int, list[Clause]]]] = {}
        for place, one in enumerate(wanted):
            for word in one[0] if one else ():
                by_word.setdefault(word, []).append((place, one[1:]))
        self._short = [(word, found) for word, found in by_word.items() if len(word) < 3]
        self._by_gram = _by_rarest_gram({w: f for w, f in by_word.items() if len(w) > 2})
        self._grams = frozenset(self._by_gram)

    def candidates(self, text: str) -> list[int]:
        """Places of the patterns that may match, in order; all that do are among them."""
        places = set(self._always)
        near = [self._short, *(self._by_gram[one] for one in self._grams & _threes(text))]
        for words in near:
            for word, patterns in words:
                if word in text:
                    for place, more in patterns:
                        if all(_holds_one(text, clause) for clause in more):
                            places.add(place)
        return sorted(places)


@lru_cache(maxsize=8)  # one sentence is asked about by many patterns in turn
def _threes(text: str) -> frozenset[str]:
    """Every three letters of a text that stand together."""
    return frozenset([text[i : i + 3] for i in range(len(text) - 2)])


def _holds_one(text: str, words: Iterable[str]) -> bool:
    return any(map(text.__contains__, words))


def _by_rarest_gram(of: dict[str, _Patterns]) -> dict[str, list[tuple[str, _Patterns]]]:
    """Words under three letters of theirs that few others have."""
    grams = {word: {word[i : i + 3] for i in range(len(word) - 2)} for word in of}
    counts = Counter(gram for one in grams.values() for gram in one)
    found: dict[str, list[tuple[str, _Patterns]]] = {}
    for word, patterns in of.items():
        rarest = min(grams[word], key=lambda gram: (counts[gram], gram))
        found.setdefault(rarest, []).append((word, patterns))
    return found


class Gated:
    """One pattern that is searched only in texts that can hold it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._regex = re.compile(pattern)
        self._index = Index([pattern])
        self._last: tuple[str | None, bool] = (None, False)

    def may_match(self, text: str) -> bool:
        """False only where the pattern matches no part of the text."""
        asked, answer = self._last
        if asked is not text:  # a sentence is asked about each thing that it names
            answer = bool(self._index.candidates(text))
            self._last = (text, answer)
        return answer

    def search(self, text: str, part: str | None = None) -> re.Match[str] | None:
        """As `re.Pattern.search`, in a part of the text where one is given."""
        if not self.may_match(text):
            return None
        return self._regex.search(text if part is None else part)

    def finditer(self, text: str, part: str | None = None) -> Iterable[re.Match[str]]:
        """As `re.Pattern.finditer`, in a part of the text where one is given."""
        if not self.may_match(text):
            return ()
        return self._regex.finditer(text if part is None else part)


def clauses(pattern: str) -> list[Clause]:
    """Sets of strings of which a text must hold one each, if the pattern matches it.

    Args:
        pattern: A regular expression, case and all; one with flags has no clauses.

    Example:
        >>> [sorted(one) for one in clauses("(?:tall|peaked) t[- ]wave")]
        [['peaked t wave', 'peaked t-wave', 'tall t wave', 'tall t-wave']]
    """
    parsed = _parser.parse(pattern)
    ignoring = parsed.state.flags & (re.IGNORECASE | re.VERBOSE)
    return [] if ignoring else [one for one in _needed(parsed) if "" not in one]


def _chosen(found: Sequence[Clause]) -> list[Clause]:
    """The clauses that say most: long words, few of them."""

    def cost(one: Clause) -> tuple:
        # As if letters were drawn from eight, six of a word telling enough: ours.
        return sum(8.0 ** -min(len(word), 6) for word in one), sorted(one)

    return sorted({_least(one) for one in found}, key=cost)[:_KEPT]


def _least(clause: Clause) -> Clause:
    """Without the words that hold another one of the clause."""
    return frozenset(w for w in clause if not any(v != w and v in w for v in clause))


def _needed(items: Iterable[tuple]) -> list[Clause]:
    """Clauses of a sequence: of its stretches with few spellings, and of its parts."""
    found: list[Clause] = []
    run = {""}
    for code, argument in items:
        if code in (op.AT, op.ASSERT_NOT):
            continue  # they take no room
        exact = _spellings(code, argument)
        if exact is not None and len(run) * len(exact) <= _MOST:
            run = {head + tail for head in run for tail in exact}
            continue
        if exact is not None:
            found.append(frozenset(run))
            run = exact
            continue
        if code is op.ASSERT:
            found += _needed(argument[1])
            continue
        found.append(frozenset(run))
        run = {""}
        found += _parts(code, argument)
    found.append(frozenset(run))
    return [one for one in found if "" not in one]


def _parts(code: int, argument: tuple) -> list[Clause]:
    if code is op.SUBPATTERN:
        return [] if argument[1] or argument[2] else _needed(argument[-1])  # flags of its own
    if code in (op.MAX_REPEAT, op.MIN_REPEAT) and argument[0] >= 1:
        return _needed(argument[2])
    if code is op.BRANCH:
        ways = [_chosen(_needed(way)) for way in argument[1]]
        if all(ways):
            return [
                frozenset().union(*(one[min(rank, len(one) - 1)] for one in ways))
                for rank in range(_KEPT)
            ]
    return []


def _spellings(code: int, argument: tuple) -> set[str] | None:
    """All strings that a part can be, when they are few."""
    if code is op.LITERAL:
        return {chr(argument)}
    if code is op.IN:
        plain = [value for kind, value in argument if kind is op.LITERAL]
        return {chr(v) for v in plain} if len(plain) == len(argument) <= _MOST else None
    if code is op.SUBPATTERN and not argument[1] and not argument[2]:
        return _joined(argument[-1])
    if code is op.BRANCH:
        ways = [_joined(way) for way in argument[1]]
        if None not in ways:
            union = set().union(*ways)
            return union if len(union) <= _MOST else None
    if code in (op.MAX_REPEAT, op.MIN_REPEAT) and argument[:2] == (0, 1):
        once = _joined(argument[2])
        return None if once is None or len(once) >= _MOST else once | {""}
    return None


def _joined(items: Iterable[tuple]) -> set[str] | None:
    run = {""}
    for code, argument in items:
        if code in (op.AT, op.ASSERT_NOT):
            continue
        exact = _spellings(code, argument)
        if exact is None or len(run) * len(exact) > _MOST:
            return None
        run = {head + tail for head in run for tail in exact}
    return run
