"""`ecr-governor exempt`: exemptions of a policy file, added, listed and ended; the file is checked before it is written."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from cli.harmless import harmless
from cli.policy import editing, files, inventory
from cli.policy.comparison import Comparison, compare
from cli.trouble import Exit, Trouble, check_output
from cli.whole_file import write_whole
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.policy.lint import Level, Remark, remarks
from ecr_governor.core.policy.lint.exemptions import SOON, is_covering
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import EVERY_RULE, Exemption, Known, Policy
from ecr_governor.core.policy.patterns import glob_matches
from ecr_governor.core.policy.yaml_text import PolicyInvalid, place
from ecr_governor.core.rules import RULES

STYLES: Final = {"ends soon": "yellow", "holds": "", "expired": "dim"}
_SEVERAL: Final = {"ends soon": "end soon", "holds": "hold"}
_ADVICE: Final = {
    "exemption-expired": "give --expires a day that is still to come",
    "exemption-for-ever": "give --expires a day within five years",
    "exemption-matches-nothing": "correct the glob",
    "exemption-redundant": "leave it as it is; or end that one first, by ecr-governor exempt expire",
}
"""What to do on the command line, where a remark speaks of the file."""
SHOWN: Final = 20
"""Repositories that are named; more are counted."""


@dataclass(frozen=True, slots=True)
class Added:
    """What is to be exempt. `expires` is the last day on which it holds, in UTC."""

    match: str
    rules: Sequence[str]
    reason: str
    owner: str
    expires: date


def add(policy_path: Path, added: Added, against: Path | None, *, dry_run: bool) -> Exit:
    """Add an exemption. Raises Trouble, and leaves the file as it is, if it could not be meant so or exempts nothing."""
    now = datetime.now(UTC)
    text, before = _read(policy_path)
    exemption = _exemption(added)
    told = remarks(before, now)
    _refuse(told, policy_path, "mend the file first")
    changed = editing.with_exemption(text, exemption)
    after = _checked(changed, policy_path, before.policy, (*before.policy.exemptions, exemption))
    _refuse_new(told, before, after, now)
    freed = _freed(before.policy, after.policy, exemption, against, now) if against else None
    if dry_run:
        sys.stdout.write("".join(f"{line}\n" for line in _difference(text, changed)))
    else:
        _write(policy_path, changed)
    _say(f"{exemption.match} is exempt from {', '.join(exemption.rules)} until {exemption.expires}{' (not written)' if dry_run else ''}")
    if freed is not None:
        _say(_counted(freed.freed, "would be freed of a finding", freed))
    return Exit.CLEAN


def show(policy_path: Path, name: str | None, output: str, on: datetime | None) -> Exit:
    """Print the exemptions of a policy file, those that end first at the top."""
    check_output(output, "table", "json")
    now = on.replace(tzinfo=UTC) if on else datetime.now(UTC)
    _, read = _read(policy_path)
    rows = [
        _row(read, index, exemption, now)
        for index, exemption in enumerate(read.policy.exemptions)
        if name is None or glob_matches(exemption.match, name)
    ]
    rows.sort(key=lambda row: (row["expires"], row["line"]))
    if output == "json":
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    elif rows or name is None or not read.policy.exemptions:
        _table(rows)
    else:
        count = len(read.policy.exemptions)
        sys.stdout.write(f"the {'1 exemption does' if count == 1 else f'{count:,} exemptions do'} not speak of {tidy(name)}\n")
    return Exit.CLEAN


def expire(policy_path: Path, match: str, line: int | None, against: Path | None, *, dry_run: bool) -> Exit:
    """End an exemption now and say what will be judged again. Raises Trouble if it is none, or not the only one."""
    now = datetime.now(UTC)
    text, before = _read(policy_path)
    index = _chosen(before, match, line)
    exemption = before.policy.exemptions[index]
    if exemption.ends <= now:
        raise Trouble(
            f"the exemption of {match} has ended already",
            f"its last day was {exemption.expires}",
            f"ecr-governor exempt list --policy {policy_path}",
        )
    ended = exemption.model_copy(update={"expires": now.date() - timedelta(days=1)})
    wanted = tuple(ended if place == index else each for place, each in enumerate(before.policy.exemptions))
    changed = editing.with_end(text, index, ended.expires)
    after = _checked(changed, policy_path, before.policy, wanted)
    opened = compare(inventory.read(against), before.policy, after.policy, now) if against else None
    if dry_run:
        sys.stdout.write("".join(f"{each}\n" for each in _difference(text, changed)))
    else:
        _write(policy_path, changed)
    for told in _what_follows(after, exemption, now, " (not written)" if dry_run else ""):
        _say(told)
    if opened is not None:
        _say(_counted(opened.violating, "would be newly violating", opened))
    return Exit.CLEAN


# --- the file -------------------------------------------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[str, Reading]:
    """Read a policy file as it stands, and as it is understood."""
    try:
        text = files.text_of(path, option=files.OPTION)
        return text, files.understood(text, path)
    except PolicyInvalid as invalid:
        raise files.refused(path, invalid) from invalid


def _checked(text: str, path: Path, before: Policy, wanted: Sequence[Exemption]) -> Reading:
    """Read the changed text: it must say just what was wanted, and all else as before."""
    try:
        read = files.understood(text, path)
    except PolicyInvalid as invalid:
        raise Trouble("the policy file would not be valid", files.problems_in(invalid), "correct what was asked for") from invalid
    if read.policy.exemptions != tuple(wanted) or read.policy.hash != before.model_copy(update={"exemptions": tuple(wanted)}).hash:
        why = "the text would say something else than was asked for: its exemptions are written in an unusual way"
        raise Trouble("the policy file cannot be changed here", why, "change it by hand, then ecr-governor policy validate FILE")
    return read


def _write(path: Path, text: str) -> None:
    marked = path.read_bytes().startswith(b"\xef\xbb\xbf")
    write_whole(path, f"\ufeff{text}" if marked else text, "make it writable")


def _exemption(added: Added) -> Exemption:
    content = {"match": added.match, "rules": list(added.rules), "reason": added.reason, "owner": added.owner, "expires": added.expires}
    try:
        return Exemption.model_validate({**content, "expires": added.expires.isoformat()}, context=Known(frozenset(RULES)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"--{str(first['loc'][0]).replace('rules', 'rule')}" if first["loc"] and first["loc"][0] != "match" else "the glob"
        told = first.get("ctx", {}).get("problems")
        why, do = (told[0].what, told[0].do) if told else (first["msg"], "ecr-governor exempt add --help shows an example")
        raise Trouble(f"{what} cannot be used", why, do) from error


def _refuse(told: Sequence[Remark], path: Path, do: str) -> None:
    errors = [remark for remark in told if remark.level is Level.ERROR]
    if errors:
        raise Trouble(f"{path} has errors", "\n" + "\n".join(map(_remark, errors)), do)


def _refuse_new(told: Sequence[Remark], before: Reading, after: Reading, now: datetime) -> None:
    """Refuse what `policy validate` would warn of, and has not told before: such an exemption exempts nothing, or for ever."""
    known = {(remark.code, remark.path, remark.what) for remark in told}
    own = f"exemptions[{len(before.policy.exemptions)}]"
    for remark in remarks(after, now):
        if remark.level is Level.NOTE or (remark.code, remark.path, remark.what) in known:
            continue
        if remark.path.startswith(own):
            raise Trouble(f"the exemption is not added: {remark.what} [{remark.code}]", remark.why, _ADVICE.get(remark.code, remark.do))
        # It is in order by itself, and leaves nothing to say to what stands in the file.
        what = f"the exemption is not added: line {remark.line} of {remark.source} would then be in vain [{remark.code}]"
        do = "ask for less; or remove what that line begins from the file, and ask again"
        raise Trouble(what, f"{remark.path}: {remark.what}", do)


def _remark(remark: Remark) -> str:
    return f"{remark.source}:{remark.line}:{remark.column}: {remark.path}: {remark.what} → {remark.do}"


def _chosen(read: Reading, match: str, line: int | None) -> int:
    found = [
        (index, _line(read, index))
        for index, exemption in enumerate(read.policy.exemptions)
        if exemption.match == match and line in {None, _line(read, index)}
    ]
    if not found:
        known = ", ".join(dict.fromkeys(exemption.match for exemption in read.policy.exemptions)) or "none"
        where = f" in line {line}" if line else ""
        raise Trouble(f"there is no exemption of {match}{where}", f"the file has {known}", "name one as it stands there, in quotes")
    if len(found) > 1:
        lines = ", ".join(str(each) for _, each in found)
        raise Trouble(f"there are {len(found)} exemptions of {match}", f"in the lines {lines}", f"say which: --line {found[0][1]}")
    return found[0][0]


def _line(read: Reading, index: int) -> int:
    return place(read.root, ("exemptions", index))[0]


def _what_follows(read: Reading, ended: Exemption, now: datetime, mark: str) -> Iterator[str]:
    """Say what is judged again, and what other exemptions go on sparing, as far as their globs tell."""
    others = [
        (index, each, rules) for index, each in enumerate(read.policy.exemptions) if now < each.ends and (rules := _shared(each, ended))
    ]
    whole = {rule for _, each, rules in others if is_covering(each.match, ended.match) for rule in rules}
    again = [] if EVERY_RULE in whole else [rule for rule in ended.rules if rule not in whole]
    if again:
        every = f"every rule but {', '.join(sorted(whole))}" if whole else "every rule"
        by = every if EVERY_RULE in again else ", ".join(again)
        yield f"{ended.match} is judged again by {by} once the file is uploaded, with its next event or the next sweep{mark}"
    else:
        yield f"{ended.match} is not judged again: it is still exempt{mark}"
    for index, each, rules in others:
        until = f"from {', '.join(rules)} until {each.expires}"
        if is_covering(each.match, ended.match):
            yield f"still exempt: {ended.match} {until}, by {each.match} ({read.source}:{_line(read, index)})"
        elif is_covering(ended.match, each.match):
            yield f"still exempt: {each.match} {until} ({read.source}:{_line(read, index)})"


def _shared(each: Exemption, ended: Exemption) -> tuple[str, ...]:
    """Give the rules that both speak of, as the one says them that is the narrower."""
    if EVERY_RULE in each.rules:
        return ended.rules
    return each.rules if EVERY_RULE in ended.rules else tuple(rule for rule in ended.rules if rule in each.rules)


# --- what it does to a registry -------------------------------------------------------------------------------------------------------


def _freed(before: Policy, after: Policy, exemption: Exemption, against: Path, now: datetime) -> Comparison:
    if not any(glob_matches(exemption.match, line.repository.name) for line in inventory.read(against)):
        why = f"none of the repositories in {against} is like it"
        raise Trouble(f"{exemption.match} matches nothing", why, "correct the glob; without --against it is added all the same")
    return compare(inventory.read(against), before, after, now)


def _counted(changed: Sequence[Any], words: str, comparison: Comparison) -> str:
    names = ", ".join(tidy(each.name) for each in changed[:SHOWN])
    more = f" and {len(changed) - SHOWN:,} more" if len(changed) > SHOWN else ""
    counted = f"{len(changed):,} of {comparison.repositories:,} repositories {words}"
    return f"{counted}: {names}{more}" if changed else counted


# --- words ----------------------------------------------------------------------------------------------------------------------------


def _row(read: Reading, index: int, exemption: Exemption, now: datetime) -> dict[str, Any]:
    left = exemption.ends - now
    state = "expired" if left <= timedelta(0) else "ends soon" if left <= SOON else "holds"
    return {
        "state": state,
        "expires": exemption.expires.isoformat(),
        "days_left": max(left, timedelta(0)).days,
        "match": exemption.match,
        "rules": list(exemption.rules),
        "owner": exemption.owner,
        "reason": exemption.reason,
        "file": read.source,
        "line": _line(read, index),
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not rows:
        console.print("no exemptions")
        return
    for row in rows:
        head = f"{row['state']:<10}{row['expires']}  {tidy(row['match'])}  {', '.join(row['rules'])}"
        console.print(harmless(head, style=STYLES[row["state"]]))
        console.print(harmless(f"          {tidy(row['owner'])}: {tidy(row['reason'])}  ({row['file']}:{row['line']})", style="dim"))
    counts = {state: sum(row["state"] == state for row in rows) for state in STYLES}
    console.print(
        Text("\n" + ", ".join(f"{count} {state if count == 1 else _SEVERAL.get(state, state)}" for state, count in counts.items() if count))
    )


def _say(text: str) -> None:
    sys.stderr.write(f"{tidy(text)}\n")


def _difference(before: str, after: str) -> Iterator[str]:
    """Give the lines that are changed, as a diff shows them."""
    old, new = before.splitlines(), after.splitlines()
    same = next((place for place, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))
    tail = 0
    while tail < min(len(old), len(new)) - same and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    yield from (f"-{line}" for line in old[same : len(old) - tail])
    yield from (f"+{line}" for line in new[same : len(new) - tail])
