"""Who uses images: one file for each source. A source that cannot be read says so in its evidence, and raises nothing."""
