"""The AWS that the real adapters are held against: the embedded one's stores, with nothing deployed."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from ecr_governor.adapters.ledger import DUE_INDEX, RETIRING_INDEX, TOUCHED_INDEX
from local import ecr
from local.server import EmbeddedAws

_numbers = count()


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as embedded:
        yield embedded


@pytest.fixture
def no_trouble_left() -> Iterator[None]:
    yield
    ecr.faults.clear()


@pytest.fixture
def name() -> str:
    """A repository name that no other test has used."""
    return f"payments/service-{next(_numbers)}"


@pytest.fixture
def ledger_table(aws: EmbeddedAws) -> str:
    """An empty ledger table with the keys and the indexes of the template's."""
    table = f"ledger-{next(_numbers)}"
    indexes = {DUE_INDEX: "due_at", TOUCHED_INDEX: "touched_at", RETIRING_INDEX: "retiring_since"}
    attributes: list[Any] = [{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk", *indexes, *indexes.values())]
    aws.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=attributes,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": index, "KeyType": "HASH"}, {"AttributeName": moment, "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, moment in indexes.items()
        ],
    )
    return table
