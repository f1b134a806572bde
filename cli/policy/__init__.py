"""Policy as code: the commands that check, show, test and compare policy files."""
