"""`ecr-governor policy diff`: what a change of the policy would do to a registry, before it is made."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cli.policy import files, inventory
from cli.policy.comparison import Changed, Comparison, compare
from cli.policy.routing import Where, as_data, in_words
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.core.foreign_text import escaped, tidy
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.policy.notifications import Place

EXAMPLES: Final = 3
SHOWN: Final = 50
"""Repositories of one kind that people are shown; programs get all."""


@dataclass(frozen=True, slots=True)
class Diff:
    """Two policies and what the one would change that the other does not."""

    old: Policy
    new: Policy
    comparison: Comparison
    max_new: int | None

    @property
    def over(self) -> bool:
        """Whether more repositories would be violating than may be."""
        return self.max_new is not None and len(self.comparison.violating) > self.max_new

    @property
    def unsure(self) -> bool:
        """Whether it is not known how many would be, and that matters."""
        return self.max_new is not None and not self.over and self.comparison.unknown > 0


def run(old: Path, new: Path, against: Path, output: str, max_new: int | None, on: datetime | None) -> Exit:
    """Compare two policies by an inventory and print what changes. Exit code 1 if more than `max_new` repositories become violating."""
    check_output(output, *OUTPUTS)
    if max_new is not None and max_new < 0:
        raise Trouble("--max-new counts repositories", f"{max_new} is below 0", "--max-new 0")
    now = on.replace(tzinfo=UTC) if on else datetime.now(UTC)
    before, after = files.read(old), files.read(new)
    diff = Diff(before, after, compare(inventory.read(against), before, after, now), max_new)
    sys.stdout.write(OUTPUTS[output](diff))
    missing = inventory.gap(against)
    if missing:
        sys.stderr.write(f"{against} may lack repositories: {missing}\n")
    if diff.over:
        sys.stderr.write(f"{len(diff.comparison.violating)} repositories would be newly violating, --max-new is {max_new}\n")
        return Exit.VIOLATIONS
    if diff.unsure:
        sys.stderr.write(
            f"of {diff.comparison.unknown} repositories the inventory does not say enough: make it with ecr-governor audit "
            f"--policy {new} --facts --output jsonl\n"
        )
        return Exit.INCOMPLETE
    # A limit cannot rest on what may be a part.
    return Exit.INCOMPLETE if missing and max_new is not None else Exit.CLEAN


# --- words ----------------------------------------------------------------------------------------------------------------------------


def _summary(diff: Diff) -> list[str]:
    found = diff.comparison
    elsewhere = sum(map(len, found.routed.values()))
    if not (found.changed or elsewhere or found.unrouted):
        return [f"nothing changes for {_repositories(found.repositories)}"]
    counts = [
        (len(found.violating), "would be newly violating"),
        (len(found.freed), "would be freed of a finding"),
        (len(found.put_right), "would be put right"),
        (len(found.retiring), "would begin to be retired"),
        (sum(each.spared is not None for each in found.changed), "would no longer be retired"),
        (found.unknown, "cannot be told, for lack of facts"),
        (elsewhere, "would have their messages elsewhere"),
    ]
    said = [f"{count:,} {words}" for count, words in counts if count]
    if not said:
        return [f"nothing changes for {_repositories(found.repositories)}, as far as their messages can be followed"]
    return [f"of {_repositories(found.repositories)}, {', '.join(said)}"]


def _repositories(count: int) -> str:
    return f"{count:,} repositor{'y' if count == 1 else 'ies'}"


def _sections(diff: Diff) -> Iterator[tuple[str, list[tuple[Changed, list[str]]]]]:
    """Give what is to be shown: title, and repositories each with the lines about it."""
    found = diff.comparison
    yield "Newly violating", [(each, _reasons(each.opens, each)) for each in found.violating]
    yield "Freed", [(each, _reasons(each.closes, None)) for each in found.freed]
    yield "Put right", [(each, list(each.remedies)) for each in found.put_right]
    yield "Begin to be retired", [(each, [f"up to {each.retires.value}"]) for each in found.retiring if each.retires]
    yield "No longer retired", [(each, [f"was to go up to {each.spared.value}"]) for each in found.changed if each.spared]
    yield "Not known", [(each, [", ".join(sorted(each.unknown))]) for each in found.changed if each.unknown]


def _reasons(reasons: Mapping[str, str], changed: Changed | None) -> list[str]:
    return [f"{f'{changed.severities[rule].value}, ' if changed else ''}{rule}: {reason}" for rule, reason in sorted(reasons.items())]


def _place(changed: Changed, several: bool) -> str:
    return f"{changed.name} ({changed.account}, {changed.region})" if several else changed.name


def _several(changed: Sequence[Changed]) -> bool:
    return len({(each.account, each.region) for each in changed}) > 1


def _rules(changed: Sequence[Changed]) -> list[tuple[str, int, int]]:
    opens = Counter(rule for each in changed for rule in each.opens)
    closes = Counter(rule for each in changed for rule in each.closes)
    return [(rule, opens[rule], closes[rule]) for rule in sorted(opens | closes)]


def _told(diff: Diff) -> list[tuple[str, int, str]]:
    """Give who would be told: owner, number of repositories, and where, if a policy says so."""
    rows = [(owner, count, _where_told(was, goes)) for (owner, was, goes), count in diff.comparison.told.items()]
    return sorted(rows, key=lambda row: (-row[1], row))


def _where_told(was: Where, goes: Where) -> str:
    if was == goes:
        return "" if goes == Place() else f"in {in_words(goes)}" if isinstance(goes, Place) else f"where is {goes}"
    now = f"in {in_words(goes)}" if isinstance(goes, Place) else f"where is {goes}"
    return f"{now}; by the old policy {'in ' if isinstance(was, Place) else ''}{in_words(was)}"


def _elsewhere(diff: Diff) -> list[str]:
    """Give which messages go elsewhere from now on, as lines of text."""
    listed = sorted(diff.comparison.routed.items(), key=lambda item: (-len(item[1]), in_words(item[0][0]), in_words(item[0][1])))
    lines = [
        f"{in_words(was)} → {in_words(goes)}: {_repositories(len(names))}, for example {', '.join(names[:EXAMPLES])}"
        for (was, goes), names in listed
    ]
    if diff.comparison.unrouted:
        why = "no inventory tells who pushed, and one without --facts no tags"
        lines.append(f"not known for {_repositories(diff.comparison.unrouted)}: {why}")
    return lines


def _text(diff: Diff) -> str:
    several = _several(diff.comparison.changed)
    lines = [f"policy {diff.old.hash} → {diff.new.hash}: {_summary(diff)[0]}"]
    for title, listed in _sections(diff):
        if not listed:
            continue
        lines += ["", title]
        for changed, words in listed[:SHOWN]:
            lines.append(f"  {_place(changed, several)}  ({tidy(changed.owner)})")
            lines += (f"    {tidy(each)}" for each in words)
        lines += [f"  and {len(listed) - SHOWN:,} more"] if len(listed) > SHOWN else []
    if told := _told(diff):
        lines += ["", "Owners who would be told"]
        lines += (f"  {tidy(owner)}: {_repositories(count)}{f', {at}' if at else ''}" for owner, count, at in told[:SHOWN])
        lines += [f"  and {len(told) - SHOWN:,} more"] if len(told) > SHOWN else []
    if elsewhere := _elsewhere(diff):
        lines += ["", "Messages that would go elsewhere", *(f"  {tidy(line)}" for line in elsewhere[:SHOWN])]
        lines += [f"  and {len(elsewhere) - SHOWN:,} more"] if len(elsewhere) > SHOWN else []
    return "".join(f"{line}\n" for line in lines)


def _markdown(diff: Diff) -> str:
    several = _several(diff.comparison.changed)
    verdict = ""
    if diff.max_new is not None:
        over, unsure = f"More than the {diff.max_new} that may be", "More facts are needed to tell whether that is within the limit"
        verdict = f" **{over if diff.over else unsure if diff.unsure else f'Within the limit of {diff.max_new}'}.**"
    lines = [f"### Policy change `{diff.old.hash}` → `{diff.new.hash}`", "", f"{_summary(diff)[0].capitalize()}.{verdict}"]
    if rules := _rules(diff.comparison.changed):
        lines += ["", "| Rule | New findings | Findings gone |", "| --- | ---: | ---: |"]
        lines += (f"| {rule} | {opens:,} | {closes:,} |" for rule, opens, closes in rules)
    for title, listed in _sections(diff):
        if not listed:
            continue
        lines += ["", f"<details><summary>{title}: {len(listed):,}</summary>", ""]
        for changed, words in listed[:SHOWN]:
            lines.append(f"- **{escaped(_place(changed, several))}** ({escaped(changed.owner)}): {'; '.join(map(escaped, words))}")
        lines += [f"- and {len(listed) - SHOWN:,} more"] if len(listed) > SHOWN else []
        lines += ["", "</details>"]
    if told := _told(diff):
        each = [f"{escaped(owner)} ({count:,}{f', {escaped(at)}' if at else ''})" for owner, count, at in told[:SHOWN]]
        lines += ["", f"**Owners who would be told:** {', '.join(each)}"]
    if elsewhere := _elsewhere(diff):
        lines += ["", "**Messages that would go elsewhere:**", "", *(f"- {escaped(line)}" for line in elsewhere[:SHOWN])]
        lines += [f"- and {len(elsewhere) - SHOWN:,} more"] if len(elsewhere) > SHOWN else []
    return "\n".join(lines) + "\n"


def _json(diff: Diff) -> str:
    found = diff.comparison
    value = {
        "old": diff.old.hash,
        "new": diff.new.hash,
        "repositories": found.repositories,
        "newly_violating": len(found.violating),
        "freed": len(found.freed),
        "put_right": len(found.put_right),
        "begin_to_retire": len(found.retiring),
        "unknown": found.unknown,
        "over": diff.over,
        "messages": dict(sorted(found.messages.items(), key=lambda item: (-item[1], item[0]))),
        "told": [
            {"owner": owner, "repositories": count, "old": as_data(was), "new": as_data(goes)}
            for (owner, was, goes), count in sorted(found.told.items(), key=lambda item: (-item[1], item[0][0], in_words(item[0][2])))
        ],
        "messages_elsewhere": [
            {"old": as_data(was), "new": as_data(goes), "repositories": names} for (was, goes), names in found.routed.items()
        ],
        "messages_unknown": found.unrouted,
        "changed": [_as_data(each) for each in found.changed],
    }
    return json.dumps(value, indent=2) + "\n"


def _as_data(changed: Changed) -> dict[str, Any]:
    return {
        "name": changed.name,
        "account": changed.account,
        "region": changed.region,
        "owner": changed.owner,
        "opens": [
            {"rule": rule, "severity": changed.severities[rule].value, "reason": reason} for rule, reason in sorted(changed.opens.items())
        ],
        "closes": [{"rule": rule, "reason": reason} for rule, reason in sorted(changed.closes.items())],
        "unknown": sorted(changed.unknown),
        "remedies": list(changed.remedies),
        "retires": changed.retires.value if changed.retires else None,
        "no_longer_retires": changed.spared.value if changed.spared else None,
        "told": changed.told is not None,
        "told_in": as_data(changed.told) if changed.told is not None else None,
    }


OUTPUTS: Mapping[str, Callable[[Diff], str]] = {"text": _text, "json": _json, "markdown": _markdown}
