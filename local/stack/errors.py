"""What can be wrong with a template here."""


class StackError(Exception):
    """The template asks for something that does not exist, or that the embedded AWS does not understand."""
