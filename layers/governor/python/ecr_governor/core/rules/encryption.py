"""A repository is encrypted as expected."""

from datetime import datetime
from typing import Final

from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.repository import Encryption, EncryptionType, Repository, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation

# KMS_DSSE encrypts twice, so it is KMS and more.
_STRENGTH: Final = {EncryptionType.AES256: 0, EncryptionType.KMS: 1, EncryptionType.KMS_DSSE: 2}


def _applies(expectation: Expectation) -> bool:
    return expectation.settings.encryption is not None


def _check(repository: Repository, expectation: Expectation, _now: datetime) -> Verdict:
    if expectation.settings.encryption is None:
        return Compliant()
    actual, wanted = repository.encryption, expectation.settings.encryption.wanted
    if isinstance(actual, Unreadable):
        return Undetermined(f"its encryption could not be read: {actual.why}")
    if _STRENGTH[actual.type] >= _STRENGTH[wanted.type] and wanted.kms_key in {None, actual.kms_key}:
        return Compliant()
    return Violation(f"is encrypted with {_described(actual)}, expected is {_described(wanted)}")


def _described(encryption: Encryption) -> str:
    return f"{encryption.type} under {encryption.kms_key}" if encryption.kms_key else str(encryption.type)


RULE: Final = Rule(
    id="encryption",
    summary="Images are encrypted as expected",
    why="With a key of one's own, access to images can be withdrawn and its use is logged.",
    fix="Encryption is fixed when a repository is created: recreate it, or copy its images to one that is encrypted as expected.",
    severity=Severity.LOW,
    needs=frozenset(),
    applies=_applies,
    check=_check,
)
