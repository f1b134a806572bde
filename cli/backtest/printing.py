"""A backtest's result for people, as a table or Markdown, and for programs."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Final

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.backtest.playing import Fate, Regret
from cli.backtest.result import TAKING, Result, StageSum, as_data, plays_nothing, why_of
from cli.policy.rehearsal import Step
from ecr_governor.core.foreign_text import escaped, tidy
from ecr_governor.core.retirement.state import Stage

SHOWN: Final = 20
"""Of one kind people are shown so many; programs get all."""
WIDTH: Final = 80
"""Columns where there is no terminal."""
_STEPS: Final = {
    Stage.OBSERVED: "given back",
    Stage.MARKED: "marked",
    Stage.QUARANTINED: "in quarantine",
    Stage.ARCHIVED: "archived",
    Stage.DELETED: "deleted",
}


def _repositories(count: int) -> str:
    return f"{count:,} repositor{'y' if count == 1 else 'ies'}"


def headline(result: Result) -> str:
    """Say in one sentence what came of it."""
    reached, regret = result.stages, result.regret
    deleted = reached.get(Stage.DELETED, StageSum())
    findings = sum(found.opened for found in result.rules.values())
    words = [f"{findings:,} findings", f"{result.changes.total():,} changes", f"{reached.get(Stage.MARKED, StageSum()).reached:,} marked"]
    words.append(f"{regret.reached:,} taken into quarantine{_of_them(regret)}")
    if deleted.reached:
        words.append(f"{deleted.reached:,} deleted{_of_them(deleted)}")
    return f"{_repositories(result.repositories)}: {', '.join(words)}"


def _of_them(found: StageSum) -> str:
    return f" ({found.regretted:,} regretted)" if found.reached else ""


def _rate(found: StageSum) -> str:
    return "" if found.rate is None else f"{found.rate:.1%}"


def _scope(result: Result) -> str:
    knowledge = result.knowledge
    return (
        f"{result.of_ecr:,} records of ECR among {result.records:,}, of {result.place[0]} in {result.place[1]}, "
        f"{knowledge.begin:%Y-%m-%d} to {knowledge.end:%Y-%m-%d}"
    )


# --- what is told ---------------------------------------------------------------------------------------------------------------------


def _rule_rows(result: Result) -> list[tuple[str, ...]]:
    return [
        (rule, f"{found.opened:,}", f"{found.repositories:,}", f"{found.open_now:,}", f"{found.exempt:,}", f"{found.undetermined:,}")
        for rule, found in sorted(result.rules.items())
    ]


_RULE_HEAD: Final = ("Rule", "Findings", "Repositories", "Still open", "Exempt", "Not known")


def _stage_rows(result: Result) -> list[tuple[str, ...]]:
    return [
        (
            _STEPS[stage],
            f"{found.reached:,}",
            *((f"{found.regretted:,}", _rate(found), f"{found.unknown:,}") if stage in TAKING else ("", "", "")),
        )
        for stage, found in sorted(result.stages.items(), key=lambda item: item[0].rank)
    ]


_STAGE_HEAD: Final = ("Stage", "Reached", "Regretted", "Regret rate", "Not known")


def _regret_words(fate: Fate, regret: Regret) -> tuple[str, str]:
    by = f" by {tidy(regret.by)}" if regret.by else ""
    return fate.name, f"{_STEPS[regret.stage]} since {regret.since:%Y-%m-%d}, {regret.what}{by} on {regret.at:%Y-%m-%d %H:%M}"


def _retired_words(fate: Fate) -> tuple[str, list[str]]:
    owner = f" ({tidy(fate.owner)})" if fate.owner else ""
    return f"{fate.name}{owner}", [f"{each.at:%Y-%m-%d}  {_STEPS[each.to]}{_because(each, fate)}" for each in fate.steps]


def _because(taken: Step, fate: Fate) -> str:
    # What it was marked for holds for every step after it.
    why = why_of(taken, fate.regrets) if taken.to in {Stage.MARKED, Stage.OBSERVED} else ""
    return f": {tidy(why)}" if why else ""


def _gap_words(result: Result) -> list[str]:
    return [f"{tidy(gap.where)}: {tidy(gap.why)}" for gap in result.knowledge.gaps]


def _told_rows(result: Result) -> list[tuple[str, ...]]:
    listed = sorted(result.told.items(), key=lambda item: (-item[1][1], item[0]))
    return [(tidy(owner), channel, f"{repositories:,}", f"{messages:,}") for (owner, channel), (repositories, messages) in listed]


_TOLD_HEAD: Final = ("Owner", "Channel", "Repositories", "Messages")


def _change_rows(result: Result) -> list[tuple[str, ...]]:
    return [(action, f"{count:,}") for action, count in sorted(result.changes.items())]


_CHANGE_HEAD: Final = ("Put right by", "Times")


def _unknown_words(result: Result) -> list[tuple[str, str]]:
    """How far a retirement would be, nobody can tell: by reason, with the number of repositories."""
    reasons: dict[str, list[Fate]] = {}
    for fate in result.unknown:
        reasons.setdefault(fate.unknown, []).append(fate)
    listed = sorted(reasons.items(), key=lambda item: -len(item[1]))
    return [(tidy(why), f"{_repositories(len(fates))}, such as {fates[0].name}") for why, fates in listed]


def _not_known(result: Result) -> list[tuple[str, str, int]]:
    """What a rule could not decide: the reason that is the most frequent, and the number of repositories with any."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for fate in result.fates:
        for rule, why in fate.undetermined.items():
            counted[rule][why] += 1
    listed = sorted(counted.items(), key=lambda item: (-item[1].total(), item[0]))
    return [(rule, f"{tidy(min(why, key=lambda one: (-why[one], one)))}{_others(len(why) - 1)}", why.total()) for rule, why in listed]


