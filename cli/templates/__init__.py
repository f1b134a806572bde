"""The commands `ecr-governor templates …`: the policy as creation templates, and what the registry has of them."""
