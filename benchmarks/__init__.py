"""The project's yardstick: one made-up registry, programs that judge it, and what each of them costs."""
