"""Which texts a pattern allows, as a finite automaton: whether there is any that keeps several rules at once, and which is the shortest.

RE2 tells whether one text matches. Whether any text can match is a question about the pattern itself, and so needs the automaton that
the pattern stands for. Only what names and tags are made of is looked at: a set of characters is a number with a bit for each of them.
What an expression says that is not understood here counts as anything at all, so that nothing is called impossible by mistake.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

MAX_STATES: Final = 10_000
MAX_STEPS: Final = 60_000
"""How many states a search looks at before it gives up."""


class Undecided(Exception):
    """There is too much to look at."""


class Steps:
    """How much may still be looked at by several searches together, `within` what still more of them may look at together."""

    def __init__(self, most: int, within: "Steps | None" = None) -> None:
        self._left = most
        self._within = within

    def take(self, count: int) -> None:
        """Look at so much more. Raises Undecided where that is too much, and from then on."""
        self._left -= count
        if self._left < 0:
            raise Undecided
        if self._within is not None:
            self._within.take(count)


class Alphabet:
    """The characters that texts of one kind are made of."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._bits = {character: 1 << place for place, character in enumerate(characters)}
        self.every = (1 << len(characters)) - 1

    def mask(self, characters: Iterable[str]) -> int:
        """Give the set of those of the characters that belong to the alphabet."""
        found = 0
        for character in characters:
            found |= self._bits.get(character, 0)
        return found

    def one_of(self, mask: int) -> str:
        """Give the first character of a set that is not empty."""
        return self.characters[(mask & -mask).bit_length() - 1]


