"""Virtual time: one clock for every part, and what AWS does at set times."""
