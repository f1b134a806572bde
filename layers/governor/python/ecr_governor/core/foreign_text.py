"""Foreign text made fit to be shown: names, tags and identities are chosen by others."""

# After @ and # an unseen space: a mention or a reference is looked for only after characters have been unescaped.
_UNSEEN = "&#8203;"
_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "|": "&#124;",
        "`": "&#96;",
        "$": "&#36;",
        "@": f"&#64;{_UNSEEN}",
        "#": f"&#35;{_UNSEEN}",
        **{character: f"\\{character}" for character in "\\*_[]~!"},
    }
)


def visible(text: str) -> str:
    """Foreign text on one line: breaks become spaces; control, direction and other unseen characters are left out."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " if character.isspace() else "" for character in text)


def tidy(text: str) -> str:
    """Visible text with single spaces, and none at its ends."""
    return " ".join(visible(text).split())


def escaped(text: str) -> str:
    """Foreign text as Markdown that shows just that text."""
    return tidy(text).translate(_ESCAPES).replace("://", ":&#47;/").replace("www.", "www&#46;")
