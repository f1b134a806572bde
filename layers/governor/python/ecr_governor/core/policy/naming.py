"""The naming convention: literal text and `{segments}`, what a name says under it, and the nearest name that keeps it.

A plain segment stays inside one path part of the name; `{segment...}` may span several. A segment takes as little text as lets the
rest fit, so where two readings are possible the earlier segment is the shorter one.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final, TypeAlias

import re2

from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.policy.patterns import Matcher

_SPANNING: Final = "..."
# How much a search may look at: a name that needs more is no typing error, and hostile names must not cost more than honest ones.
_LONGEST: Final = 128
_WORDS: Final = 12
_STATES: Final = 64
_CANDIDATES: Final = 12
_SKIPPED: Final = 2
_NEAR: Final = 3
_NAMED: Final = 3
_REMEMBERED: Final = 10_000


class ConventionInvalid(ValueError):
    """A convention that cannot be read, with the reason."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that a name carries as it stands."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Segment:
    """A named part of a name. Without a vocabulary any text will do."""

    name: str
    spans: bool = False
    vocabulary: Matcher | None = None

    def fits(self, text: str) -> bool:
        """Whether the text may stand for this segment."""
        return bool(text) and (self.spans or "/" not in text) and (self.vocabulary is None or self.vocabulary.matches(text))

    def __str__(self) -> str:
        return f"{{{self.name}{_SPANNING if self.spans else ''}}}"


Misfits: TypeAlias = tuple[tuple[Segment, str], ...]
"""Segments that are not what they may be, each with the text that stands for it."""

_SEGMENT: Final = re2.compile(r"[a-z][a-z0-9_-]*")
_LITERAL: Final = re2.compile(r"[a-z0-9._/-]+")


def parts_of(convention: str) -> tuple[Literal | Segment, ...]:
    """Split a convention into its parts, or raise `ConventionInvalid`."""
    parts = tuple(_scan(convention))
    names = [part.name for part in parts if isinstance(part, Segment)]
    if not names:
        raise ConventionInvalid("names no {segment}, so a single name would be allowed in the whole registry")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConventionInvalid(f"uses {{{twice}}} twice; a segment has one value")
    if sum(part.spans for part in parts if isinstance(part, Segment)) > 1:
        raise ConventionInvalid("has two {segments...} that may span path parts; where one ends could not be told")
    for left, right in pairwise(parts):
        if isinstance(left, Segment) and isinstance(right, Segment):
            raise ConventionInvalid(f"needs text between {left} and {right}; where one ends could not be told")
    return parts


def _scan(convention: str) -> Iterator[Literal | Segment]:
    rest = convention
    while rest:
        text, brace, rest = rest.partition("{")
        if text:
            if not (text.isascii() and _LITERAL.fullmatch(text)):
                raise ConventionInvalid(f"has the text {text!r}; ECR's names are made of a-z, 0-9 and . _ - /")
            yield Literal(text)
        if not brace:
            return
        inside, brace, rest = rest.partition("}")
        name = inside.removesuffix(_SPANNING)
        if not brace:
            raise ConventionInvalid(f"opens {{{inside} and never closes it")
        if not (name.isascii() and _SEGMENT.fullmatch(name)):
            raise ConventionInvalid(f"has the segment {{{inside}}}; a segment's name is made of a-z, 0-9, _ and -, a letter first")
        yield Segment(name, spans=inside.endswith(_SPANNING))


