"""EventBridge: event patterns, buses, rules, delivery to targets."""
