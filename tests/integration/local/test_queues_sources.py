"""Event sources: batches, partial failures, dead letters, and a stream's order, retries and giving up."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.activity import Activity
from local.events.pattern import CompiledPattern
from local.lambdas.sandbox import InvokeResult
from local.queues.mapping import EventSource, MappingConfig, Pace, failed_items
from local.queues.sqs_poller import SqsPoller
from local.queues.stream_reader import StreamReader
from local.server import EmbeddedAws

Answer = Callable[[list[dict[str, Any]]], Any]


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as embedded:
        yield embedded


class Handler:
    """Stands for the function: answers as told and keeps what it was given."""

    def __init__(self, answer: Answer = lambda _: None) -> None:
        self.answer = answer
        self.batches: list[list[dict[str, Any]]] = []

    def __call__(self, _: str, payload: Any) -> InvokeResult:
        self.batches.append(payload["Records"])
        answer = self.answer(payload["Records"])
        if isinstance(answer, Exception):
            return InvokeResult(b'{"errorMessage": "x"}', "Unhandled", ())
        return InvokeResult(json.dumps(answer).encode(), None, ())


Running = Callable[..., EventSource]


@pytest.fixture
def run() -> Iterator[Running]:
    started: list[EventSource] = []

    def _run(handler: Handler, arn: str, **settings: Any) -> EventSource:
        kind = SqsPoller if ":sqs:" in arn else StreamReader
        config = MappingConfig(function="f", source_arn=arn, **{"batch_size": 10, **settings})
        source = kind(config, handler, Activity(), Pace(retry_delay=0.01, window_limit=0.02))
        started.append(source)
        source.start()
        return source

    yield _run
    for source in started:
        source.stop()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def queue(aws: EmbeddedAws, name: str, **attributes: str) -> tuple[str, str]:
    url = aws.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:eu-west-1:123456789012:{name}"


def count(aws: EmbeddedAws, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(int(value) for value in aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())


def test_a_record_has_lambdas_shape(aws: EmbeddedAws, run: Running) -> None:
    url, arn = queue(aws, "shape")
    handler = Handler()
    run(handler, arn)
    attribute = {"kind": {"DataType": "String", "StringValue": "a"}}
    sent = aws.client("sqs").send_message(QueueUrl=url, MessageBody="hello", MessageAttributes=attribute)
    until(lambda: handler.batches and not count(aws, url))
    ((record,),) = handler.batches
    assert set(record) == {
        "messageId",
        "receiptHandle",
        "body",
        "attributes",
        "messageAttributes",
        "md5OfBody",
        "md5OfMessageAttributes",
        "eventSource",
        "eventSourceARN",
        "awsRegion",
    }
    assert (record["messageId"], record["body"], record["md5OfBody"]) == (sent["MessageId"], "hello", sent["MD5OfMessageBody"])
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", arn, "eu-west-1")
    assert set(record["attributes"]) == {"ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"}
    assert record["messageAttributes"]["kind"]["stringValue"] == "a"


def test_only_what_failed_comes_again_and_ends_in_the_dead_letter_queue(aws: EmbeddedAws, run: Running) -> None:
    dead_url, dead = queue(aws, "partial-dead")
    url, arn = queue(aws, "partial", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 3}))
    handler = Handler(
        lambda records: {"batchItemFailures": [{"itemIdentifier": one["messageId"]} for one in records if one["body"] == "2"]}
    )
    for body in "123":
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    run(handler, arn, partial_failures=True)
    until(lambda: count(aws, dead_url) == 1)
    seen = [record["body"] for batch in handler.batches for record in batch]
    assert sorted(seen) == ["1", "2", "2", "2", "3"]
    receipts = [record["attributes"]["ApproximateReceiveCount"] for batch in handler.batches for record in batch if record["body"] == "2"]
    assert receipts == ["1", "2", "3"]


def test_an_error_brings_the_whole_batch_back(aws: EmbeddedAws, run: Running) -> None:
    url, arn = queue(aws, "error")
    handler = Handler()
    handler.answer = lambda _: RuntimeError() if len(handler.batches) == 1 else None
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    run(handler, arn)
    until(lambda: len(handler.batches) == 2 and not count(aws, url))


def test_a_window_fills_the_batch(aws: EmbeddedAws, run: Running) -> None:
    url, arn = queue(aws, "window")
    handler = Handler()
    for n in range(25):
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=str(n))
    run(handler, arn, batch_size=100, window=5.0)
    until(lambda: not count(aws, url))
    assert [len(batch) for batch in handler.batches] == [25]


def test_filtered_messages_are_deleted_unseen(aws: EmbeddedAws, run: Running) -> None:
    url, arn = queue(aws, "filter")
    handler = Handler()
    run(handler, arn, filters=(CompiledPattern({"body": {"kind": ["wanted"]}}),))
    for kind in ("other", "wanted"):
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"kind": kind}))
    until(lambda: handler.batches and not count(aws, url))
    assert [json.loads(record["body"])["kind"] for batch in handler.batches for record in batch] == ["wanted"]


def test_nothing_is_lost_or_doubled_under_concurrent_senders(aws: EmbeddedAws, run: Running) -> None:
    url, arn = queue(aws, "many", VisibilityTimeout="60")
    handler = Handler()
    run(handler, arn)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: aws.client("sqs").send_message(QueueUrl=url, MessageBody=str(n)), range(200)))
    until(lambda: not count(aws, url))
    assert sorted(int(record["body"]) for batch in handler.batches for record in batch) == list(range(200))


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', {"a"}),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', None),
        (b'{"batchItemFailures": [{"id": "a"}]}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": "unknown"}]}', None),
        (b"[1]", None),
        (b"{", None),
    ],
)
def test_answers_are_read_as_lambda_reads_them(answer: bytes, failed: set[str] | None) -> None:
    assert failed_items(InvokeResult(answer, None, ()), ["a", "b"], partial=True) == failed


def table(aws: EmbeddedAws, name: str) -> str:
    made: str = aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]["LatestStreamArn"]
    return made


def write(aws: EmbeddedAws, name: str, *keys: str) -> None:
    for key in keys:
        aws.client("dynamodb").put_item(TableName=name, Item={"pk": {"S": key}})


def keys(handler: Handler) -> list[str]:
    return ["".join(record["dynamodb"]["Keys"]["pk"]["S"] for record in batch) for batch in handler.batches]


def test_a_stream_is_read_in_order(aws: EmbeddedAws, run: Running) -> None:
    arn = table(aws, "order")
    handler = Handler()
    write(aws, "order", *"abc")
    source = run(handler, arn, starting_position="TRIM_HORIZON", batch_size=2)
    until(lambda: not source.pending())
    assert keys(handler) == ["ab", "c"]
    record = handler.batches[0][0]
    assert (record["eventName"], record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == (
        "INSERT",
        "aws:dynamodb",
        arn,
        "eu-west-1",
    )
    assert isinstance(record["dynamodb"]["ApproximateCreationDateTime"], float)


def test_latest_starts_with_what_is_written_next(aws: EmbeddedAws, run: Running) -> None:
    arn = table(aws, "latest")
    write(aws, "latest", "old")
    handler = Handler()
    source = run(handler, arn, starting_position="LATEST")
    write(aws, "latest", "new")
    until(lambda: not source.pending())
    assert keys(handler) == ["new"]


def test_a_stream_goes_on_from_the_failing_record(aws: EmbeddedAws, run: Running) -> None:
    arn = table(aws, "partial")
    write(aws, "partial", *"abcd")
    handler = Handler()

    def answer(records: list[dict[str, Any]]) -> Any:
        bad = [one["dynamodb"]["SequenceNumber"] for one in records if one["dynamodb"]["Keys"]["pk"]["S"] == "c"]
        return {"batchItemFailures": [{"itemIdentifier": number} for number in bad]} if len(handler.batches) < 3 else None

    handler.answer = answer
    source = run(handler, arn, starting_position="TRIM_HORIZON", partial_failures=True)
    until(lambda: not source.pending())
    assert keys(handler) == ["abcd", "cd", "cd"]


def test_bisecting_isolates_the_poison_which_is_given_up_to_a_queue(aws: EmbeddedAws, run: Running) -> None:
    arn = table(aws, "bisect")
    url, failures = queue(aws, "bisect-failures")
    write(aws, "bisect", *"abcd")
    handler = Handler(lambda records: RuntimeError() if any(one["dynamodb"]["Keys"]["pk"]["S"] == "c" for one in records) else None)
    source = run(handler, arn, starting_position="TRIM_HORIZON", bisect=True, max_retries=1, on_failure=failures)
    until(lambda: not source.pending())
    assert keys(handler) == ["abcd", "ab", "cd", "c", "c", "d"]
    (message,) = aws.client("sqs").receive_message(QueueUrl=url)["Messages"]
    document = json.loads(message["Body"])
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["DDBStreamBatchInfo"]["batchSize"] == 1


def test_stream_filters_see_the_record(aws: EmbeddedAws, run: Running) -> None:
    arn = table(aws, "filtered")
    handler = Handler()
    write(aws, "filtered", "a", "b")
    source = run(handler, arn, starting_position="TRIM_HORIZON", filters=(CompiledPattern({"dynamodb": {"Keys": {"pk": {"S": ["b"]}}}}),))
    until(lambda: not source.pending())
    assert keys(handler) == ["b"]


def transact(aws: EmbeddedAws, name: str, key: str, *, condition: str) -> None:
    put = {"Put": {"TableName": name, "Item": {"pk": {"S": key}, "n": {"N": "1"}}}}
    check = {"ConditionCheck": {"TableName": name, "Key": {"pk": {"S": "guard"}}, "ConditionExpression": condition}}
    aws.client("dynamodb").transact_write_items(TransactItems=[put, check])


def test_a_cancelled_transaction_leaves_no_trace_in_table_or_stream(aws: EmbeddedAws, run: Running) -> None:
    arn = table(aws, "transactions")
    handler = Handler()
    write(aws, "transactions", "a")
    source = run(handler, arn, starting_position="TRIM_HORIZON")
    for key in ("a", "b"):
        with pytest.raises(aws.client("dynamodb").exceptions.TransactionCanceledException) as cancelled:
            transact(aws, "transactions", key, condition="attribute_exists(pk)")
        reasons = cancelled.value.response["CancellationReasons"]
        assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    transact(aws, "transactions", "c", condition="attribute_not_exists(pk)")
    until(lambda: not source.pending())
    assert "".join(keys(handler)) == "ac"
    items = aws.client("dynamodb").scan(TableName="transactions")["Items"]
    assert sorted(items, key=str) == [{"pk": {"S": "a"}}, {"pk": {"S": "c"}, "n": {"N": "1"}}]
