"""What holds for all tests."""

from hypothesis import settings

# The same examples each time: a test that fails now and then would be believed by nobody.
settings.register_profile("project", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("project")
