"""Findings for AWS Security Hub, as the account's own product."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ecr_governor.adapters.aws import SHOWN, code_of
from ecr_governor.app.errors import Undeliverable

if TYPE_CHECKING:
    from mypy_boto3_securityhub import SecurityHubClient

AT_ONCE: Final = 100
"""Findings that Security Hub takes in one call."""


class AwsSecurityHub:
    """Security Hub in this account and Region."""

    def __init__(self, client: "SecurityHubClient", product: str) -> None:
        self._hub = client
        self._product = product

    @property
    def product(self) -> str:
        """The ARN of the product that findings are sent as."""
        return self._product

    def put(self, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Bring findings up to date; give those that were not taken, by id, with the reason. Raises Undeliverable if a call fails."""
        refused: dict[str, str] = {}
        for start in range(0, len(findings), AT_ONCE):
            some: Any = findings[start : start + AT_ONCE]
            try:
                answer = self._hub.batch_import_findings(Findings=some)
            except ClientError as error:
                # Where Security Hub is not enabled it may say so for all at once.
                raise Undeliverable(f"securityhub:BatchImportFindings: {code_of(error)}") from error
            except BotoCoreError as error:
                raise Undeliverable(f"securityhub:BatchImportFindings: {type(error).__name__}") from error
            told = {each["Id"]: f"{each['ErrorCode']}: {each['ErrorMessage'][:SHOWN]}" for each in answer.get("FailedFindings", ())}
            if answer["FailedCount"] != len(told) or not told.keys() <= {each["Id"] for each in some}:
                # Which ones is not said: none of them counts as taken.
                why = f"securityhub:BatchImportFindings: {answer['FailedCount']} were not taken, and it is not said which"
                told = {each["Id"]: why for each in some}
            refused |= told
        return refused
