"""Who created repositories, by CloudTrail's own history: read from the embedded AWS, where a real client created them."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecr_governor.adapters.creation_history import PAGE, SECONDS_A_CALL, CloudTrailHistory
from ecr_governor.app.errors import Denied, Throttled
from ecr_governor.core.origin import Creation
from ecr_governor.events import creation_in_record
from local.server import EmbeddedAws

ACCOUNT = "123456789012"
DAY = timedelta(days=1)


def history(client: Any, waits: list[float] | None = None) -> CloudTrailHistory:
    waited: list[float] = [] if waits is None else waits
    return CloudTrailHistory(lambda: client, partial(creation_in_record, account=ACCOUNT), clock=lambda: 0.0, sleep=waited.append)


class Scripted:
    """A CloudTrail that answers as it is told, once for each call."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def lookup_events(self, **parameters: Any) -> Any:
        self.asked.append(parameters)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_creations_are_read_with_who_made_them(aws: EmbeddedAws) -> None:
    ecr, now = aws.client("ecr"), aws.clock.now()
    names = [f"history/service-{number}" for number in range(PAGE + 5)]
    for name in names:
        ecr.create_repository(repositoryName=name)
    with pytest.raises(ClientError):
        ecr.create_repository(repositoryName=names[0])
    waits: list[float] = []
    reader = history(aws.client("cloudtrail"), waits)
    pages = list(reader.creations(now - DAY, aws.clock.now() + DAY))
    found = {name: creation for page in pages for name, creation in page if name.startswith("history/")}
    assert set(found) == set(names)
    assert all(len(page) <= PAGE for page in pages)
    assert reader.calls == len(pages) > 1
    assert waits == [SECONDS_A_CALL] * (len(pages) - 1)
    creation = found[names[0]]
    assert isinstance(creation, Creation)
    assert creation.event_id
    assert creation.actor.account == ACCOUNT
    # The newest first: whoever is interrupted goes on from the oldest.
    times = [creation.at for page in pages for _, creation in page]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(("code", "error"), [("AccessDeniedException", Denied), ("ThrottlingException", Throttled)])
def test_refusals_are_told_as_what_they_are(aws: EmbeddedAws, code: str, error: type[Exception]) -> None:
    client = Scripted(ClientError({"Error": {"Code": code, "Message": ""}}, "LookupEvents"))
    with pytest.raises(error, match="cloudtrail:LookupEvents"):
        list(history(client).creations(aws.clock.now() - DAY, aws.clock.now()))


def test_a_record_that_is_none_is_left_out_and_the_others_are_read(aws: EmbeddedAws) -> None:
    events = [{"CloudTrailEvent": text} for text in ("", "{", "{}", '{"eventVersion": "1.11", "eventName": 7}')]
    client = Scripted({"Events": events, "NextToken": "t"}, {"Events": []})
    assert list(history(client).creations(aws.clock.now() - DAY, aws.clock.now())) == [[], []]
    assert client.asked[1]["NextToken"] == "t"
