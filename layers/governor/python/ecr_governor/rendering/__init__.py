"""Formats: how audits and reports are written down. They read what `core` has made and talk to nobody."""
