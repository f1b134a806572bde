"""What `ecr-governor explain` tells of a repository: gathered, made, told. Only `gathering` talks to AWS."""

from cli.explanation.gathering import Wish, gather
from cli.explanation.making import explain
from cli.explanation.telling import KNOWN, OUTPUTS
from cli.policy.files import say_chosen
from cli.trouble import Exit, check_output


def run(wish: Wish, output: str) -> Exit:
    """Explain a repository, or a name; the exit code says whether anything is open, or not known."""
    check_output(output, *KNOWN)
    explanation = explain(gather(wish))
    if wish.stack is None:
        say_chosen(wish.policy_path)
    OUTPUTS[output](explanation)
    if explanation.incomplete_because:
        return Exit.INCOMPLETE
    return Exit.VIOLATIONS if explanation.violates else Exit.CLEAN


__all__ = ["Wish", "run"]
