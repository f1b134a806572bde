"""Routes of messages by which no message goes."""

from collections.abc import Iterator
from typing import Final

from ecr_governor.core.documents.lifecycle import is_wider
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.languages import Undecided
from ecr_governor.core.policy.lint.names import judges_names, uninhabited
from ecr_governor.core.policy.lint.remark import Found, undecided
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.policy.notifications import Route

_SLACK: Final[Path] = ("notifications", "slack")


def found(reading: Reading) -> Iterator[Found]:
    """Tell which routes are in vain."""
    policy = reading.policy
    slack = policy.notifications.slack
    for index, route in enumerate(slack.routes):
        yield from _shadowed(slack.routes, index, route)
    yield from _below_no_name(policy)
    everything = next((index for index, route in enumerate(slack.routes) if _takes_everything(route)), None)
    if slack.unowned is not None and everything is not None:
        what = f"routes[{everything}] takes every repository, whether or not its owner is known"
        yield Found("route-shadowed", (*_SLACK, "unowned", KEY), what, f"remove it, or narrow routes[{everything}]")


def _shadowed(routes: tuple[Route, ...], index: int, route: Route) -> Iterator[Found]:
    for place, earlier in enumerate(routes[:index]):
        if _covers(earlier, route):
            same = _covers(route, earlier)
            what = f"routes[{place}] takes {'the same repositories' if same else 'all that it would take'}"
            do = "remove one of the two" if same else f"put it above routes[{place}], or remove it"
            yield Found("route-shadowed", (*_SLACK, "routes", index, KEY), what, do)
            return


def _covers(one: Route, other: Route) -> bool:
    """Whether a route takes whatever another one takes."""
    return (
        (one.namespace in {None, ROOT} or f"{other.namespace or ROOT}/".startswith(f"{one.namespace}/"))
        and _wider(one.owner, other.owner)
        and all(key in other.tags and _wider(glob, other.tags[key]) for key, glob in one.tags.items())
        and _wider(one.actor, other.actor)
    )


def _wider(one: str | None, other: str | None) -> bool:
    """Whether a glob, or none, takes whatever another one takes. Of a `?` it is not worked out."""
    return one is None or (other is not None and (one == other or ("?" not in one and is_wider(one, other))))


def _takes_everything(route: Route) -> bool:
    return route.namespace == ROOT and route.owner is None and route.actor is None and not route.tags


def _below_no_name(policy: Policy) -> Iterator[Found]:
    named = ((index, route.namespace) for index, route in enumerate(policy.notifications.slack.routes) if route.namespace is not None)
    routes = [(index, prefix) for index, prefix in named if judges_names(policy, policy.namespace_of(f"{prefix}/any"))]
    try:
        nowhere = uninhabited(policy, (prefix for _, prefix in routes))
    except Undecided:
        yield undecided((*_SLACK, "routes", KEY), "the convention allows too much to be compared with the routes")
        return
    for index, prefix in routes:
        if prefix in nowhere:
            assert policy.naming is not None  # noqa: S101 - there is a convention
            at = (*_SLACK, "routes", index, "namespace")
            what = f"no name that keeps {policy.naming.convention} is below {prefix}"
            yield Found("route-unreachable", at, what, f'correct the prefix, or add "{prefix}/*" to naming.ignore')
