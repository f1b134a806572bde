"""An AWS service as a source of evidence: what all of them have in common, so that each says only what it reads."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.adapters.usage.references import use_of
from ecr_governor.core.retirement.evidence import Evidence, Use

Client = TypeVar("Client")


class Unheard(Exception):
    """A source answered, but with less than it must know."""


class AwsUsage(ABC, Generic[Client]):
    """One service in one account and one Region. `source` is how a policy calls it, `service` how botocore does."""

    source: ClassVar[str]
    service: ClassVar[str]

    def __init__(self, client: Callable[[], Client], account: str, region: str, may_go_on: Callable[[], bool] = lambda: True) -> None:
        """`client` is called when the service is asked; `may_go_on` says whether there is time for more."""
        self._client = client
        self._account = account
        self._region = region
        self._may_go_on = may_go_on

    def evidence(self, now: datetime) -> Sequence[Evidence]:
        """Ask the service. Any call that fails is the `trouble` of the whole source."""
        return [heard(self.source, now, self._told())]

    def _told(self) -> Iterator[Use | None]:
        # Listened to from here on: a client that cannot be made is trouble as well.
        for use in self._uses(self._client()):
            yield use
            if not self._may_go_on():
                raise Unheard("there was no time left to hear it to its end")

    @abstractmethod
    def _uses(self, client: Client) -> Iterator[Use | None]:
        """Tell every use that is found, None for an image that is none of ours, and for time that passed without any.

        May raise what botocore raises, and Unheard.
        """

    def _use(self, user: str, image: str) -> Use | None:
        """Tell what it proves that `user` names this image."""
        return use_of(user, image, self._account, self._region)


def heard(source: str, now: datetime, uses: Iterable[Use | None]) -> Evidence:
    """Listen to a source to its end, or until it fails: what was heard by then counts, and `trouble` says why it is not all."""
    found: dict[Use, None] = {}
    trouble = ""
    try:
        for use in uses:
            if use is not None:
                found[use] = None
    except ClientError as error:
        trouble = f"{error.operation_name}: {code_of(error)}"
    except BotoCoreError as error:
        trouble = f"{type(error).__name__}: {error}"
    except Unheard as error:
        trouble = str(error)
    return Evidence(source, now, tuple(found), trouble)


def named(arn: str) -> str:
    """Name a resource without partition, Region and account, which are ours."""
    return arn.split(":", 5)[-1]