@dataclass(frozen=True)
class Convention:
    """A compiled convention."""

    text: str
    parts: tuple[Literal | Segment, ...]

    @classmethod
    def compile(cls, text: str, vocabularies: Mapping[str, Matcher]) -> "Convention":
        """Join the convention's text with what each segment may be."""
        parts = tuple(
            Segment(part.name, part.spans, vocabularies.get(part.name)) if isinstance(part, Segment) else part for part in parts_of(text)
        )
        return cls(text, parts)

    def match(self, name: str) -> dict[str, str] | None:
        """Read what each segment is in the name, or None if the name does not keep the convention."""
        return _match(self.parts, name)

    def diagnose(self, name: str, misfits: Misfits) -> str:
        """Say what is wrong with a name that does not keep the convention: which segments, its `misfits`, or which part."""
        if misfits:
            more = len(misfits) - _NAMED
            rest = [] if more <= 0 else ["1 more segment is wrong" if more == 1 else f"{more} more segments are wrong"]
            return ", and ".join([*(_misfit(segment, text) for segment, text in misfits[:_NAMED]), *rest])
        groups, pieces = _groups(self.parts), name.split("/")
        if any(isinstance(part, Segment) and part.spans for part in self.parts):
            return f"does not fit {self.text}: {self._shape(name, len(groups))}"
        if len(pieces) != len(groups):
            return f"has {_counted(len(pieces))}, where {self.text} has {len(groups)}"
        unlike = next(((piece, group) for piece, group in zip(pieces, groups, strict=True) if _nearly(group, piece, _ends) is None), None)
        if unlike is None:
            return f"does not fit {self.text}"
        piece, group = unlike
        return f"the part {piece!r} does not fit {''.join(map(str, group))}"

    def misfits(self, name: str) -> Misfits:
        """Give the segments that are not what they may be, each with its text, by the reading that leaves the fewest; none without one."""
        reading = _nearly(self.parts, name, _ends)
        return tuple((segment, text) for segment, text in reading or () if not segment.fits(text))

    def nearest_words(self, misfits: Misfits) -> dict[str, str]:
        """Find what the segments that are not what they may be are most likely meant to be, of those that have a list."""
        found = {segment.name: self._entries_near(segment, _folded(text)) for segment, text in misfits[:_NAMED]}
        return {segment: entries[0][0] for segment, entries in found.items() if entries}

    def _shape(self, name: str, parts: int) -> str:
        """Say why a name cannot even be read as the convention is written, one of whose segments may span parts."""
        first, last = self.parts[0], self.parts[-1]
        if name.count("/") + 1 < parts:
            return f"it has {_counted(name.count('/') + 1)}, where there must be at least {parts}"
        if isinstance(first, Literal) and not name.startswith(first.text):
            return f"it does not begin with {first.text}"
        if isinstance(last, Literal) and not name.endswith(last.text):
            return f"it does not end with {last.text}"
        lacking = next((part.text for part in self.parts if isinstance(part, Literal) and part.text not in name), None)
        if lacking:
            return f"there is no {lacking} in it"
        reading = _nearly(self.parts, name, _loose_ends)
        if reading is None:
            return "its parts come in another order"
        segment, text = next((segment, text) for segment, text in reading if not text or ("/" in text and not segment.spans))
        return f"{segment} is one path part, not {text!r}" if text else f"nothing stands for {segment}"

    def nearest(self, name: str) -> str | None:
        """Find the allowed name that is most like this one, or None where nothing is near. The same name always gets the same answer."""
        if self.match(name) is not None and is_repository_name(name):
            return name
        if len(name) > _LONGEST:
            return None
        folded = _folded(name)
        measured = [(edit_distance(folded, _folded(candidate)), candidate) for candidate in self._candidates(name)]
        near = [(distance, candidate) for distance, candidate in measured if distance <= max(2, len(candidate) // 2)]
        if not near:
            return None
        best = min(distance for distance, _ in near)
        return min((edit_distance(name, candidate), candidate) for distance, candidate in near if distance == best)[1]

    def _candidates(self, name: str) -> list[str]:
        """Names that keep the convention and ECR's rule, made from the words of the given name in their order."""
        words = _words(name)
        # Each state: what it has built and how many words it has used, with what it has cost. Only the cheapest go on.
        # The first words may be too many, as the environment in prod/payments/api.
        states = {("", skipped): sum(len(word.text) for word in words[:skipped]) for skipped in range(min(len(words), _SKIPPED + 1))}
        for part in self.parts:
            following: dict[tuple[str, int], int] = {}
            for (built, used), cost in states.items():
                for text, taken, extra in self._choices(part, words[used:]):
                    key = (built + text, used + taken)
                    following[key] = min(following.get(key, cost + extra), cost + extra)
            states = dict(sorted(following.items(), key=lambda item: (item[1], item[0]))[:_STATES])
        finished = sorted((cost + sum(len(word.text) for word in words[used:]), built) for (built, used), cost in states.items())
        allowed = (built for _, built in finished if is_repository_name(built) and self.match(built) is not None)
        return list(islice(allowed, _CANDIDATES))

    def _choices(self, part: Literal | Segment, words: tuple["_Word", ...]) -> Iterator[tuple[str, int, int]]:
        """Offer the texts a part may become, with the number of words each uses up and what it costs."""
        if isinstance(part, Literal):
            spoken = [word.text for word in _words(part.text)]
            yield part.text, 0, sum(map(len, spoken))
            if spoken and len(spoken) <= len(words):
                distance = edit_distance("-".join(word.text for word in words[: len(spoken)]), "-".join(spoken), _NEAR)
                if distance <= _NEAR:
                    yield part.text, len(spoken), distance
            return
        entries = part.vocabulary.one_of if part.vocabulary is not None else None
        if entries is not None and len(entries) == 1:
            yield entries[0], 0, len(entries[0])
        for count in range(1, len(words) + 1):
            run = words[:count]
            if entries is not None:
                for entry, distance in self._entries_near(part, "-".join(word.text for word in run)):
                    yield entry, count, distance
            elif (text := next(filter(part.fits, _spellings(run, part)), None)) is not None:
                yield text, count, 0

    def _entries_near(self, segment: Segment, text: str) -> tuple[tuple[str, int], ...]:
        key = (segment.name, text)
        if key not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[key] = _closest(self._by_length[segment.name], text)
        return self._found[key]

    @functools.cached_property
    def _by_length(self) -> dict[str, dict[int, list[tuple[str, str]]]]:
        """Each segment's list of allowed texts, folded, by length: only those of about the same length can be near."""
        index: dict[str, dict[int, list[tuple[str, str]]]] = {}
        for part in self.parts:
            if isinstance(part, Segment):
                lengths = index.setdefault(part.name, {})
                for entry in (part.vocabulary.one_of if part.vocabulary else None) or ():
                    lengths.setdefault(len(entry), []).append((_folded(entry), entry))
        return index

    @functools.cached_property
    def _found(self) -> dict[tuple[str, str], tuple[tuple[str, int], ...]]:
        # The same misspelt team comes in many names; the vocabulary is searched for it once.
        return {}


@dataclass(frozen=True, slots=True)
class _Word:
    """A run of letters and digits, and the separators that stand before it in the name."""

    text: str
    before: str


def _spellings(run: tuple[_Word, ...], segment: Segment) -> Iterator[str]:
    """Offer the ways to write a run of words, as it was written first."""
    first, *others = run
    written = first.text + "".join(word.before + word.text for word in others)
    yield written
    if segment.spans:
        yield "/".join(word.text for word in run)
    for separator in ("-", "_", ".", ""):
        yield separator.join(word.text for word in run)


def _closest(lengths: Mapping[int, list[tuple[str, str]]], text: str) -> tuple[tuple[str, int], ...]:
    """Return the entries that are least far from the text, at most three."""
    limit = min(_NEAR, len(text) // 2)
    near: list[tuple[int, str]] = []
    for length in range(len(text) - limit, len(text) + limit + 1):
        for folded, entry in lengths.get(length, ()):
            if (distance := edit_distance(folded, text, limit)) <= limit:
                near.append((distance, entry))
    return tuple((entry, distance) for distance, entry in sorted(near)[:3])


def _match(parts: tuple[Literal | Segment, ...], text: str) -> dict[str, str] | None:
    """Find the first reading of the text, shortest segments first. A (part, position) that led nowhere is not tried again."""
    dead: set[tuple[int, int]] = set()

    def read(index: int, start: int) -> dict[str, str] | None:
        if index == len(parts):
            return {} if start == len(text) else None
        if (index, start) in dead:
            return None
        part = parts[index]
        if isinstance(part, Literal):
            found = read(index + 1, start + len(part.text)) if text.startswith(part.text, start) else None
        else:
            found = None
            for end in _ends(part, parts[index + 1 : index + 2], text, start):
                if part.fits(text[start:end]) and (rest := read(index + 1, end)) is not None:
                    found = {part.name: text[start:end], **rest}
                    break
        if found is None:
            dead.add((index, start))
        return found

    return read(0, 0)


def _nearly(parts: tuple[Literal | Segment, ...], text: str, ends: "_Ends") -> Misfits | None:
    """Find the reading of the text in which the fewest segments are not what they may be; None if it has no such parts at all."""
    best: dict[tuple[int, int], tuple[int, Misfits] | None] = {}

    def read(index: int, start: int) -> tuple[int, Misfits] | None:
        if index == len(parts):
            return (0, ()) if start == len(text) else None
        if (index, start) in best:
            return best[index, start]
        part = parts[index]
        found = None
        if isinstance(part, Literal):
            found = read(index + 1, start + len(part.text)) if text.startswith(part.text, start) else None
        else:
            for end in ends(part, parts[index + 1 : index + 2], text, start):
                rest = read(index + 1, end)
                if rest is None or (found is not None and found[0] <= rest[0]):
                    continue  # it can be no better
                wrong = rest[0] + (not part.fits(text[start:end]))
                if found is None or wrong < found[0]:
                    found = wrong, ((part, text[start:end]), *rest[1])
        best[index, start] = found
        return found

    reading = read(0, 0)
    return reading[1] if reading is not None else None


_Ends: TypeAlias = Callable[[Segment, tuple[Literal | Segment, ...], str, int], Iterator[int]]


def _ends(segment: Segment, following: tuple[Literal | Segment, ...], text: str, start: int) -> Iterator[int]:
    """Where a segment may end: before the next literal text, or at the end of the name."""
    border = len(text)
    if not segment.spans and (slash := text.find("/", start)) >= 0:
        border = slash
    if not following:
        if start < border == len(text):
            yield border
        return
    yield from _places(following[0], text, start + 1, border)


def _loose_ends(_segment: Segment, following: tuple[Literal | Segment, ...], text: str, start: int) -> Iterator[int]:
    """Where a segment would end if it might be empty, and span parts: also where the texts around it leave it no place."""
    if not following:
        yield len(text)
        return
    yield from _places(following[0], text, max(0, start + 1 - len(str(following[0]))), len(text))


def _places(literal: Literal | Segment, text: str, start: int, most: int) -> Iterator[int]:
    assert isinstance(literal, Literal)  # noqa: S101 - `parts_of` refuses two segments side by side
    place = text.find(literal.text, start)
    while 0 <= place <= most:
        yield place
        place = text.find(literal.text, place + 1)


def _groups(parts: tuple[Literal | Segment, ...]) -> tuple[tuple[Literal | Segment, ...], ...]:
    """Group the parts of a convention by path part of the name."""
    groups: list[list[Literal | Segment]] = [[]]
    for part in parts:
        if isinstance(part, Segment):
            groups[-1].append(part)
            continue
        for index, piece in enumerate(part.text.split("/")):
            if index:
                groups.append([])
            if piece:
                groups[-1].append(Literal(piece))
    return tuple(tuple(group) for group in groups)


def _misfit(segment: Segment, text: str) -> str:
    assert segment.vocabulary is not None  # noqa: S101 - anything would fit it
    return f"{segment.name} {text!r} must be {segment.vocabulary.describe()}"


def _counted(parts: int) -> str:
    return "1 path part" if parts == 1 else f"{parts} path parts"


class _Separators(dict[int, str]):
    """For `str.translate`: whatever is no letter or digit of ASCII separates words."""

    def __missing__(self, _code: int) -> str:
        return "-"


_FOLDED: Final = _Separators({code: chr(code).lower() for code in range(128) if chr(code).isalnum()})


def _folded(text: str) -> str:
    """Put the text in lower case with every separator alike, so that only the words count."""
    return text.translate(_FOLDED)


def _words(text: str) -> tuple[_Word, ...]:
    words: list[_Word] = []
    end = 0
    folded = _folded(text)
    for word in filter(None, folded.split("-")):
        start = folded.index(word, end)
        before, end = text[end:start], start + len(word)
        if len(words) < _WORDS:
            words.append(_Word(word, before))
        else:
            words[-1] = _Word(words[-1].text + "-" + word, words[-1].before)
    return tuple(words)


def edit_distance(left: str, right: str, limit: int | None = None) -> int:
    """Count the insertions, deletions, replacements and swaps of neighbours between two texts (optimal string alignment).

    With a limit, any number above it may be returned as soon as the distance is known to exceed it.
    """
    if left == right:
        return 0
    if not left or not right:
        return len(left) or len(right)
    if limit is not None and abs(len(left) - len(right)) > limit:
        return limit + 1
    # A column of the usual table at once, as the bits of a number: where it goes up or down by one (Hyyrö 2003). Nothing else here
    # takes as long, since every misspelt name is compared with many others.
    places: dict[str, int] = {}
    for place, character in enumerate(left):
        places[character] = places.get(character, 0) | 1 << place
    every, last = (1 << len(left)) - 1, 1 << (len(left) - 1)
    up, down, diagonal, before, distance = every, 0, 0, 0, len(left)
    for character in right:
        found = places.get(character, 0)
        swapped = ((~diagonal & found) << 1) & before
        diagonal = ((((found & up) + up) ^ up) | found | down | swapped) & every
        right_up, right_down = down | (every & ~(diagonal | up)), up & diagonal
        distance += bool(right_up & last) - bool(right_down & last)
        right_up, right_down = (right_up << 1 | 1) & every, (right_down << 1) & every
        up, down, before = right_down | (every & ~(diagonal | right_up)), right_up & diagonal, found
    return distance
