"""A Slack on this machine: takes webhooks, checks what Slack checks, shows the channel as a page."""
