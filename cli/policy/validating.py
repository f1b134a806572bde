"""`ecr-governor policy validate`: what is wrong with a policy file, and what it says in vain."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cli.policy.files import in_source_tree, reading
from cli.policy.github import annotation
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.policy.lint import CHECKS, Level, Remark, refusals, remarks
from ecr_governor.core.policy.yaml_text import PolicyInvalid

SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}")
"""How Regions are called. Which there are, AWS alone knows from one month to the next."""
GITHUB = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a policy file. `policy_hash` is "" where it cannot be read."""

    file: Path
    policy_hash: str
    remarks: tuple[Remark, ...]

    def count(self, level: Level) -> int:
        """Count the remarks of a level."""
        return sum(remark.level is level for remark in self.remarks)


def run(file: Path, output: str, *, region: str | None, ignored: Sequence[str], strict: bool, on: datetime | None) -> Exit:
    """Check a policy file and print what is to be said of it. The exit code says how grave that is."""
    check_output(output, *OUTPUTS)
    _check_ignored(ignored)
    if region is not None and not _REGION.fullmatch(region):
        raise Trouble(f"{region} is no AWS Region", "no Region is called like that", "--region eu-west-1")
    now = on.replace(tzinfo=UTC) if on else datetime.now(UTC)
    checked = check(file, now, region, ignored)
    sys.stdout.write(OUTPUTS[output](checked))
    sys.stderr.write(f"{file}: {_summary(checked)}\n")
    if checked.count(Level.ERROR):
        return Exit.USAGE
    return Exit.VIOLATIONS if strict and checked.count(Level.WARNING) else Exit.CLEAN


def check(file: Path, now: datetime, region: str | None = None, ignored: Sequence[str] = ()) -> Checked:
    """Find what is to be said of a policy file. Raises Trouble if there is none."""
    try:
        read = reading(file)
    except PolicyInvalid as invalid:
        return Checked(file, "", refusals(invalid))
    found = remarks(read, now, region)
    return Checked(file, read.policy.hash, tuple(remark for remark in found if remark.code not in ignored))


def _check_ignored(ignored: Iterable[str]) -> None:
    known = [code for code, check in CHECKS.items() if check.level is not Level.ERROR]
    for code in ignored:
        if code in CHECKS and code not in known:
            raise Trouble(f"{code} cannot be ignored", "it finds what cannot be meant", "mend what it finds")
        if code not in known:
            raise Trouble(
                f"there is no check {code}", f"what can be ignored is {', '.join(known)}", "--ignore CHECK, as the remark names it"
            )


def _summary(checked: Checked) -> str:
    told = ", ".join(_counted(checked.count(level), level) for level in Level if checked.count(level))
    if checked.count(Level.ERROR):
        # What is said in vain shows once it is clear what is said.
        return told if checked.policy_hash else f"{told}; what the file says in vain is looked for once it can be read"
    return f"valid, policy hash {checked.policy_hash}" + (f"; {told}" if told else "")


def _counted(count: int, level: Level) -> str:
    return f"{count} {level.value}" if count == 1 else f"{count} {level.value}s"


# --- outputs --------------------------------------------------------------------------------------------------------------------------


def _message(remark: Remark) -> str:
    return tidy(f"{remark.path}: {remark.what}" if remark.path else remark.what)


def _text(checked: Checked) -> str:
    return "".join(
        f"{tidy(remark.source)}:{remark.line}:{remark.column}: {remark.level.value}: {_message(remark)} [{remark.code}]\n"
        f"  why: {remark.why}\n" + (f"  do:  {tidy(remark.do)}\n" if remark.do else "")
        for remark in checked.remarks
    )


def _json(checked: Checked) -> str:
    value = {
        "file": str(checked.file),
        "valid": not checked.count(Level.ERROR),
        "policy_hash": checked.policy_hash or None,
        **{f"{level.value}s": checked.count(level) for level in Level},
        "remarks": [_as_data(remark) for remark in checked.remarks],
    }
    return json.dumps(value, indent=2) + "\n"


def _as_data(remark: Remark) -> dict[str, Any]:
    data = asdict(remark)
    data["file"] = data.pop("source")
    return data


def _github(checked: Checked) -> str:
    return "".join(
        annotation(
            GITHUB[remark.level],
            "\n".join(filter(None, (_message(remark), f"why: {remark.why}", f"do: {tidy(remark.do)}" if remark.do else ""))),
            file=in_source_tree(Path(remark.source)),
            line=remark.line,
            col=remark.column,
            title=remark.code,
        )
        for remark in checked.remarks
    )


def _sarif(checked: Checked) -> str:
    codes = list(CHECKS)
    same: Counter[tuple[str, str, str]] = Counter()
    results = []
    for remark in checked.remarks:
        # Lines move; what is said, and where in the policy, stays. The number tells apart what is said twice.
        key = (remark.code, remark.path, remark.what)
        same[key] += 1
        results.append(
            {
                "ruleId": remark.code,
                "ruleIndex": codes.index(remark.code),
                "level": remark.level.value,
                # In a message [text](address) is a link; the space makes it text.
                "message": {"text": " ".join(filter(None, (f"{_message(remark)}.", tidy(remark.do)))).replace("](", "] (")},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": quote(in_source_tree(Path(remark.source))), "uriBaseId": "%SRCROOT%"},
                            "region": {"startLine": remark.line, "startColumn": remark.column},
                        }
                    }
                ],
                "partialFingerprints": {"remark/v1": json.dumps([*key, same[key]])},
            }
        )
    rules = [
        {
            "id": code,
            "shortDescription": {"text": check.finds},
            "fullDescription": {"text": f"{check.why[:1].upper()}{check.why[1:]}."},
            "defaultConfiguration": {"level": check.level.value},
        }
        for code, check in CHECKS.items()
    ]
    run_ = {
        "tool": {"driver": {"name": "ECR Governor policy", "rules": rules}},
        "automationDetails": {"id": "ecr-governor/policy/"},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SARIF, "version": "2.1.0", "runs": [run_]}, indent=1) + "\n"


OUTPUTS: Mapping[str, Callable[[Checked], str]] = {"text": _text, "json": _json, "sarif": _sarif, "github": _github}
