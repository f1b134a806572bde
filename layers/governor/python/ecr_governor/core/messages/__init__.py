"""Slack messages as plain data, within Slack's limits."""
