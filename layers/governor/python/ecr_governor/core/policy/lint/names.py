"""Names that cannot be: conventions, vocabularies and namespaces that leave nothing."""

import functools
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ecr_governor.core.documents.names import MAX_LENGTH, ROOT
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.languages import NAMES, REPOSITORY_NAME, Language, Undecided, hopeful, reached, shortest
from ecr_governor.core.policy.lint.remark import Found, undecided
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import EVERY_RULE, Mode, Naming, Policy
from ecr_governor.core.policy.naming import Literal, Segment
from ecr_governor.core.policy.patterns import Matcher
from ecr_governor.core.rules import naming as naming_rule

_SHORTEST_REST: Final = len("/a")
_NO_LIMIT: Final = 4 * MAX_LENGTH
_REMEMBERED: Final = 4_096


def found(reading: Reading) -> Iterator[Found]:
    """Tell which names cannot be."""
    policy = reading.policy
    yield from _long_prefixes(reading)
    if policy.naming is None:
        return
    yield from _ignored(policy.naming)
    try:
        convention = _Convention.of(policy.naming)
        impossible = _impossible(policy.naming, convention)
        yield from impossible
        if not impossible:
            yield from _entries(policy.naming, convention)
            yield from _unreachable(reading, convention)
    except Undecided:
        yield undecided(("naming", KEY), "the convention allows too much to be compared with the namespaces")


def matcher(language: Language, wanted: Matcher | None, start: int) -> int:
    """Add what a matcher allows."""
    if wanted is None:
        return language.anything(start)
    if wanted.one_of is not None:
        return language.texts(wanted.one_of, start)
    if wanted.glob is not None:
        return language.glob(wanted.glob, start)
    return language.expression(wanted.regex, start) if wanted.regex is not None else language.anything(start)


@functools.lru_cache(maxsize=_REMEMBERED)
def possible_like(glob: str) -> str | None:
    """Give a repository name that is like a glob, None if there is none. Raises Undecided."""
    language = Language(NAMES)
    language.end = language.glob(glob, 0)
    return shortest(language, REPOSITORY_NAME, MAX_LENGTH)


@dataclass
class _Convention:
    """A convention's language, and between which of its states each segment lies."""

    language: Language
    segments: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, naming: Naming) -> "_Convention":
        language = Language(NAMES)
        segments: dict[str, tuple[int, int]] = {}
        here = 0
        for part in naming.compiled.parts:
            if isinstance(part, Literal):
                here = language.text(part.text, here)
                continue
            begin, since = here, len(language.edges)
            here = matcher(language, part.vocabulary, language.state())
            language.jumps[begin].append(since)
            if not part.spans:
                language.within_a_part(since)
            segments[part.name] = (begin, here)
        language.end = here
        return cls(language, segments)


def _impossible(naming: Naming, convention: _Convention) -> list[Found]:
    name = shortest(convention.language, REPOSITORY_NAME, _NO_LIMIT)
    if name is not None and len(name) <= MAX_LENGTH:
        return []
    if name is not None:
        what = f"the shortest name that keeps {naming.convention} has {len(name)} characters; ECR's names have {MAX_LENGTH} at most"
        return [Found("naming-impossible", ("naming", "convention"), what, "allow shorter segments")]
    for part in naming.compiled.parts:
        if isinstance(part, Segment) and part.vocabulary is not None and not _fits_somewhere(part):
            what = f"{part} must be {part.vocabulary.describe()}, and nothing in a repository name is"
            do = "ECR's names are made of a-z, 0-9 and single . _ - / between them; allow some of that"
            return [Found("naming-impossible", ("naming", "segments", part.name), what, do)]
    what = f"no repository name keeps {naming.convention}"
    do = "ECR's names begin and end with a letter or digit, and . _ - / stand between them; change the text between the segments"
    return [Found("naming-impossible", ("naming", "convention"), what, do)]


class _Anywhere:
    """Pieces of repository names: wherever one may begin, and wherever it may end."""

    start: Hashable = ""

    def moves(self, state: Hashable) -> Sequence[tuple[int, Hashable]]:
        if state != self.start:
            return REPOSITORY_NAME.moves(state)
        return [move for each in ("name", "word", "dot", "low", "lower", "dash") for move in REPOSITORY_NAME.moves(each)]

    def accepts(self, state: Hashable) -> bool:
        return state != self.start


def _fits_somewhere(segment: Segment) -> bool:
    language = Language(NAMES)
    language.end = matcher(language, segment.vocabulary, 0)
    if not segment.spans:
        language.within_a_part(0)
    return shortest(language, _Anywhere(), MAX_LENGTH) is not None


