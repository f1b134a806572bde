"""What a policy file may say of creation templates beyond what its namespaces say."""

from typing import Annotated, Final

import re2
from pydantic import AfterValidator, StrictBool, StrictStr

from ecr_governor.core.policy.strict import Strict, fault

_ROLE: Final = re2.compile(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/[\x21-\x7e]{1,576}")


def _role_arn(text: str) -> str:
    if not (text.isascii() and _ROLE.fullmatch(text)):
        raise fault(f"{text!r} is no role's ARN", "write arn:aws:iam::ACCOUNT:role/NAME, a role of the registry's own account")
    return text


class Templates(Strict):
    """What holds for all creation templates that are made of the policy."""

    custom_role_arn: Annotated[StrictStr, AfterValidator(_role_arn)] | None = None
    create_on_push_at_root: StrictBool = False