NAMES: Final = Alphabet("abcdefghijklmnopqrstuvwxyz0123456789._-/")
TAGS: Final = Alphabet("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class Machine(Protocol):
    """A deterministic automaton. `moves` gives disjoint sets of characters, each with the state that it leads to."""

    @property
    def start(self) -> Hashable:
        """The state before the first character."""

    def moves(self, state: Hashable) -> Sequence[tuple[int, Hashable]]:
        """Where each character leads; one that leads nowhere is left out."""

    def accepts(self, state: Hashable) -> bool:
        """Whether a text may end here."""


class _Table:
    """A machine of a few named states."""

    def __init__(self, table: Mapping[Hashable, Sequence[tuple[int, Hashable]]], *ends: str) -> None:
        self._table = table
        self._ends = frozenset(ends)
        self.start: Hashable = next(iter(table))

    def moves(self, state: Hashable) -> Sequence[tuple[int, Hashable]]:
        return self._table[state]

    def accepts(self, state: Hashable) -> bool:
        return state in self._ends


def _repository_names() -> _Table:
    word, dot, low, dash, slash = (NAMES.mask(some) for some in ("abcdefghijklmnopqrstuvwxyz0123456789", ".", "_", "-", "/"))
    inside = [(word, "word"), (dot, "dot"), (low, "low"), (dash, "dash"), (slash, "part")]
    return _Table(
        {
            "name": [(word, "one")],
            "one": inside,
            "word": inside,
            "part": [(word, "word")],
            "dot": [(word, "word")],
            "low": [(word, "word"), (low, "lower")],
            "lower": [(word, "word")],
            "dash": [(word, "word"), (dash, "dash")],
        },
        # A name has at least two characters.
        "word",
    )


REPOSITORY_NAME: Final = _repository_names()
"""ECR's repository names, as `core.documents.names` has them, but for their greatest length."""
IMAGE_TAG: Final = _Table(
    {
        "tag": [(TAGS.mask(set(TAGS.characters) - set(".-")), "inside")],
        "inside": [(TAGS.every, "inside")],
    },
    "inside",
)
"""Tags of images, as the OCI distribution specification has them, but for their greatest length of 128."""


@dataclass
class Language:
    """A nondeterministic automaton: `edges` consume a character, `jumps` none. Parts are added one behind the other."""

    alphabet: Alphabet
    edges: list[list[tuple[int, int]]] = field(default_factory=lambda: [[]])
    jumps: list[list[int]] = field(default_factory=lambda: [[]])
    end: int = 0

    def state(self) -> int:
        """Add a state."""
        if len(self.edges) >= MAX_STATES:
            raise Undecided
        self.edges.append([])
        self.jumps.append([])
        return len(self.edges) - 1

    def text(self, text: str, start: int) -> int:
        """Add a text as it stands; give the state after it."""
        here = start
        for character in text:
            following = self.state()
            self.edges[here].append((self.alphabet.mask(character), following))
            here = following
        return here

    def texts(self, texts: Iterable[str], start: int) -> int:
        """Add several texts to choose from. What they begin with alike is added once."""
        end = self.state()
        tree: dict[tuple[int, str], int] = {}
        for text in texts:
            here = start
            for character in text:
                following = tree.get((here, character))
                if following is None:
                    following = tree[here, character] = self.state()
                    self.edges[here].append((self.alphabet.mask(character), following))
                here = following
            self.jumps[here].append(end)
        return end

    def characters(self, mask: int, start: int) -> int:
        """Add one character of a set."""
        end = self.state()
        self.edges[start].append((mask, end))
        return end

    def anything(self, start: int) -> int:
        """Add any run of characters, none included."""
        end = self.state()
        self.jumps[start].append(end)
        self.edges[end].append((self.alphabet.every, end))
        return end

    def glob(self, glob: str, start: int) -> int:
        """Add a glob."""
        here = start
        for character in glob:
            if character == "*":
                here = self.anything(here)
            else:
                here = self.characters(self.alphabet.every if character == "?" else self.alphabet.mask(character), here)
        return here

    def expression(self, expression: str, start: int) -> int:
        """Add what an RE2 expression matches as a whole; anything, where it is not understood."""
        before = len(self.edges)
        try:
            return _Expression(expression, self, start).end
        except _NotUnderstood:
            del self.edges[before:], self.jumps[before:]
            self.edges[start] = [edge for edge in self.edges[start] if edge[1] < before]
            self.jumps[start] = [state for state in self.jumps[start] if state < before]
            return self.anything(start)

    def within_a_part(self, since: int) -> None:
        """Take the slash from all that was added since a state."""
        apart = self.alphabet.every & ~self.alphabet.mask("/")
        for state in range(since, len(self.edges)):
            self.edges[state] = [(mask & apart, to) for mask, to in self.edges[state]]


def shortest(language: Language, machine: Machine, most: int, steps: Steps | None = None) -> str | None:
    """Give the shortest text of the language that the machine accepts, None if there is none of at most that many characters.

    `steps` are those of several searches together. Raises Undecided.
    """
    begin = (0, machine.start)
    came: dict[tuple[int, Hashable], tuple[tuple[int, Hashable], str] | None] = {begin: None}
    queue = deque([(begin, 0)])
    while queue:
        (state, beside), length = queue.popleft()
        if len(came) > MAX_STEPS:
            raise Undecided
        if state == language.end and machine.accepts(beside):
            return _spelt(came, (state, beside))
        for target in language.jumps[state]:
            if (target, beside) not in came:
                came[target, beside] = ((state, beside), "")
                queue.appendleft(((target, beside), length))
        if length < most:
            edges = language.edges[state]
            moves = machine.moves(beside) if edges else ()
            if steps is not None:
                steps.take(1 + len(edges) * len(moves))
            for mask, target in edges:
                for allowed, after in moves:
                    if mask & allowed and (target, after) not in came:
                        came[target, after] = ((state, beside), language.alphabet.one_of(mask & allowed))
                        queue.append(((target, after), length + 1))
    return None


def _spelt(came: dict[tuple[int, Hashable], tuple[tuple[int, Hashable], str] | None], last: tuple[int, Hashable]) -> str:
    characters: list[str] = []
    step = came[last]
    while step is not None:
        characters.append(step[1])
        step = came[step[0]]
    return "".join(reversed(characters))


def reached(language: Language, machine: Machine) -> set[tuple[int, Hashable]]:
    """Give every pair of states, of the language and of the machine, that some beginning of a text leads to. Raises Undecided."""
    seen: set[tuple[int, Hashable]] = {(0, machine.start)}
    todo = [(0, machine.start)]
    while todo:
        state, beside = todo.pop()
        for pair in _following(language, machine, state, beside):
            if pair not in seen:
                seen.add(pair)
                todo.append(pair)
        if len(seen) > MAX_STEPS:
            raise Undecided
    return seen


def hopeful(language: Language, machine: Machine, pairs: Iterable[tuple[int, Hashable]]) -> set[tuple[int, Hashable]]:
    """Give those of the pairs from which a text can be ended so that both accept it."""
    back: dict[tuple[int, Hashable], list[tuple[int, Hashable]]] = {}
    todo: list[tuple[int, Hashable]] = []
    for state, beside in pairs:
        if state == language.end and machine.accepts(beside):
            todo.append((state, beside))
        for pair in _following(language, machine, state, beside):
            back.setdefault(pair, []).append((state, beside))
    seen = set(todo)
    while todo:
        for before in back.get(todo.pop(), ()):
            if before not in seen:
                seen.add(before)
                todo.append(before)
    return seen


def _following(language: Language, machine: Machine, state: int, beside: Hashable) -> Iterator[tuple[int, Hashable]]:
    for target in language.jumps[state]:
        yield target, beside
    for mask, target in language.edges[state]:
        for allowed, after in machine.moves(beside):
            if mask & allowed:
                yield target, after


class Determined:
    """A language as a machine: each state is a set of the language's states."""

    def __init__(self, language: Language, steps: Steps | None = None) -> None:
        self._language = language
        self._steps = steps
        self._known: dict[Hashable, Sequence[tuple[int, Hashable]]] = {}
        self.start: Hashable = self._closed([0])

    def moves(self, state: Hashable) -> Sequence[tuple[int, Hashable]]:
        """Where each character leads."""
        if state not in self._known:
            assert isinstance(state, frozenset)  # noqa: S101 - of `_closed`
            edges = [edge for each in state for edge in self._language.edges[each]]
            masks = _disjoint(mask for mask, _ in edges)
            if self._steps is not None:
                self._steps.take(len(edges) * len(masks))
            self._known[state] = [(mask, self._closed(to for own, to in edges if own & mask)) for mask in masks]
        return self._known[state]

    def accepts(self, state: Hashable) -> bool:
        """Whether a text may end here."""
        return isinstance(state, frozenset) and self._language.end in state

    def _closed(self, states: Iterable[int]) -> frozenset[int]:
        seen = set(states)
        todo = list(seen)
        while todo:
            for target in self._language.jumps[todo.pop()]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return frozenset(seen)


def _disjoint(masks: Iterable[int]) -> list[int]:
    pieces: list[int] = []
    for mask in masks:
        rest = mask
        split: list[int] = []
        for piece in pieces:
            split += filter(None, (piece & rest, piece & ~rest))
            rest &= ~piece
        pieces = split + ([rest] if rest else [])
    return pieces


@dataclass(frozen=True)
class Both:
    """What two machines accept."""

    one: Machine
    other: Machine

    @property
    def start(self) -> Hashable:
        """The state before the first character."""
        return self.one.start, self.other.start

    def moves(self, state: Any) -> Sequence[tuple[int, Hashable]]:
        """Where each character leads."""
        left, right = state
        return [
            (mask & other, (to, beside)) for mask, to in self.one.moves(left) for other, beside in self.other.moves(right) if mask & other
        ]

    def accepts(self, state: Any) -> bool:
        """Whether a text may end here."""
        left, right = state
        return self.one.accepts(left) and self.other.accepts(right)


class Without:
    """What a machine does not accept."""

    def __init__(self, machine: Machine, alphabet: Alphabet) -> None:
        self._machine = machine
        self._every = alphabet.every
        self.start: Hashable = machine.start

    def moves(self, state: Hashable) -> Sequence[tuple[int, Hashable]]:
        """Where each character leads; to None where the machine knows no way."""
        known = self._machine.moves(state) if state is not None else []
        rest = self._every
        for mask, _ in known:
            rest &= ~mask
        return [*known, *([(rest, None)] if rest else [])]

    def accepts(self, state: Hashable) -> bool:
        """Whether a text may end here."""
        return state is None or not self._machine.accepts(state)


# --- expressions ----------------------------------------------------------------------------------------------------------------------

_DIGITS: Final = "0123456789"
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_WORD: Final = _LOWER + _LOWER.upper() + _DIGITS + "_"
_CLASSES: Final = {"d": _DIGITS, "w": _WORD, "s": ""}
_POSIX: Final = {
    "alpha": _LOWER + _LOWER.upper(),
    "digit": _DIGITS,
    "alnum": _LOWER + _LOWER.upper() + _DIGITS,
    "lower": _LOWER,
    "upper": _LOWER.upper(),
    "word": _WORD,
    "xdigit": _DIGITS + "abcdefABCDEF",
    "space": "",
}
_HEX: Final = 16
_MOST_REPEATED: Final = 1_000


class _NotUnderstood(Exception):
    """The expression says something that is not read here."""


class _Expression:
    """Reads an RE2 expression that RE2 has accepted, and adds what it matches to a language."""

    def __init__(self, expression: str, language: Language, start: int) -> None:
        self._rest = expression
        self._at = 0
        self._language = language
        self._folds = False
        self._depth = 0
        self.end = self._choice(start)
        if self._at < len(self._rest):
            raise _NotUnderstood

    def _peek(self, ahead: int = 1) -> str:
        return self._rest[self._at : self._at + ahead]

    def _take(self, count: int = 1) -> str:
        taken = self._peek(count)
        self._at += count
        return taken

    def _choice(self, start: int) -> int:
        ends = [self._sequence(start)]
        while self._peek() == "|":
            self._take()
            ends.append(self._sequence(start))
        if len(ends) == 1:
            return ends[0]
        end = self._language.state()
        for each in ends:
            self._language.jumps[each].append(end)
        return end

    def _sequence(self, start: int) -> int:
        # A state of its own, so that no loop of what follows leads back into what stands before.
        here = self._language.state()
        self._language.jumps[start].append(here)
        first = True
        while self._at < len(self._rest) and self._peek() not in "|)":
            if self._peek() == "^" or self._peek(2) == r"\A":
                self._anchor(first)
                continue
            if self._peek() == "$" or self._peek(2) == r"\z":
                self._anchor(self._rest[self._at + len(self._peek() if self._peek() == "$" else "\\z") :][:1] in ("", "|"))
                continue
            here = self._repeated(here)
            first = False
        return here

    def _anchor(self, fits: bool) -> None:  # noqa: FBT001 - whether it stands where the whole text begins or ends anyway
        if self._depth or not fits:
            raise _NotUnderstood
        self._take(1 if self._peek() in "^$" else 2)

    def _repeated(self, start: int) -> int:
        before, folds = self._at, self._folds
        begin = len(self._language.edges)
        end = self._atom(start)
        while counts := self._counts():
            least, most = counts
            after = self._at
            del self._language.edges[begin:], self._language.jumps[begin:]
            self._language.edges[start] = [edge for edge in self._language.edges[start] if edge[1] < begin]
            self._language.jumps[start] = [state for state in self._language.jumps[start] if state < begin]
            end = self._copies(start, least, most, before, folds)
            if self._at != after:
                # What was repeated once cannot be read again as one piece: (a+){2} is written with a group, a+{2} RE2 refuses.
                self._at = after
        return end

    def _copies(self, start: int, least: int, most: int | None, atom: int, folds: bool) -> int:  # noqa: FBT001 - the state to go back to
        """Add an atom so many times."""

        def once(here: int) -> int:
            self._at, self._folds = atom, folds
            return self._atom(here)

        here = start
        for _ in range(least):
            here = once(here)
        if most is None:
            loop = self._language.state()
            self._language.jumps[here].append(loop)
            again = once(loop)
            self._language.jumps[again].append(loop)
            return loop
        end = self._language.state()
        self._language.jumps[here].append(end)
        for _ in range(most - least):
            here = once(here)
            self._language.jumps[here].append(end)
        return end

    def _counts(self) -> tuple[int, int | None] | None:
        """Read `*`, `+`, `?` or `{n,m}`, lazy or not; None if there is none."""
        sign = self._peek()
        if sign in ("*", "+", "?"):
            self._take()
            found: tuple[int, int | None] = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        else:
            inside, closed, _ = self._rest[self._at + 1 :].partition("}") if sign == "{" else ("", "", "")
            low, comma, high = inside.partition(",")
            if not closed or not low.isdecimal() or not (high.isdecimal() or not high):
                return None
            self._take(len(inside) + 2)
            found = (int(low), int(high) if high else None) if comma else (int(low), int(low))
            if max(found[0], found[1] or 0) > _MOST_REPEATED:
                raise _NotUnderstood
        if self._peek() == "?":
            self._take()
        return found

    def _atom(self, start: int) -> int:
        sign = self._take()
        alphabet = self._language.alphabet
        if sign in "*+?":
            raise _NotUnderstood
        if sign == "(":
            return self._group(start)
        if sign == "[":
            return self._language.characters(self._bracket(), start)
        if sign == ".":
            return self._language.characters(alphabet.every, start)
        if sign == "\\":
            return self._language.characters(self._escape(), start)
        return self._language.characters(self._folded(sign), start)

    def _folded(self, characters: str) -> int:
        both = characters.lower() + characters.upper() if self._folds else characters
        return self._language.alphabet.mask(both)

    def _group(self, start: int) -> int:
        folds = self._folds
        if self._peek() == "?":
            self._take()
            if self._peek() in ("P", "<"):
                _, closed, _ = self._rest[self._at :].partition(">")
                if not closed:
                    raise _NotUnderstood
                self._at = self._rest.index(">", self._at) + 1
            else:
                self._flags()
                if self._rest[self._at - 1] == ")":
                    return start
        self._depth += 1
        # A loop around the group must not lead into what stands before it.
        inner = self._language.state()
        self._language.jumps[start].append(inner)
        end = self._choice(inner)
        self._depth -= 1
        if self._take() != ")":
            raise _NotUnderstood
        self._folds = folds
        return end

    def _flags(self) -> None:
        on = True
        while (flag := self._take()) not in (":", ")"):
            if flag == "-":
                on = False
            elif flag == "i":
                self._folds = on
            elif flag not in "msU" or not flag:
                raise _NotUnderstood

    def _bracket(self) -> int:
        every = self._language.alphabet.every
        negated = self._peek() == "^"
        if negated:
            self._take()
        mask, first = 0, True
        while first or self._peek() != "]":
            if not self._peek():
                raise _NotUnderstood
            first = False
            if self._peek(2) == "[:":
                mask |= self._posix()
                continue
            low = self._take()
            if low == "\\":
                if self._peek() in ("d", "w", "s", "D", "W", "S", "p", "P"):
                    mask |= self._escape()
                    continue
                low = self._character()
            if self._peek() == "-" and self._peek(2) not in ("-]", "-"):
                self._take()
                high = self._take()
                if high == "\\":
                    high = self._character()
                mask |= self._folded("".join(one for one in self._language.alphabet.characters if low <= one <= high))
                if self._folds:
                    mask |= self._fold_range(low, high)
            else:
                mask |= self._folded(low)
        self._take()
        return every & ~mask if negated else mask

    def _fold_range(self, low: str, high: str) -> int:
        characters = self._language.alphabet.characters
        return self._language.alphabet.mask(one for one in characters if low <= one.lower() <= high or low <= one.upper() <= high)

    def _posix(self) -> int:
        name, closed, _ = self._rest[self._at + 2 :].partition(":]")
        negated = name.startswith("^")
        word = name.removeprefix("^")
        if not closed or word not in _POSIX:
            raise _NotUnderstood
        self._take(len(name) + 4)
        mask = self._folded(_POSIX[word])
        return self._language.alphabet.every & ~mask if negated else mask

    def _escape(self) -> int:
        sign = self._peek()
        if sign.lower() in _CLASSES and sign:
            self._take()
            mask = self._language.alphabet.mask(_CLASSES[sign.lower()])
            return mask if sign.islower() else self._language.alphabet.every & ~mask
        return self._folded(self._character())

    def _character(self) -> str:
        sign = self._take()
        if sign == "x":
            digits = self._take(2)
            try:
                return chr(int(digits, _HEX))
            except ValueError as error:
                raise _NotUnderstood from error
        if sign in ("n", "t", "r", "f", "v", "a"):
            return "\n"  # none of them stands in a name or a tag
        if not sign or sign.isalnum():
            raise _NotUnderstood
        return sign
