"""An inventory: the lines of `audit --output jsonl`, or of a sweep, as repositories that another policy can be tried on."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cli.trouble import Trouble
from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.facts_as_data import NOT_KEPT, repository_from_data
from ecr_governor.core.origin import Origin, Provenance, Signal
from ecr_governor.core.repository import Repository, Unreadable, Usage
from ecr_governor.core.rules import naming

LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""For a creation of which only the later uses are known: nothing of ECR's is older."""


@dataclass(frozen=True, slots=True)
class Line:
    """One repository of an inventory. `recorded` are its findings when it was judged by `judged_by`, the hash of a policy, "" if unknown.

    `counted`: all of its images were looked at, so that its last push and pull are the last ones.
    """

    repository: Repository
    owner: str | None
    recorded: Mapping[str, Mapping[str, Any]]
    undetermined: frozenset[str]
    judged_by: str
    counted: bool

    @property
    def place(self) -> tuple[str, str]:
        """Account and Region; "" where the inventory does not say."""
        return self.repository.account, self.repository.region


def read(path: Path) -> Iterator[Line]:
    """Read an inventory line by line. Raises Trouble with the line that is none."""
    judged_by = dict(_summaries(path))
    seen: set[tuple[str, str, str]] = set()
    for number, data in _objects(path):
        if "summary" in data:
            continue
        try:
            line = _line(data, judged_by)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise _none(path, number, f"it lacks {error}" if isinstance(error, KeyError) else str(error)) from error
        key = (*line.place, line.repository.name)
        if key in seen:
            raise _none(path, number, f"{line.repository.name} is there twice")
        seen.add(key)
        yield line


def gap(path: Path) -> str:
    """Why an inventory may lack repositories; "" if nothing says so. What a sweep wrote has no summary, and a line says by what it was judged.

    Raises Trouble.
    """
    complete: dict[tuple[str, str], bool] = {}
    audited: set[tuple[str, str]] = set()
    lines = 0
    for _, data in _objects(path):
        if isinstance(summary := data.get("summary"), dict):
            complete[str(summary.get("account", "")), str(summary.get("region", ""))] = summary.get("complete") is True
            continue
        lines += 1
        if "judged_by" not in data:
            audited.add((str(data.get("account", "")), str(data.get("region", ""))))
    if not (lines or complete):
        return "it is empty"
    if audited - complete.keys():
        return "its summary, the last line, is missing"
    return "" if all(complete.values()) else "the audit that made it was not complete"


def _summaries(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Read by which policy each Region was audited: that is told last."""
    for number, data in _objects(path):
        if "summary" in data:
            try:
                summary = data["summary"]
                yield (str(summary["account"]), str(summary["region"])), str(summary["policy_hash"])
            except (KeyError, TypeError) as error:
                raise _none(path, number, f"its summary lacks {error}") from error


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if not text.strip():
                    continue
                try:
                    data = json.loads(text)
                except (ValueError, RecursionError) as error:
                    what = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
                    raise _none(path, number, f"it is no JSON: {what}") from error
                if not isinstance(data, dict):
                    raise _none(path, number, "it is no JSON object")
                yield number, data
    except OSError as error:
        raise Trouble(f"{path} cannot be read", error.strerror or str(error), "give the path of an inventory") from error
    except ValueError as error:
        raise Trouble(
            f"{path} is no inventory", f"it is not JSON Lines: {error}", "ecr-governor audit --facts --output jsonl > inventory.jsonl"
        ) from error


def _none(path: Path, number: int, why: str) -> Trouble:
    return Trouble(f"{path}:{number} is no line of an inventory", why, "ecr-governor audit --facts --output jsonl > inventory.jsonl")


def _line(data: Mapping[str, Any], judged_by: Mapping[tuple[str, str], str]) -> Line:
    name, account, region = str(data["name"]), str(data.get("account", "")), str(data.get("region", ""))
    if not is_repository_name(name):
        raise ValueError(f"{name!r} is no repository name")
    origin = Origin(data["origin"])
    # How old a repository is, a line without facts tells only if a sweep wrote it.
    counted = data["images"] is not None and data.get("created_at") is not None
    if "facts" in data:
        repository = repository_from_data(name, account, region, origin, data["facts"])
        counted = isinstance(repository.usage, Usage) and repository.usage.images is not None
    else:
        repository = _without_facts(name, account, region, origin, data)
    return Line(
        repository,
        data["owner"] if data["owner"] is None else str(data["owner"]),
        {str(finding["rule"]): finding for finding in data["findings"]},
        frozenset(data["undetermined"]),
        str(data["judged_by"]).partition("/")[0] if "judged_by" in data else judged_by.get((account, region), ""),
        counted,
    )


def _without_facts(name: str, account: str, region: str, origin: Origin, data: Mapping[str, Any]) -> Repository:
    """Make of a line what it tells: name, origin, use. Whether it may be a cache it tells only where the origin is known."""
    created_at = datetime.fromisoformat(data["created_at"]) if data.get("created_at") else LONG_AGO
    last_push, last_pull = (datetime.fromisoformat(data[key]) if data[key] else None for key in ("last_push", "last_pull"))
    known = data["images"] is not None or last_push is not None or last_pull is not None
    usage: Usage | Unreadable = Usage(last_push, last_pull, data["images"], data["size_bytes"]) if known else NOT_KEPT
    # A finding on the name says that it is none; without one nobody can tell.
    told = any(finding["rule"] == naming.RULE.id for finding in data["findings"])
    may_be_cache = () if told else (Signal("the inventory does not say", (Origin.PULL_THROUGH_CACHE,), 0, cache_rules=True),)
    return Repository(
        name=name,
        arn=f"arn:aws:ecr:{region}:{account}:repository/{name}",
        account=account,
        region=region,
        created_at=created_at,
        tag_mutability=NOT_KEPT,
        encryption=NOT_KEPT,
        tags=NOT_KEPT,
        lifecycle_policy=NOT_KEPT,
        repository_policy=NOT_KEPT,
        scan_frequency=NOT_KEPT,
        images=NOT_KEPT,
        holds_image=NOT_KEPT if data["images"] is None else data["images"] > 0,
        creation_templates=NOT_KEPT,
        usage=usage,
        provenance=Provenance(origin, evidence=may_be_cache if origin is Origin.UNKNOWN else ()),
    )
