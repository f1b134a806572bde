"""`ecr-governor evidence`: files that say which images are in use where the deployment cannot ask."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import re2
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from cli.deployment import Deployment, refused
from cli.trouble import Exit, Trouble, check_output
from cli.whole_file import write_whole
from ecr_governor.adapters.invalid import first_problem
from ecr_governor.adapters.usage.aws_usage import Unheard
from ecr_governor.adapters.usage.files import LIMIT, EvidenceFile, read_file
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.retirement.evidence import Evidence

if TYPE_CHECKING:
    from cli.cluster import Cluster, Named

_FILE_NAME: Final = re2.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line. Without namespaces it is all of them."""

    kubeconfig: str | None
    context: str | None
    issuer: str | None
    valid_hours: int
    namespaces: Sequence[str] = ()
    also: Sequence[str] = ()
    allow_empty: bool = False
    out: Path | None = None


def collect(wish: Wish, deployment: Deployment | None) -> Exit:
    """Write which images a cluster names, to stdout, to a file, or to a deployment's bucket: all of it, or nothing."""
    if deployment and not _FILE_NAME.fullmatch(wish.issuer or ""):
        why = "the issuer is the file's name in the bucket, and two of one name would take each other's place"
        raise Trouble("no issuer to deliver for", why, "--issuer NAME, of letters, digits and . _ -")
    bucket = deployment.evidence() if deployment else None
    cluster = _cluster(wish)
    issuer = wish.issuer or cluster.name
    if not issuer:
        raise Trouble("no issuer", "nothing tells in a pod what the cluster is called", "--issuer NAME")
    # To the second, downwards: what changes from here on may be missing.
    at = datetime.now(UTC).replace(microsecond=0)
    named = _named_by(cluster, wish)
    file = _file(issuer, at, wish.valid_hours, named)
    text = file.model_dump_json(indent=1) + "\n"
    if len(text.encode()) > LIMIT:
        why = f"it would have more than {LIMIT:,} bytes, and such a file is not read"
        raise Trouble("the cluster names too many images for one file", why, "write several, each with its --namespace and --issuer")
    if wish.out:
        write_whole(wish.out, text)
    if deployment and bucket:
        try:
            address = bucket.put(issuer, text.encode())
        except (ClientError, BotoCoreError) as error:
            raise refused(error) from error
        sys.stderr.write(f"delivered: {address}\n")
    if not wish.out and not deployment:
        _print(text)
    sys.stderr.write(f"{_told(file)}, objects read: {named.objects:,}\n")
    return Exit.CLEAN


def check(paths: Sequence[Path], output: str) -> Exit:
    """Say of files who says so, as of when, until when, and of how many images. Raises Trouble if any of them would not be relied on."""
    check_output(output, "table", "json")
    now = datetime.now(UTC)
    told: list[dict[str, Any]] = []
    troubles: dict[Path, str] = {}
    for path in paths:
        try:
            file = read_file(path.read_bytes())
        except OSError as error:
            troubles[path] = error.strerror or str(error)
            continue
        except Unheard as error:
            troubles[path] = tidy(str(error))
            continue
        if doubt := Evidence(str(path), file.at, expires_at=file.expires_at).doubt(now):
            troubles[path] = doubt.removeprefix(f"{path} ")
            continue
        told.append({"file": str(path), **_data(file)})
        if output == "table":
            sys.stdout.write(f"{path}: {_told(file)}\n")
    if output == "json":
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    if troubles:
        ((path, why), *more) = troubles.items()
        what = f"{len(troubles)} of {len(paths)} files are no evidence" if more else f"{path} is no evidence"
        each = "".join(f"\n    {path}: {why}" for path, why in troubles.items()) if more else why
        raise Trouble(what, each, "collect it anew; docs/retirement.md has the format")
    return Exit.CLEAN


def _cluster(wish: Wish) -> "Cluster":
    try:
        from cli.cluster import Cluster  # noqa: PLC0415 - an extra, and heavy
    except ModuleNotFoundError as error:
        do = "where ECR Governor's source is: pip install '.[cli,kubernetes]'"
        raise Trouble("the client of Kubernetes is not installed", str(error), do) from error
    return Cluster.connect(wish.kubeconfig or None, wish.context)


def _named_by(cluster: "Cluster", wish: Wish) -> "Named":
    from cli.cluster import PODS, RESOURCES, Named, custom_resource  # noqa: PLC0415 - as above

    resources = [*RESOURCES, *map(custom_resource, dict.fromkeys(wish.also))]
    cluster.check_namespaces(wish.namespaces)
    named, pods = Named(), 0
    for namespace in dict.fromkeys(wish.namespaces) or (None,):
        for resource in resources:
            found = cluster.named_by(resource, namespace)
            named.merge(found)
            pods += found.objects if resource is PODS else 0
    if not pods and not wish.allow_empty:
        why = "a cluster that runs has some: this may be another one, or one that does not show all to whoever asks"
        do = "check --context and --namespace; if it is right, --allow-empty"
        raise Trouble("there is no pod at all", why, do, Exit.INCOMPLETE)
    if not pods:
        sys.stderr.write("there is no pod at all\n")
    return named


def _file(issuer: str, at: datetime, valid_hours: int, named: "Named") -> EvidenceFile:
    try:
        return EvidenceFile(
            issuer=issuer,
            at=at,
            expires_at=at + timedelta(hours=valid_hours),
            digests=tuple(sorted(named.digests)),
            images=tuple(sorted(named.images)),
        )
    except ValidationError as error:
        raise Trouble("the issuer cannot be written", first_problem(error), "--issuer NAME, of 256 characters at most") from error


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        raise Trouble("the file cannot be printed", error.strerror or str(error), "write it with --out", Exit.INCOMPLETE) from error


def _data(file: EvidenceFile) -> dict[str, Any]:
    until = Evidence("", file.at, expires_at=file.expires_at).good_until
    return {
        "issuer": file.issuer,
        "at": file.at.astimezone(UTC).isoformat(),
        "good_until": until.astimezone(UTC).isoformat(),
        "digests": len(set(file.digests)),
        "images": len(set(file.images)),
    }


def _told(file: EvidenceFile) -> str:
    data = _data(file)
    at, until = (data[key][:16].replace("T", " ") for key in ("at", "good_until"))
    return f"{tidy(file.issuer)}, as of {at}, good until {until} UTC; digests: {data['digests']:,}, images: {data['images']:,}"
