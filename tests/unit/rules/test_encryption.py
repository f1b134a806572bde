import pytest

from ecr_governor.core.repository import Encryption, EncryptionType, Unreadable
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import expectation, repository, verdict

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1-2"
OTHER = "arn:aws:kms:eu-west-1:123456789012:key/3-4"
AES256, KMS, KMS_DSSE = EncryptionType.AES256, EncryptionType.KMS, EncryptionType.KMS_DSSE


@pytest.mark.parametrize(
    ("actual", "wanted", "reason"),
    [
        (Encryption(AES256), "AES256", None),
        (Encryption(KMS, KEY), "AES256", None),
        (Encryption(KMS), "KMS", None),
        (Encryption(KMS, KEY), "KMS", None),
        (Encryption(KMS_DSSE, KEY), "KMS", None),
        (Encryption(KMS, KEY), f"{{type: KMS, kms_key: '{KEY}'}}", None),
        (Encryption(AES256), "KMS", "is encrypted with AES256, expected is KMS"),
        (Encryption(KMS), "KMS_DSSE", "is encrypted with KMS, expected is KMS_DSSE"),
        (Encryption(KMS, OTHER), f"{{type: KMS, kms_key: '{KEY}'}}", f"is encrypted with KMS under {OTHER}, expected is KMS under {KEY}"),
        (Encryption(KMS), f"{{type: KMS, kms_key: '{KEY}'}}", f"is encrypted with KMS, expected is KMS under {KEY}"),
    ],
)
def test_images_are_encrypted_as_expected_or_better(actual: Encryption, wanted: str, reason: str | None) -> None:
    found = verdict("encryption", repository(encryption=actual), expectation(f"encryption: {wanted}"))

    assert found == (Compliant() if reason is None else Violation(reason))


def test_an_encryption_that_is_not_known_is_neither_fine_nor_wrong() -> None:
    found = verdict("encryption", repository(encryption=Unreadable("encryptionType: unknown value 'X'")), expectation("encryption: AES256"))

    assert found == Undetermined("its encryption could not be read: encryptionType: unknown value 'X'")
