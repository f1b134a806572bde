"""`ecr-governor policy test`: whether a policy says what people expect of it."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from cli.policy import files
from cli.policy.cases import CASES, ReadCases
from cli.policy.cases import read as read_cases
from cli.policy.github import annotation
from cli.policy.trial import Tried, try_case
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.foreign_text import escaped, tidy
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.policy.yaml_text import PolicyInvalid
from ecr_governor.core.rules import RULES


@dataclass(frozen=True, slots=True)
class Result:
    """How one case came out, and where it stands."""

    file: Path
    line: int
    tried: Tried

    @property
    def name(self) -> str:
        """What the case tests."""
        return self.tried.case.case


@dataclass(frozen=True, slots=True)
class Report:
    """How all cases came out. `untested` is what no case speaks of, where that was asked for."""

    results: tuple[Result, ...]
    untested: tuple[str, ...]

    @property
    def failed(self) -> tuple[Result, ...]:
        """The cases that did not come out as expected."""
        return tuple(result for result in self.results if result.tried.failures)

    @property
    def summary(self) -> str:
        """Say it in one sentence."""
        count = len(self.results)
        words = [f"{count} {'case' if count == 1 else 'cases'}, {len(self.failed)} failed"]
        return ", ".join([*words, f"{len(self.untested)} untested"] if self.untested else words)


def run(paths: Sequence[Path], policy_path: Path | None, output: str, *, require_tests: bool) -> Exit:
    """Try every case of the files and print how they came out. Exit code 1 if one failed, or something has no case that must have one."""
    check_output(output, *OUTPUTS)
    results: list[Result] = []
    seen: dict[Path, tuple[Policy, list[Result]]] = {}
    for path in paths:
        read, policy_file = _cases(path, policy_path)
        policy, of_policy = seen.setdefault(policy_file.resolve(), (files.read(policy_file), []))
        of_policy += _tried(read, policy)
    results = [result for _, tried in seen.values() for result in tried]
    several = len(seen) > 1
    untested = [
        f"{words}, by {file.name}" if several else words
        for file, (policy, tried) in (seen if require_tests else {}).items()
        for words in _untested(policy, tried)
    ]
    report = Report(tuple(results), tuple(untested))
    sys.stdout.write(OUTPUTS[output](report))
    if output not in {"text", "markdown"}:
        sys.stderr.write(f"{report.summary}\n")
    return Exit.VIOLATIONS if report.failed or report.untested else Exit.CLEAN


def _cases(path: Path, policy_path: Path | None) -> tuple[ReadCases, Path]:
    try:
        read = read_cases(path)
    except PolicyInvalid as invalid:
        do = "mend these lines; docs/policy-as-code.md says how cases are written"
        raise Trouble(f"{path} is no valid {CASES.noun}", files.problems_in(invalid), do) from invalid
    if policy_path is not None:
        return read, policy_path
    if read.content.policy is None:
        raise Trouble(f"{path} names no policy file", "it is not known what is to be tested", "write policy: policy.yaml, or give --policy")
    return read, path.parent / read.content.policy


def _tried(read: ReadCases, policy: Policy) -> Iterator[Result]:
    content = read.content
    for index, case in enumerate(content.cases):
        yield Result(read.path, read.line_of(index), try_case(case, policy, case.now or content.now, content.account))


def _untested(policy: Policy, results: Sequence[Result]) -> Iterator[str]:
    """Name the rules that are on, the namespaces, and the retirements of namespaces, of which no case speaks."""
    spoken_of = {rule for result in results for rule in result.tried.case.expect.rules}
    namespaces = {result.tried.namespace for result in results}
    retired = {result.tried.namespace for result in results if result.tried.case.expect.retirement is not None}
    for rule in RULES.values():
        if rule.id not in spoken_of and _asks(policy, rule.id):
            yield f"the rule {rule.id} has no case"
    for prefix, settings in policy.namespaces.items():
        if prefix not in namespaces:
            yield f"the namespace {prefix} has no case"
        if settings.retirement is not None and prefix not in retired:
            yield f"the retirement of {prefix} has no case"


def _asks(policy: Policy, rule: str) -> bool:
    """Whether the rule is on and asks for something in one and the same namespace."""
    names = ("any", *(f"{prefix}/any" for prefix in policy.namespaces if prefix != ROOT))
    expected = (policy.expectation_for(name) for name in names)
    return any(policy.mode_of(rule, each.namespace) is not Mode.OFF and RULES[rule].applies(each) for each in expected)


# --- outputs --------------------------------------------------------------------------------------------------------------------------


def _text(report: Report) -> str:
    lines: list[str] = []
    for result in report.results:
        failures = result.tried.failures
        lines.append(f"{'FAILED' if failures else 'passed'}  {tidy(str(result.file))}:{result.line}  {tidy(result.name)}")
        lines += (f"        {tidy(failure)}" for failure in failures)
    lines += (f"untested  {tidy(words)}" for words in report.untested)
    return "".join(f"{line}\n" for line in (*lines, report.summary))


def _json(report: Report) -> str:
    cases = [
        {
            "file": str(result.file),
            "line": result.line,
            "case": result.name,
            "repository": result.tried.case.repository,
            "namespace": result.tried.namespace,
            "passed": not result.tried.failures,
            "failures": list(result.tried.failures),
        }
        for result in report.results
    ]
    whole = {"cases": len(cases), "failed": len(report.failed), "untested": list(report.untested), "results": cases}
    return json.dumps(whole, indent=2) + "\n"


def _junit(report: Report) -> str:
    """JUnit's XML, as continuous integration reads it: a suite for each file, and one for what has no case."""
    suites: dict[str, list[str]] = {}
    failed: dict[str, int] = {}
    for result in report.results:
        suite = str(result.file)
        failed[suite] = failed.get(suite, 0) + bool(result.tried.failures)
        suites.setdefault(suite, []).append(_testcase(result.name, suite, result.line, result.tried.failures))
    for words in report.untested:
        failed["untested"] = failed.get("untested", 0) + 1
        suites.setdefault("untested", []).append(_testcase(words, "untested", 1, ("write a case that speaks of it",)))
    count = sum(map(len, suites.values()))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites tests="{count}" failures="{sum(failed.values())}">']
    for suite, cases in suites.items():
        lines.append(f'<testsuite name={quoteattr(tidy(suite))} tests="{len(cases)}" failures="{failed[suite]}">')
        lines += [*cases, "</testsuite>"]
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _testcase(name: str, suite: str, line: int, failures: Sequence[str]) -> str:
    head = f"<testcase name={quoteattr(tidy(name))} classname={quoteattr(tidy(suite))} file={quoteattr(tidy(suite))}"
    head += f' line="{line}"'
    if not failures:
        return f"{head}/>"
    whole = "\n".join(tidy(failure) for failure in failures)
    return f"{head}><failure message={quoteattr(tidy(failures[0]))}>{escape(whole)}</failure></testcase>"


def _markdown(report: Report) -> str:
    lines = [f"**Policy test: {report.summary}**", ""]
    if report.failed:
        lines += ["| Case | Repository | Not as expected |", "| --- | --- | --- |"]
    for result in report.failed:
        failures = "<br>".join(escaped(failure) for failure in result.tried.failures)
        where = f"{escaped(str(result.file))}:{result.line}"
        lines.append(f"| {escaped(result.name)} ({where}) | {escaped(result.tried.case.repository)} | {failures} |")
    if report.untested:
        lines += ["", *(f"- {escaped(words)}" for words in report.untested)]
    return "\n".join(lines).rstrip() + "\n"


def _github(report: Report) -> str:
    marks = [
        annotation(
            "error",
            "\n".join(result.tried.failures),
            file=files.in_source_tree(result.file),
            line=result.line,
            title=result.name,
        )
        for result in report.failed
    ]
    return "".join([*marks, *(annotation("error", words, title="untested") for words in report.untested)])


OUTPUTS: Mapping[str, Callable[[Report], str]] = {
    "text": _text,
    "json": _json,
    "junit": _junit,
    "markdown": _markdown,
    "github": _github,
}
