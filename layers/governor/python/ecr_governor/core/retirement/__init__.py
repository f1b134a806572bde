"""Retiring what is unused: in steps that can be taken back until the last, each with its reasons. Pure: time and evidence are arguments."""
