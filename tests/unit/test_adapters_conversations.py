"""What stands in Slack where: what DynamoDB may answer and the embedded one does not."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecr_governor.adapters.conversations import DynamoDbConversations
from ecr_governor.app.errors import Full, Throttled


class Table:
    """A table that refuses every update."""

    def __init__(self, code: str) -> None:
        self.code = code

    def update_item(self, **_: Any) -> None:
        raise ClientError(
            {"Error": {"Code": self.code, "Message": "Item size to update has exceeded the maximum allowed size"}}, "UpdateItem"
        )


@pytest.mark.parametrize(("code", "trouble"), [("ValidationException", Full), ("ThrottlingException", Throttled)])
def test_where_a_set_has_no_room_left_it_is_told_as_that(code: str, trouble: type[Exception]) -> None:
    with pytest.raises(trouble):
        DynamoDbConversations(Table(code), "ledger").note_stale(["payments/api"])  # type: ignore[arg-type]
