"""Slack: by an incoming webhook, which can only post, or by a bot, which can also edit and answer."""
