from typing import Any
from ecr_governor.core.documents.problem import DocumentProblem


def problems_of(document: dict[str, Any]) -> tuple[DocumentProblem, ...]:
    return ()
