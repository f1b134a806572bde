"""ECR's wildcard: `*` stands for any run of characters, every other character for itself.

Matching never goes through `re`: filters come from users, and `*-snap` is no regular expression.
"""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches the pattern. Linear in the text for each `*`, no backtracking blow-up."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def scan_filter_matches(pattern: str, name: str) -> bool:
    """Match a scanning filter: one without `*` matches every name that contains it (user guide, "Filters for image scanning")."""
    return matches(pattern, name) if "*" in pattern else pattern in name
