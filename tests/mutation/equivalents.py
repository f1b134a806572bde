"""Mutants that do what the module does as it is, for whatever input: by reason and module, as they are printed."""

from collections.abc import Mapping, Sequence
from typing import Final

EQUIVALENT: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "a set of constants is only asked: that nobody can change it is a promise, not a behaviour": {
        "history": (
            "module: frozenset({Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED}) -> {Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED}",
        ),
        "snapshot": (
            (
                "module: frozenset({'application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'})"
                " -> {'application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'}"
            ),
        ),
        "state": (
            "module: frozenset({Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED}) -> {Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED}",
        ),
    },
    "the name of a type, from which nothing is computed": {
        "history": ("module: [int] -> []", "module: datetime | None -> datetime", "module: datetime | None -> None"),
    },
    "said to the type checker: what it leaves out cannot be there, since a line before has seen to that": {
        "decide": (
            "decide: Weight.DOUBT in weights or Weight.WAIT in weights or case.terms is None -> Weight.DOUBT in weights or Weight.WAIT in weights",
            "decide: None -> '' #2",
            "_quarantine_stands: isinstance(policy, str) and is_in_force(policy) -> is_in_force(policy)",
        ),
        "quarantine": (
            "released: policy is None or not is_ours(policy) -> not is_ours(policy)",
            "released: None -> ''",
            "same_text: bool(json.loads(one) == json.loads(other)) -> json.loads(one) == json.loads(other)",
        ),
        "snapshot": ("fingerprint: snapshot.unreadable or isinstance(snapshot.tags, Unreadable) -> snapshot.unreadable",),
    },
    "nothing and the empty text are both no answer, and only that is asked": {
        "calendar": ("dates: None -> '' #2",),
        "decide": ("_idle_days: None -> ''", "_without_images: None -> ''"),
        "history": ("_Life: None -> ''",),
    },
    "a shorter way to the same answer": {
        "evidence": (
            "_uses_of: {image.digest for image in snapshot.held} if uses else set() -> {image.digest for image in snapshot.held}",
        ),
        "quarantine": (
            "_statements: not policy or (SID not in policy and '\\\\' not in policy) -> not policy",
            "_statements: '\\\\' -> ''",
        ),
    },
    "the order of two that are only compared, or the choice between two that are the same": {
        "quarantine": ("released: same_text(policy, quarantined(original)) -> same_text(quarantined(original), policy)",),
        "snapshot": ("HeldImage.last_activity: at > last -> at >= last",),
    },
}