def _entries(naming: Naming, convention: _Convention) -> Iterator[Found]:
    """Run each entry of a list from wherever a name may be where the segment begins, to where it can be ended."""
    pairs = reached(convention.language, REPOSITORY_NAME)
    alive = hopeful(convention.language, REPOSITORY_NAME, pairs)
    for part in naming.compiled.parts:
        if not isinstance(part, Segment) or part.vocabulary is None or part.vocabulary.one_of is None:
            continue
        begin, end = convention.segments[part.name]
        befores = [beside for state, beside in pairs if state == begin]
        afters = {beside for state, beside in alive if state == end}
        for index, entry in enumerate(part.vocabulary.one_of):
            if not part.fits(entry) or not any(_run(entry, before) in afters for before in befores):
                what = f"no repository name can have {entry!r} for {part}"
                do = "write it as it stands in the names: a-z, 0-9 and single . _ - between them"
                yield Found("naming-entry-impossible", ("naming", "segments", part.name, "one_of", index), what, do)


def _run(text: str, state: Hashable) -> Hashable:
    for character in text:
        mask = NAMES.mask(character)
        following = [to for allowed, to in REPOSITORY_NAME.moves(state) if mask & allowed]
        if not following:
            return None
        state = following[0]
    return state


def _ignored(naming: Naming) -> Iterator[Found]:
    for index, glob in enumerate(naming.ignore):
        at: Path = ("naming", "ignore", index)
        if not glob.strip("*"):
            yield Found("naming-ignores-everything", at, f"{glob!r} is every name", "name the prefix that is meant, as in docker-hub/*")
        elif possible_like(glob) is None:
            do = "ECR's names are made of a-z, 0-9 and single . _ - / between them; correct it, or remove it"
            yield Found("naming-ignores-nothing", at, f"no repository name is like {glob!r}", do)


def namespaces_of(glob: str, policy: Policy) -> frozenset[str]:
    """Give the namespaces in which a repository name can be that is like a glob. Raises Undecided."""
    return _longest_of(glob, policy.namespaces)


def _longest_of(glob: str, prefixes: Collection[str]) -> frozenset[str]:
    """Give those of the prefixes that are the longest one of a repository name like a glob; ROOT for a name that has none."""
    begin, star, _ = glob.partition("*")
    if "?" in begin:
        language = Language(NAMES)
        language.end = language.glob(glob, 0)
        return _settled(language, _machine(tuple(prefixes)))
    if possible_like(glob) is None:
        return frozenset()
    # What the first * stands for may be what is left of any prefix, or lead out of all of them.
    slashed = {f"{prefix}/": prefix for prefix in prefixes if prefix != ROOT}
    longer = (prefix for below, prefix in slashed.items() if below.startswith(begin)) if star else ()
    return frozenset((max((prefix for below, prefix in slashed.items() if begin.startswith(below)), key=len, default=ROOT), *longer))


# --- namespaces -----------------------------------------------------------------------------------------------------------------------


def key_of(reading: Reading, prefix: str) -> Path:
    """Give the path of a namespace as the file spells it."""
    namespaces = reading.root.items.get("namespaces")
    slashed = namespaces is not None and f"{prefix}/" in namespaces.items
    return ("namespaces", f"{prefix}/" if slashed else prefix)


def _long_prefixes(reading: Reading) -> Iterator[Found]:
    for prefix in reading.policy.namespaces:
        if len(prefix) + _SHORTEST_REST > MAX_LENGTH:
            what = f"a name below this prefix has at least {len(prefix) + _SHORTEST_REST} characters; ECR's names have {MAX_LENGTH} at most"
            yield Found("namespace-unreachable", (*key_of(reading, prefix), KEY), what, "shorten the prefix, or remove it")


_Where = tuple[Hashable, int | None, str]


