"""A Kubernetes cluster, and the images that its API names. It is only read, and only by listing."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import re2
import yaml
from kubernetes import config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from cli.trouble import Exit, Trouble
from ecr_governor.adapters.invalid import first_problem
from ecr_governor.adapters.usage.references import REGISTRY, parsed, tells_which
from ecr_governor.core.foreign_text import tidy

DEFAULT_KUBECONFIG: Final = "~/.kube/config"
PAGE: Final = 500
"""Objects of one page, as kubectl asks for them."""
TIMEOUT: Final = (10, 60)
"""Seconds to connect, and to wait for an answer."""
RETRIES: Final = Retry(total=3, backoff_factor=0.2, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False)
BEGINNINGS: Final = 4
"""How often a list is begun whose pages grow too old while it is read."""
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, GONE = 200, 401, 403, 404, 410
LONGEST_SAID: Final = 500
"""Characters of a cluster's answer that are shown."""

FIELDS: Final = frozenset({"image", "imageID", "imageRef", "reference"})
"""Fields that are there to name an image: of containers of every kind, of their statuses, of volumes made of an image."""
# Elsewhere an image may be named by an annotation, a variable, an argument: of operators that start it, or of who injects it.
_REFERENCE: Final = re2.compile(
    rf"(?i:{REGISTRY})/[a-z0-9](?:[a-z0-9._/-]*[a-z0-9])?(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@sha256:[0-9a-f]{{64}})?"
)
LONGEST_REFERENCE: Final = 1000
"""Characters. ECR's names and tags take less; what is longer would only fill the file."""
_NAMESPACE: Final = re2.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_CUSTOM: Final = re2.compile(r"([a-z0-9.-]+\.[a-z0-9.-]+)/(v[a-z0-9]+)/([a-z0-9]+)")


@dataclass(frozen=True, slots=True)
class Resource:
    """What the API lists; `group` is "" for the core group."""

    group: str
    version: str
    plural: str

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None) -> str:
        """Say where the list is, of one namespace or of all."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"


PODS: Final = Resource("", "v1", "pods")
RESOURCES: Final = (
    PODS,
    Resource("", "v1", "podtemplates"),
    Resource("", "v1", "replicationcontrollers"),
    # The history of StatefulSets and DaemonSets; that of Deployments is their ReplicaSets.
    Resource("apps", "v1", "controllerrevisions"),
    Resource("apps", "v1", "daemonsets"),
    Resource("apps", "v1", "deployments"),
    Resource("apps", "v1", "replicasets"),
    Resource("apps", "v1", "statefulsets"),
    Resource("batch", "v1", "cronjobs"),
    Resource("batch", "v1", "jobs"),
)
"""All that runs, that may start pods later, or that these can be rolled back to."""


@dataclass(slots=True)
class Named:
    """The images that objects name: digests of any registry, references to ECR's; and how many objects there were."""

    digests: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    objects: int = 0

    def add(self, item: object) -> None:
        """Look through one object, as deep as it goes."""
        self.objects += 1
        waiting: list[tuple[object, bool]] = [(item, False)]
        while waiting:
            value, meant = waiting.pop()
            if isinstance(value, dict):
                # Half of an object may be notes on who manages which field; they hold no values.
                waiting += [(below, key in FIELDS) for key, below in value.items() if key != "managedFields"]
            elif isinstance(value, list):
                waiting += [(below, meant) for below in value]
            elif isinstance(value, str):
                self._add_text(value, meant=meant)

    def merge(self, other: "Named") -> None:
        """Take over what others name."""
        self.digests |= other.digests
        self.images |= other.images
        self.objects += other.objects

    def _add_text(self, text: str, *, meant: bool) -> None:
        # A digest elsewhere may be that of anything, a secret's for example.
        if meant and (digest := parsed(text).digest):
            self.digests.add(digest)
        for match in _REFERENCE.finditer(text):
            reference = match[0]
            if len(reference) <= LONGEST_REFERENCE and tells_which(reference):
                self.images.add(reference)
                if digest := parsed(reference).digest:
                    self.digests.add(digest)


