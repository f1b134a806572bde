"""What a policy file may say of creation templates beyond what its namespaces say."""

from typing import Annotated, Final

import re2
from pydantic import AfterValidator, StrictBool, StrictStr

from ecr_governor.core.policy.strict import Strict, fault

_ROLE: Final = re2.compile(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/([\x21-\x7e]+)")
MAX_ROLE: Final = 576
"""Characters of a role's path and name (IAM API reference: 512 and 64)."""


def _role_arn(text: str) -> str:
    # A bound within the expression would be written out that often as it is compiled, at each start.
    found = _ROLE.fullmatch(text) if text.isascii() else None
    if found is None or len(found[1]) > MAX_ROLE:
        raise fault(f"{text!r} is no role's ARN", "write arn:aws:iam::ACCOUNT:role/NAME, a role of the registry's own account")
    return text


class Templates(Strict):
    """What holds for all creation templates that are made of the policy."""

    custom_role_arn: Annotated[StrictStr, AfterValidator(_role_arn)] | None = None
    create_on_push_at_root: StrictBool = False
