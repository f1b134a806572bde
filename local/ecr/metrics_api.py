"""CloudWatch knows ECR's only metric of a repository, its pulls; metrics of others are moto's.

docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-repository-metrics.html and
docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core import errors
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from local.ecr import faults
from local.ecr.errors import EcrError
from local.ecr.store import backend_of
from local.principals import access_key_of, identify
from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.ecr.models import Backend

NAMESPACE, METRIC, DIMENSION = "AWS/ECR", "RepositoryPullCount", "RepositoryName"
MAX_QUERIES = 500
MAX_POINTS = 100_800
SHORT_PERIODS = {1, 5, 10, 20, 30}
ID = re.compile(r"[a-z][A-Za-z0-9_]*")
KEPT = ((timedelta(days=15), 60), (timedelta(days=63), 300), (timedelta(days=455), 3600))
"""How long data points are kept, by the least period that they can then be had in."""
STATISTICS: dict[str, Callable[[int], float]] = {
    "Sum": float,
    "SampleCount": float,
    "Average": lambda _: 1.0,
    "Minimum": lambda _: 1.0,
    "Maximum": lambda _: 1.0,
}
"""Of so many pulls, each of which counts one."""

_original: Any = CloudWatchResponse.get_metric_data


@dataclass
class Series:
    """The data points of one query, oldest first."""

    id: str
    label: str
    points: list[tuple[datetime, float]]


class Refused(ServiceException):
    """An error of CloudWatch's."""


def install() -> Callable[[], None]:
    """Put it in place; returns what takes it out."""

    def get_metric_data(response: Any) -> ActionResult:
        try:
            faults.strike("GetMetricData", identify(access_key_of(response.headers)), service="cloudwatch")
        except EcrError as error:
            # moto warns of codes that it does not find in a service's model.
            if error.code not in errors.COMMON_ERROR_CODES:
                errors.COMMON_ERROR_CODES.append(error.code)
            raise Refused(error.code, error.message) from None
        asked: Mapping[str, Any] = response._get_params()
        queries = asked.get("MetricDataQueries") or []
        _check(queries)
        if not any(_is_ours(query) for query in queries):
            return _original(response)  # type: ignore[no-any-return]
        if not all(_is_ours(query) for query in queries):
            raise NotImplementedError("pulls together with other metrics or expressions")
        backend = backend_of(response.current_account, response.region)
        return ActionResult(answer(backend, asked, datetime.now(UTC)))

    return replace(CloudWatchResponse, {"get_metric_data": get_metric_data})


def answer(backend: Backend, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Answer one call. Raises Refused."""
    start, end = _rounded(_aware(asked["StartTime"]), now), _aware(asked["EndTime"])
    if start >= end:
        raise Refused("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    newest_first = (asked.get("ScanBy") or "TimestampDescending") == "TimestampDescending"
    queries = [query for query in asked["MetricDataQueries"] if query.get("ReturnData", True) is not False]
    series = [_series(backend, query, start, end, now) for query in queries]
    limit = int(asked.get("MaxDatapoints") or MAX_POINTS)
    return _page(series, limit, _place(asked), _question(asked), newest_first=newest_first)


def _is_ours(query: Mapping[str, Any]) -> bool:
    metric = query.get("MetricStat", {}).get("Metric", {})
    return (metric.get("Namespace"), metric.get("MetricName")) == (NAMESPACE, METRIC)


def _check(queries: list[Mapping[str, Any]]) -> None:
    if len(queries) > MAX_QUERIES:
        raise Refused("ValidationError", f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.")
    ids = [str(query.get("Id", "")) for query in queries]
    if wrong := [each for each in ids if not ID.fullmatch(each)]:
        raise Refused(
            "ValidationError", f"The value {wrong[0]} for parameter Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )
    if len(set(ids)) != len(ids):
        raise Refused("ValidationError", "The values for parameter Id in MetricDataQueries are not unique.")
    for period in [int(query["MetricStat"]["Period"]) for query in queries if "MetricStat" in query]:
        if period not in SHORT_PERIODS and (period < 60 or period % 60):  # noqa: PLR2004 -- seconds of a minute
            raise Refused("ValidationError", f"Period must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}.")


def _series(backend: Backend, query: Mapping[str, Any], start: datetime, end: datetime, now: datetime) -> Series:
    """Count pulls by periods. UNCONFIRMED: that a period without a pull has no data point, and that periods begin with StartTime."""
    asked = query["MetricStat"]
    statistic, period = STATISTICS.get(asked["Stat"]), int(asked["Period"])
    if statistic is None:
        raise Refused(
            "ValidationError", f"The value {asked['Stat']} for parameter MetricDataQueries.member.1.MetricStat.Stat is not valid."
        )
    dimensions = {one["Name"]: one["Value"] for one in asked["Metric"].get("Dimensions") or []}
    minutes = backend.pulls.get(dimensions[DIMENSION], {}) if set(dimensions) == {DIMENSION} else {}
    if asked.get("Unit") not in {None, "Count"}:
        minutes = {}
    counts: dict[int, int] = {}
    first, last = start.timestamp(), end.timestamp()
    for minute, count in list(minutes.items()):
        at = minute * 60
        if first <= at < last and period >= _least_period(now.timestamp() - at):
            place = int((at - first) // period)
            counts[place] = counts.get(place, 0) + count
    points = [(start + timedelta(seconds=place * period), statistic(counts[place])) for place in sorted(counts)]
    return Series(query["Id"], query.get("Label") or METRIC, points)


def _least_period(age: float) -> float:
    return next((period for kept, period in KEPT if age <= kept.total_seconds()), float("inf"))


def _rounded(start: datetime, now: datetime) -> datetime:
    """Round a start down as CloudWatch does: to the minute, to five of them beyond 15 days, to the hour beyond 63."""
    unit = next((period for kept, period in KEPT if now - start <= kept), 3600)
    seconds = int(start.timestamp())
    return datetime.fromtimestamp(seconds - seconds % unit, UTC)


def _aware(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _page(series: list[Series], limit: int, place: int, question: str, *, newest_first: bool) -> dict[str, Any]:
    """Give the data points from a place on, query after query. UNCONFIRMED: that a later page names only what it has points of."""
    results: list[dict[str, Any]] = []
    total = sum(len(one.points) for one in series)
    begin = 0
    for one in series:
        ordered = one.points[::-1] if newest_first else one.points
        part = ordered[max(place - begin, 0) : max(place + limit - begin, 0)]
        if part or place == 0:
            results.append(
                {
                    "Id": one.id,
                    "Label": one.label,
                    "Timestamps": [at for at, _ in part],
                    "Values": [value for _, value in part],
                    "StatusCode": "PartialData" if ordered and begin + len(ordered) > place + limit else "Complete",
                }
            )
        begin += len(ordered)
    following = {"NextToken": base64.b64encode(f"{question}:{place + limit}".encode()).decode()} if place + limit < total else {}
    return {"MetricDataResults": results, "Messages": [], **following}


def _question(asked: Mapping[str, Any]) -> str:
    text = json.dumps({key: value for key, value in asked.items() if key != "NextToken"}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _place(asked: Mapping[str, Any]) -> int:
    if not asked.get("NextToken"):
        return 0
    try:
        question, place = base64.b64decode(asked["NextToken"], validate=True).decode().split(":")
        if question == _question(asked):
            return int(place)
    except (binascii.Error, ValueError):
        pass
    raise Refused("InvalidNextToken", "The next token is not valid, or belongs to a call with other parameters.")