class _ListMeta(BaseModel):
    model_config = ConfigDict(strict=True)

    following: str = Field(default="", alias="continue")


class _Page(BaseModel):
    """One page of a list. What is no list must not pass for an empty one."""

    model_config = ConfigDict(strict=True)

    kind: Annotated[str, StringConstraints(pattern="List$")]
    metadata: _ListMeta
    # Older servers write null for no objects.
    items: list[dict[str, Any]] | None


class Cluster:
    """One cluster. `name` is what the kubeconfig calls it, "" if there is none."""

    def __init__(self, configuration: Configuration, name: str) -> None:
        self.name = name
        self._client = ApiClient(configuration)

    @classmethod
    def connect(cls, kubeconfig: str | None, context: str | None) -> "Cluster":
        """Find the cluster: by a kubeconfig, or, in a pod and without one, by its service account. Raises Trouble."""
        # What it says of each attempt is said at the end, in three lines.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        configuration = Configuration()
        configuration.retries = RETRIES
        if kubeconfig is None and _is_there(DEFAULT_KUBECONFIG):
            kubeconfig = DEFAULT_KUBECONFIG
        if kubeconfig is None:
            _load_service_account(configuration, context)
            return cls(configuration, "")
        if not any(map(_is_there, kubeconfig.split(os.pathsep))):
            raise Trouble("there is no kubeconfig", f"{kubeconfig} is not there", "check --kubeconfig, or the variable KUBECONFIG")
        with _kubeconfig_troubles(kubeconfig), _said_nothing():
            contexts, current = config.list_kube_config_contexts(kubeconfig)
            config.load_kube_config(kubeconfig, context, configuration, persist_config=False)
            chosen = next((each for each in contexts if each["name"] == context), current)
            name = str(chosen["context"]["cluster"])
        return cls(configuration, name)

    def check_namespaces(self, namespaces: Sequence[str]) -> None:
        """Raise Trouble for a namespace that is not there: the API lists nothing in it and says nothing of that."""
        for namespace in namespaces:
            if not _NAMESPACE.fullmatch(namespace):
                raise Trouble(f"{tidy(namespace) or 'nothing'} is no namespace", "it is no name that Kubernetes takes", "check --namespace")
            answer = self._get(f"/api/v1/namespaces/{namespace}")
            if answer.status == NOT_FOUND:
                raise Trouble(f"there is no namespace {namespace}", answer.said, "check --namespace and --context")
            answer.check(f"the namespace {namespace}")

    def named_by(self, resource: Resource, namespace: str | None) -> Named:
        """Read one list to its end, of one namespace or of all. Raises Trouble if any of it is not to be had."""
        for _ in range(BEGINNINGS):
            named, token = Named(), ""
            while page := self._page(resource, namespace, token):
                for item in page.items or ():
                    named.add(item)
                if not page.metadata.following:
                    return named
                if page.metadata.following == token:
                    raise _no_list(resource, "a page is said to be followed by itself")
                token = page.metadata.following
        why = f"its pages were gone {BEGINNINGS} times before the last of them was read"
        raise Trouble(f"{resource} could not be listed", why, "try again when less is changing", Exit.INCOMPLETE)

    def _page(self, resource: Resource, namespace: str | None, token: str) -> _Page | None:
        """Read one page; None if the list must be begun anew."""
        query = [("limit", str(PAGE))] + ([("continue", token)] if token else [])
        answer = self._get(resource.path(namespace), query)
        # A page is kept for some minutes. With the token that comes with the refusal the list would go on, but not be of one time.
        if answer.status == GONE and token:
            return None
        answer.check(str(resource))
        try:
            return _Page.model_validate_json(answer.body)
        except ValidationError as error:
            raise _no_list(resource, first_problem(error)) from error

    def _get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> "_Answer":
        """Ask by the client's way to ask, for JSON as it comes: its classes for each kind drop fields that they do not know yet."""
        request = self._client.param_serialize(
            "GET", path, query_params=list(query), header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=TIMEOUT)
            return _Answer(answer.status, answer.reason or "", answer.read())
        # The client makes an ApiException of a certificate that is not accepted.
        except (ApiException, HTTPError) as error:
            said = str(error.reason if isinstance(error, ApiException) else error)
            do = "check the server that the kubeconfig names, proxy and certificates"
            raise Trouble("the cluster cannot be reached", tidy(said)[:LONGEST_SAID], do, Exit.INCOMPLETE) from error
        except ValueError:
            # What it says would show the token.
            why = "the token, or the server's address, has characters that cannot be sent"
            raise Trouble("the cluster cannot be asked", why, "check what the kubeconfig names") from None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    body: bytes

    @property
    def said(self) -> str:
        """What the cluster says of a refusal, in its own words if it has any."""
        said = self.reason
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            said = str(json.loads(self.body)["message"])
        return f"HTTP {self.status}: {tidy(said)[:LONGEST_SAID]}"

    def check(self, what: str) -> None:
        """Raise Trouble for a refusal."""
        if self.status == OK:
            return
        if self.status == UNAUTHORIZED:
            do = "log in to the cluster again, or check --kubeconfig and --context"
            raise Trouble("the cluster does not accept the credentials", self.said, do, Exit.CREDENTIALS)
        if self.status == FORBIDDEN:
            raise Trouble(
                f"{what} may not be read",
                self.said,
                "allow it: docs/examples/evidence-cronjob.yaml has all that is needed",
                Exit.INCOMPLETE,
            )
        if self.status == NOT_FOUND:
            do = "check --also; the rest takes Kubernetes 1.21 or later"
            raise Trouble(f"the cluster knows no {what}", self.said, do, Exit.INCOMPLETE)
        raise Trouble(f"{what} could not be read", self.said, "try again", Exit.INCOMPLETE)


