"""`ecr-governor templates lint`: what templates do by mistake or in vain."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from cli.policy import files
from cli.templates import page, registry
from cli.templates.compiling import counted
from cli.trouble import Exit, check_output
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.policy.lint.remark import Level
from ecr_governor.core.templates.compile import compiled
from ecr_governor.core.templates.lint import remarks


def run(policy_path: Path, place: registry.Place | None, output: str, *, strict: bool) -> Exit:
    """Look at the registry's templates or, without a place, at the policy's; print what is to be said of them."""
    check_output(output, "text", "json")
    if place is None:
        made = compiled(files.read(policy_path, files.OPTION))
        templates = made.templates
        page.tell_left_out(made.left_out)
    else:
        templates = registry.read(registry.templates_at(place))
    found = remarks(templates)
    if output == "json":
        sys.stdout.write(json.dumps([asdict(each) for each in found], indent=2) + "\n")
    else:
        for each in found:
            page.line(f"{each.prefix}: {each.level.value}: {each.what} [{each.code}]", "red" if each.level is Level.ERROR else "")
            page.rows([("why:", each.why), ("do:", tidy(each.do))])
    sys.stderr.write(f"{counted(len(templates))}, {len(found)} {'remark' if len(found) == 1 else 'remarks'}\n")
    levels = {each.level for each in found}
    return Exit.VIOLATIONS if Level.ERROR in levels or (strict and Level.WARNING in levels) else Exit.CLEAN
