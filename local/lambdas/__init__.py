"""Lambda: built functions run by the real runtime interface client, each in its own process."""
