"""The report that people read: what a sweep found, what goes next, and what nobody could find out."""
