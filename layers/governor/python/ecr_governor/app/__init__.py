"""The use cases: gather facts through ports, let the core decide, apply what it permits."""
