"""The only place where classes meet: one module for each kind of work, so that a function loads no more than it needs."""