def custom_resource(text: str) -> Resource:
    """Read `GROUP/VERSION/PLURAL`. Raises Trouble."""
    match = _CUSTOM.fullmatch(text)
    if match is None:
        raise Trouble(f"{tidy(text) or 'nothing'} is no resource", "it is not GROUP/VERSION/PLURAL", "--also keda.sh/v1alpha1/scaledjobs")
    return Resource(match[1], match[2], match[3])


def _is_there(path: str) -> bool:
    try:
        return Path(path).expanduser().is_file()
    # In a container the user may have no home, or one that it may not enter.
    except (RuntimeError, OSError):
        return False


def _load_service_account(configuration: Configuration, context: str | None) -> None:
    if context is not None:
        why = f"neither --kubeconfig nor KUBECONFIG names one, and {DEFAULT_KUBECONFIG} is not there"
        raise Trouble(f"there is no context {tidy(context)}", why, "give --kubeconfig")
    try:
        config.load_incluster_config(configuration)
    except (ConfigException, OSError) as error:
        why = f"there is no kubeconfig, and this is no pod with a service account: {error}"
        raise Trouble("there is no cluster to ask", why, "give --kubeconfig, and --context if it is not the current one") from error


@contextmanager
def _kubeconfig_troubles(kubeconfig: str) -> Iterator[None]:
    try:
        yield
    # The client checks little of what it reads: what is of another shape shows by what cannot be done with it.
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        why = tidy(str(error))[:LONGEST_SAID]
        raise Trouble(f"{kubeconfig} is no kubeconfig to go by", why, "check --kubeconfig and --context") from error


class _Said(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(record.getMessage())


@contextmanager
def _said_nothing() -> Iterator[None]:
    """Raise Trouble for what the client only logs: that a command which the kubeconfig names for credentials failed."""
    said = _Said()
    logging.getLogger().addHandler(said)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(said)
    if said.lines:
        why = tidy(said.lines[0])[:LONGEST_SAID]
        raise Trouble("there are no credentials for the cluster", why, "log in as the kubeconfig's user does", Exit.CREDENTIALS)


def _no_list(resource: Resource, why: str) -> Trouble:
    return Trouble(f"{resource} could not be listed", tidy(why)[:LONGEST_SAID], "check what stands before the cluster", Exit.INCOMPLETE)
