"""Which of many patterns can match a text at all, from the letters they cannot do without.

From a pattern follow clauses: sets of strings of which every match, or what its lookarounds
look at, holds at least one. Where none of a set stands in a text, the pattern cannot match, so
leaving it out changes nothing; what a clause is not drawn from is simply not used. A few
hundred patterns over a sentence so cost what a dozen did.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from re import _constants as op
from re import _parser

_MOST = 6  # spellings of one stretch that are worth telling apart
_KEPT = 2  # clauses of a pattern

Clause = frozenset[str]


class Index:
    r"""Patterns with their clauses, asked which of them can match a text.

    Example:
        >>> index = Index([r"t[- ]waves?", r"(?:left|right) axis", r"\d+ ms"])
        >>> index.candidates("right axis, 80 ms")
        [1, 2]
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        wanted = [_chosen(clauses(pattern)) for pattern in patterns]
        words = sorted({word for one in wanted for clause in one for word in clause})
        bit = {word: 1 << place for place, word in enumerate(words)}
        self._short = [(word, one) for word, one in bit.items() if len(word) < 3]
        self._by_gram = _by_rarest_gram({w: one for w, one in bit.items() if len(w) > 2})
        self._grams = frozenset(self._by_gram)
        masks = [tuple(sum(bit[word] for word in clause) for clause in one) for one in wanted]
        # Patterns under each word of their first clause; the others are looked at there.
        self._always = [place for place, one in enumerate(masks) if not one]
        self._by_word: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
        for place, (one, mask) in enumerate(zip(wanted, masks, strict=True)):
            for word in one[0] if one else ():
                self._by_word.setdefault(bit[word], []).append((place, mask[1:]))

    def candidates(self, text: str) -> list[int]:
        """Places of the patterns that may match, in order; all that do are among them."""
        threes = map("".join, zip(text, text[1:], text[2:], strict=False))
        grams = self._grams.intersection(threes)
        found = [bit for one in grams for word, bit in self._by_gram[one] if word in text]
        found += [bit for word, bit in self._short if word in text]
        hits = sum(found)
        places = set(self._always)
        for bit in found:
            for place, masks in self._by_word.get(bit, ()):
                if all(hits & mask for mask in masks):
                    places.add(place)
        return sorted(places)


def _by_rarest_gram(bits: dict[str, int]) -> dict[str, list[tuple[str, int]]]:
    """Words under three letters of theirs that few others have."""
    grams = {word: {word[i : i + 3] for i in range(len(word) - 2)} for word in bits}
    counts = Counter(gram for one in grams.values() for gram in one)
    found: dict[str, list[tuple[str, int]]] = {}
    for word, bit in bits.items():
        rarest = min(grams[word], key=lambda gram: (counts[gram], gram))
        found.setdefault(rarest, []).append((word, bit))
    return found


class Gated:
    """One pattern that is searched only where it can match."""

    def __init__(self, pattern: str) -> None:
        self._regex = re.compile(pattern)
        self._clauses = [sorted(clause, key=len) for clause in _chosen(clauses(pattern))]

    def _may_match(self, text: str) -> bool:
        return all(any(word in text for word in clause) for clause in self._clauses)

    def search(self, text: str) -> re.Match[str] | None:
        """As `re.Pattern.search`."""
        return self._regex.search(text) if self._may_match(text) else None

    def finditer(self, text: str) -> Iterable[re.Match[str]]:
        """As `re.Pattern.finditer`."""
        return self._regex.finditer(text) if self._may_match(text) else ()


def clauses(pattern: str) -> list[Clause]:
    """Sets of strings of which a text must hold one each, if the pattern matches it.

    Args:
        pattern: A regular expression, case and all; one with flags has no clauses.

    Example:
        >>> [sorted(one) for one in clauses("(?:tall|peaked) t[- ]waves?")]
        [['peaked t wave', 'peaked t-wave', 'tall t wave', 'tall t-wave']]
    """
    parsed = _parser.parse(pattern)
    ignoring = parsed.state.flags & (re.IGNORECASE | re.VERBOSE)
    return [] if ignoring else [one for one in _needed(parsed) if "" not in one]


def _chosen(found: Sequence[Clause]) -> list[Clause]:
    """The clauses that say most: long words, few of them."""

    def cost(one: Clause) -> tuple:
        return len(one) > _MOST, -min(map(len, one)), len(one), sorted(one)

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
            return [frozenset().union(*(one[0] for one in ways))]
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