class _Namespaces:
    """Repository names, and which namespace each is in: what of it still lies along a prefix, and the longest prefix that it has passed."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        # A tree of the prefixes with their slashes; a node's children are by character.
        self._children: list[dict[str, int]] = [{}]
        self._passed: dict[int, str] = {}
        for prefix in prefixes:
            node = 0
            for character in f"{prefix}/":
                if character not in self._children[node]:
                    self._children.append({})
                    self._children[node][character] = len(self._children) - 1
                node = self._children[node][character]
            self._passed[node] = prefix
        self.start: Hashable = (REPOSITORY_NAME.start, 0, ROOT)

    def moves(self, state: Hashable) -> Sequence[tuple[int, Hashable]]:
        beside, node, namespace = _where(state)
        if node is None:
            return []  # it is decided; whether the name can be ended is known without us
        found: list[tuple[int, Hashable]] = []
        along = 0
        for character, child in self._children[node].items():
            mask = NAMES.mask(character)
            along |= mask
            within: str = self._passed.get(child, namespace)
            following: int | None = child if self._children[child] else None
            found += [(mask, (to, following, within)) for allowed, to in REPOSITORY_NAME.moves(beside) if mask & allowed]
        found += [(allowed & ~along, (to, None, namespace)) for allowed, to in REPOSITORY_NAME.moves(beside) if allowed & ~along]
        return found

    def accepts(self, state: Hashable) -> bool:
        return REPOSITORY_NAME.accepts(_where(state)[0])


@functools.lru_cache(maxsize=1)
def _machine(prefixes: tuple[str, ...]) -> _Namespaces:
    return _Namespaces(prefix for prefix in prefixes if prefix != ROOT)


def _where(state: Hashable) -> _Where:
    assert isinstance(state, tuple)  # noqa: S101 - of `_Namespaces`
    beside, node, namespace = state
    return beside, node, namespace


def _unreachable(reading: Reading, convention: _Convention) -> Iterator[Found]:
    """Tell the namespaces in which no allowed name is: those that the convention does not lead into, and those that longer ones cover."""
    policy = reading.policy
    prefixes = [prefix for prefix in policy.namespaces if prefix != ROOT and judges_names(policy, prefix)]
    if not prefixes:
        return
    lived_in = _lived_in(policy, convention, policy.namespaces)
    for prefix in prefixes:
        if prefix in lived_in:
            continue
        longer = sorted(other for other in lived_in if other.startswith(f"{prefix}/"))
        at = (*key_of(reading, prefix), KEY)
        if longer:
            what = f"every allowed name below it is in {_and(longer)}"
            yield Found("namespace-unreachable", at, what, "remove it, or one of the longer prefixes")
        else:
            assert policy.naming is not None  # noqa: S101 - there is a convention
            what = f"no name that keeps {policy.naming.convention} is below it"
            do = f'correct the prefix, or add "{prefix}/*" to naming.ignore'
            yield Found("namespace-unreachable", at, what, do)


def judges_names(policy: Policy, namespace: str) -> bool:
    """Whether the rule on names judges in a namespace: where it is off, every name is allowed."""
    return policy.mode_of(naming_rule.RULE.id, namespace) is not Mode.OFF


def uninhabited(policy: Policy, prefixes: Iterable[str]) -> set[str]:
    """Give those of the prefixes below which no allowed name is; none where no name is judged, or none can keep the convention.

    Raises Undecided.
    """
    wanted = set(prefixes) - {ROOT}
    if policy.naming is None or not wanted:
        return set()
    convention = _Convention.of(policy.naming)
    if _impossible(policy.naming, convention):
        return set()
    lived_in = _lived_in(policy, convention, sorted(wanted))
    return {prefix for prefix in wanted if not any(f"{each}/".startswith(f"{prefix}/") for each in lived_in)}


def _lived_in(policy: Policy, convention: _Convention, prefixes: Iterable[str]) -> frozenset[str]:
    """Give those of the prefixes that are the longest one of an allowed name."""
    known = tuple(prefixes)
    lived_in = _settled(convention.language, _machine(known))
    return lived_in.union(*(_longest_of(glob, known) for glob in _spared(policy)))


def _settled(language: Language, machine: _Namespaces) -> frozenset[str]:
    """Give the namespaces that a name of the language can be in for good: it ends there, or has left all longer prefixes."""
    alive = hopeful(language, REPOSITORY_NAME, reached(language, REPOSITORY_NAME))
    settled: set[str] = set()
    for state, where in reached(language, machine):
        beside, node, namespace = _where(where)
        ends = state == language.end and REPOSITORY_NAME.accepts(beside)
        if ends or (node is None and (state, beside) in alive):
            settled.add(namespace)
    return frozenset(settled)


def _spared(policy: Policy) -> Iterator[str]:
    """Give the globs of names that need not keep the convention: ignored by it, or exempt from it."""
    yield from policy.naming.ignore if policy.naming else ()
    yield from (exemption.match for exemption in policy.exemptions if _spares_names(exemption.rules))


def _spares_names(rules: Iterable[str]) -> bool:
    return bool({EVERY_RULE, naming_rule.RULE.id} & set(rules))


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
