"""Creation templates that leave allowed names without one."""

from collections.abc import Iterator

from ecr_governor.core.documents.problem import KEY
from ecr_governor.core.policy.lint.remark import Found
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.templates import Templates


def found(reading: Reading) -> Iterator[Found]:
    """Tell which names could not be pushed to, where the file says anything of templates: without them ECR makes no repository on a push."""
    policy = reading.policy
    if policy.templates != Templates.model_construct():
        from ecr_governor.core.templates.compile import PREFIX, compiled  # noqa: PLC0415 - most files say nothing of templates

        for each in compiled(policy).left_out:
            if each.field == PREFIX:
                yield Found("templates-refuse", ("templates", KEY), each.what, each.do)
