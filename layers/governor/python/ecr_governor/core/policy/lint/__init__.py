"""What is wrong with a policy file although it can be read: what it says and cannot mean.

Only the command line comes here. A deployed function reads a policy file, and has no use for remarks on it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from ecr_governor.core.documents.problem import written
from ecr_governor.core.policy.lint import exemptions, lifecycles, names, retirements, routes, rules, settings, templates
from ecr_governor.core.policy.lint.languages import MAX_STEPS, Steps
from ecr_governor.core.policy.lint.remark import CHECKS, Check, Found, Level, Remark
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.yaml_text import PolicyInvalid, found_at

TOGETHER: Final = 30 * MAX_STEPS
"""How much is looked at among the tags of images for one policy file, however many namespaces it has."""


def remarks(reading: Reading, now: datetime, region: str | None = None) -> tuple[Remark, ...]:
    """Look at a policy file that could be read, and tell what it says in vain or by mistake, in the order of its lines.

    `region` is the one that it is for, if that is known.
    """
    found = [_remark(reading, each) for each in dict.fromkeys(_found(reading, now, region))]

    def order(remark: Remark) -> tuple[bool, str, int, int, str, str]:
        return remark.source != reading.source, remark.source, remark.line, remark.column, remark.code, remark.what

    return tuple(sorted(found, key=order))


def refusals(invalid: PolicyInvalid) -> tuple[Remark, ...]:
    """Tell in the same way why a file cannot be read."""
    return tuple(
        Remark(Level.ERROR, each.code, each.source, each.line, each.column, each.path, each.what, CHECKS[each.code].why, each.do)
        for each in invalid.problems
    )


def _found(reading: Reading, now: datetime, region: str | None) -> Iterator[Found]:
    steps = Steps(TOGETHER)
    documents = lifecycles.Documents(steps)
    yield from names.found(reading)
    yield from exemptions.found(reading, now)
    yield from rules.found(reading)
    yield from routes.found(reading)
    yield from settings.found(reading, region, steps)
    yield from lifecycles.found(reading, documents)
    yield from retirements.found(reading, now, documents)
    yield from templates.found(reading)


def _remark(reading: Reading, found: Found) -> Remark:
    file, line, column = found_at(reading.root, found.at, reading.source)
    check = CHECKS[found.code]
    return Remark(check.level, found.code, file, line, column, written(found.at), found.what, check.why, found.do)


__all__ = ["CHECKS", "Check", "Found", "Level", "Remark", "refusals", "remarks"]
