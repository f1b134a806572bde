"""A secret in Secrets Manager, read once and kept. What it holds is in no log and no error."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.app.errors import Undeliverable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

Held = TypeVar("Held")


class KeptSecret(Generic[Held]):
    """One secret. `parse` gives what its text holds, None if it is of another shape than `shapes` tells."""

    def __init__(self, secrets: "SecretsManagerClient", name: str, parse: Callable[[str], Held | None], shapes: str) -> None:
        self._secrets = secrets
        self._name = name
        self._parse = parse
        self._shapes = shapes
        self._read: Held | None = None

    def current(self) -> Held:
        """What the secret holds, as last read. Raises Undeliverable."""
        if self._read is None:
            try:
                value = self._secrets.get_secret_value(SecretId=self._name).get("SecretString", "")
            except ClientError as error:
                raise Undeliverable(f"secret {self._name} cannot be read: {code_of(error)}") from error
            except BotoCoreError as error:
                raise Undeliverable(f"secret {self._name} cannot be read: {type(error).__name__}") from error
            self._read = self._parse(value)
            if self._read is None:
                # Whatever it holds instead may be a secret too.
                raise Undeliverable(f"secret {self._name} is {self._shapes}")
        return self._read

    def forget(self) -> None:
        """Have it read again: it may have been replaced."""
        self._read = None
