"""Run a module's tests against each of its mutants, each in a process of its own that is forked as late as can be.

A mutant within a function that no test calls before it runs comes to be when all tests are collected: only the function's code is
exchanged. Any other one comes to be before anything is imported that depends on the module.
"""

import ast
import contextlib
import gc
import importlib
import importlib.abc
import importlib.util
import inspect
import json
import math
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Final

import pytest
from hypothesis import Phase, settings

from tests.mutation.mutants import Mutant

SECONDS, TIMES = 5, 5
"""Seconds of one core that the tests may take on a mutant, and so many times what they take without: what takes longer hangs."""
BYTES: Final = 4 << 30
"""Memory that it may take: one that only grows must not take the machine's."""
NOWHERE: Final = Path(os.devnull)
_NOTICED: Final = frozenset({int(pytest.ExitCode.TESTS_FAILED), int(pytest.ExitCode.INTERRUPTED)})
_ARGUMENTS: Final = (
    "-x",
    "-s",
    "-q",
    "--tb=no",
    "--assert=plain",
    "--no-header",
    "-p",
    "no:randomly",
    "-p",
    "no:xdist",
    "-p",
    "no:cacheprovider",
)


class Untestable(Exception):
    """The tests cannot tell anything: they fail without any change, or could not be run."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A module by its name and file, and the files of its tests."""

    name: str
    file: Path
    tests: Sequence[str]

    @property
    def tree(self) -> ast.Module:
        """The module's source."""
        return ast.parse(self.file.read_text())


