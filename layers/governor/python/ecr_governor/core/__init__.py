"""The decisions. Pure: no I/O, no clock, no environment; what is known comes in, what should happen goes out."""
