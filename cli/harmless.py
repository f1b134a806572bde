"""Text for a terminal: what others have written says what it says, and commands nothing."""

from rich.text import Text

from ecr_governor.core.foreign_text import visible


def harmless(text: str, style: str = "") -> Text:
    """Give a line to print. A reason from Slack or a tag may hold what colours a terminal, turns its text round or begins another line."""
    return Text(visible(text), style=style)