def survivors_of(
    subject: Subject, mutants: Sequence[Mutant], at_once: int, say: Callable[[int], None] = lambda _: None
) -> Sequence[Mutant]:
    """Give the mutants that no test notices, in their order. `say` is told how many were tried.

    Raises Untestable if the tests fail on the module as it is, or end in a way that says nothing. To be called once in a process: imports
    and Hypothesis's settings are changed for good.
    """
    finder = _Finder(subject.name, subject.file)
    sys.meta_path.insert(0, finder)
    # That a test fails is enough: nobody wants the smallest example of it.
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None)
    settings.load_profile("mutants")
    baseline = _baseline(subject, finder)
    _warm(baseline.loaded)
    gc.freeze()
    trials = _Trials(subject, finder, mutants, at_once, baseline, say)
    here = os.getpid()
    with contextlib.redirect_stdout(NOWHERE.open("w")):
        code = pytest.main([*_ARGUMENTS, *subject.tests], plugins=[trials, _QuickOnesFirst()])
    if os.getpid() != here:
        os._exit(code)
    return trials.alive()


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, and gives it the code that it bears at the time; without any, the module cannot be imported."""

    def __init__(self, name: str, file: Path) -> None:
        self.name, self.file = name, file
        self.code: CodeType | None = None

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(fullname, self.file, loader=self) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        if self.code is None:
            raise ImportError(f"{self.name} is to be imported by the tests only")
        exec(self.code, module.__dict__)  # noqa: S102 - this is what a loader does


def _compiled(tree: ast.Module, file: Path) -> CodeType:
    with warnings.catch_warnings():
        # Such as `is ""`, which nobody wrote.
        warnings.simplefilter("ignore", SyntaxWarning)
        return compile(tree, str(file), "exec", dont_inherit=True)


@dataclass(frozen=True, slots=True)
class _Baseline:
    """What the tests do with the module as it is: the modules that they load and the functions that they call before any of them runs, both
    by name, and the seconds that they may take with a change.
    """

    loaded: Sequence[str]
    called: Sequence[str]
    limit: int


def _baseline(subject: Subject, finder: _Finder) -> _Baseline:
    with tempfile.TemporaryDirectory() as folder:
        said, told = Path(folder) / "said", Path(folder) / "told"
        if (child := os.fork()) == 0:
            _say_to(said)
            finder.code = _compiled(subject.tree, subject.file)
            calls = _Calls(str(subject.file))
            code = pytest.main([*_ARGUMENTS, *subject.tests], plugins=[calls])
            limit = SECONDS + math.ceil(TIMES * time.process_time())
            told.write_text(json.dumps({"loaded": list(sys.modules), "called": sorted(calls.seen), "limit": limit}))
            sys.stdout.flush()
            os._exit(code)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != pytest.ExitCode.OK:
            raise Untestable(f"the tests fail on {subject.name} as it is\n{said.read_text()}")
        return _Baseline(**json.loads(told.read_text()))


def _warm(names: Iterable[str]) -> None:
    """Import what each mutant's tests would import, but for what depends on the module itself, and for the tests, which pytest imports."""
    for name in names:
        if not name.startswith(("tests.unit.", "tests.conftest", "__main__", "conftest", "test_")):
            # What cannot be imported depends on the module, or was made by another one.
            with contextlib.suppress(ImportError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(name)


@dataclass
class _Calls:
    """A plugin of pytest: notes which functions of a file are called while tests are collected."""

    file: str
    seen: set[str] = field(default_factory=set)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        sys.setprofile(self._note)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename == self.file:
            self.seen.add(frame.f_code.co_qualname.partition(".<locals>")[0])


@dataclass
class _Trials:
    """A plugin of pytest: forks for each mutant. In the child all goes on as usual, in the parent no test is ever run."""

    subject: Subject
    finder: _Finder
    mutants: Sequence[Mutant]
    at_once: int
    baseline: _Baseline
    say: Callable[[int], None]
    in_child: bool = False
    running: dict[int, Mutant] = field(default_factory=dict)
    ended: dict[Mutant, int] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        self._fork([each for each in self.mutants if not self._is_late(each)], self._import)
        if not self.in_child:
            self.finder.code = _compiled(self.subject.tree, self.subject.file)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool | None:
        if not self.in_child:
            gc.freeze()
            self._fork([each for each in self.mutants if self._is_late(each)], self._exchange)
        return None if self.in_child else True

    def alive(self) -> Sequence[Mutant]:
        """Give the mutants that no test has noticed."""
        for mutant, code in self.ended.items():
            if code > 0 and code not in _NOTICED:
                raise Untestable(f"pytest ended with {code} on {mutant.identity}")
        return [mutant for mutant in self.mutants if self.ended[mutant] == pytest.ExitCode.OK]

    def _is_late(self, mutant: Mutant) -> bool:
        return mutant.body_of not in {"", *self.baseline.called}

    def _fork(self, mutants: Iterable[Mutant], bear: Callable[[Mutant, CodeType], None]) -> None:
        tree = self.subject.tree
        for mutant in mutants:
            code = _compiled(mutant.of(tree), self.subject.file)
            if (child := os.fork()) == 0:
                self.in_child = True
                _say_to(NOWHERE)
                gc.disable()
                resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
                resource.setrlimit(resource.RLIMIT_CPU, (self.baseline.limit, resource.RLIM_INFINITY))
                bear(mutant, code)
                return
            self.running[child] = mutant
            if len(self.running) == self.at_once:
                self._wait()
        while self.running:
            self._wait()

    def _exchange(self, mutant: Mutant, code: CodeType) -> None:
        found: Any = sys.modules[self.subject.name]
        for name in mutant.body_of.split("."):
            found = inspect.getattr_static(found, name)
        function = found.fget if isinstance(found, property) else found
        function.__code__ = next(each for each in _within(code) if each.co_qualname == mutant.body_of)

    def _import(self, _: Mutant, code: CodeType) -> None:
        self.finder.code = code

    def _wait(self) -> None:
        child, status = os.wait()
        self.ended[self.running.pop(child)] = os.waitstatus_to_exitcode(status)
        self.say(len(self.ended))


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _within(each)


def _say_to(path: Path) -> None:
    with path.open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)


class _QuickOnesFirst:
    """Most mutants fail at the first look: tests that try many examples come last."""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items.sort(key=lambda item: hasattr(item.obj, "hypothesis"))
