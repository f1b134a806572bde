"""The embedded AWS: an account on this machine, written against AWS's documented behaviour."""