def _others(count: int) -> str:
    return f"; and {count:,} other {'reason' if count == 1 else 'reasons'}" if count else ""


def _caps(result: Result) -> list[str]:
    return [f"{held.at:%Y-%m-%d}  {held.steps:,} {'step' if held.steps == 1 else 'steps'}: {'; '.join(held.over)}" for held in result.held]


# --- outputs --------------------------------------------------------------------------------------------------------------------------


def _table(result: Result, console: Console) -> None:
    console.print(Text(f"policy {result.policy.hash}: {headline(result)}", style="bold"))
    console.print(Text(_scope(result)))
    if note := plays_nothing(result.policy):
        console.print(Text(note, style="yellow"))
    for title, head, rows in (
        ("Found", _RULE_HEAD, _rule_rows(result)),
        ("Changed", _CHANGE_HEAD, _change_rows(result)),
        ("Retired", _STAGE_HEAD, _stage_rows(result)),
    ):
        _print_rows(console, title, head, rows)
    _print_lines(console, "Regretted", [f"{name}\n  {words}" for name, words in (_regret_words(*each) for each in result.regrets)])
    retired = [_retired_words(fate) for fate in result.retired]
    _print_lines(console, "How they were retired", ["\n  ".join([name, *steps]) for name, steps in retired])
    _print_lines(console, "Nights on which a person would have been asked first, for a cap", _caps(result))
    _print_rows(console, "Who would have been told", _TOLD_HEAD, _told_rows(result)[:SHOWN])
    _print_lines(console, "Retirements of which nobody can tell", [f"{count}\n  {why}" for why, count in _unknown_words(result)])
    _print_lines(
        console, "Rules that could not decide", [f"{rule}, {_repositories(count)}\n  {why}" for rule, why, count in _not_known(result)]
    )
    _print_lines(console, "Left out", [f"{count:,} records of {place}" for place, count in sorted(result.left_out.items())])
    _print_lines(console, "Gaps in the records", _gap_words(result))


def _print_rows(console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    first = 2 if head is _TOLD_HEAD else 1
    # A channel that no row names is no column.
    shown = [index for index in range(len(head)) if index == 0 or any(row[index] for row in rows)]
    for index in shown:
        table.add_column(
            head[index], justify="left" if index < first else "right", overflow="fold", no_wrap=index == 0 and head is not _TOLD_HEAD
        )
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))
    console.print()
    console.print(Text(title, style="bold"))
    console.print(table)


def _print_lines(console: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print()
    console.print(Text(title, style="bold"))
    for line in lines[:SHOWN]:
        first, *rest = line.split("\n")
        console.print(Padding(Text(first), (0, 0, 0, 2)))
        for each in rest:
            console.print(Padding(Text(each.strip()), (0, 0, 0, 4)))
    if len(lines) > SHOWN:
        console.print(Text(f"  and {len(lines) - SHOWN:,} more"))


def text(result: Result) -> str:
    """Give the tables as text, where they go to no terminal."""
    stream = StringIO()
    _table(result, Console(file=stream, width=WIDTH, highlight=False, soft_wrap=False, no_color=True))
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def show(result: Result, console: Console) -> None:
    """Print the tables on a terminal."""
    _table(result, console)


def _markdown(result: Result) -> str:
    lines = [f"### Backtest of policy `{result.policy.hash}`", "", f"{escaped(headline(result))}.", "", f"{escaped(_scope(result))}."]
    if note := plays_nothing(result.policy):
        lines += ["", f"**{escaped(note)}**"]
    for head, rows in ((_RULE_HEAD, _rule_rows(result)), (_CHANGE_HEAD, _change_rows(result)), (_STAGE_HEAD, _stage_rows(result))):
        lines += _markdown_table(head, rows)
    regretted = [f"**{escaped(name)}**: {escaped(words)}" for name, words in (_regret_words(*each) for each in result.regrets)]
    lines += _folded("Regretted", regretted)
    lines += _folded(
        "How they were retired",
        [f"**{escaped(name)}**: {'; '.join(map(escaped, steps))}" for name, steps in map(_retired_words, result.retired)],
    )
    lines += _folded("Nights over a cap", [escaped(each) for each in _caps(result)])
    if told := _told_rows(result):
        lines += ["", f"<details><summary>Who would have been told: {len(told):,}</summary>"]
        lines += [*_markdown_table(_TOLD_HEAD, told[:SHOWN]), "", "</details>"]
    lines += _folded("Retirements of which nobody can tell", [f"{escaped(count)}: {escaped(why)}" for why, count in _unknown_words(result)])
    not_known = [f"{rule}, {_repositories(count)}: {escaped(why)}" for rule, why, count in _not_known(result)]
    lines += _folded("Rules that could not decide", not_known)
    lines += _folded("Left out", [f"{count:,} records of {escaped(place)}" for place, count in sorted(result.left_out.items())])
    lines += _folded("Gaps in the records", [escaped(each) for each in _gap_words(result)])
    return "\n".join(lines) + "\n"


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    yield from (f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows)


def _folded(title: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield from ("", f"<details><summary>{title}: {len(lines):,}</summary>", "")
    yield from (f"- {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"- and {len(lines) - SHOWN:,} more"
    yield from ("", "</details>")


def _json(result: Result) -> str:
    return json.dumps(as_data(result), indent=2, ensure_ascii=False) + "\n"


OUTPUTS: Final[Mapping[str, Callable[[Result], str]]] = {"table": text, "json": _json, "markdown": _markdown}
