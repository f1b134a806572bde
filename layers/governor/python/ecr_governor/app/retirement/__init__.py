"""Retiring repositories: what is planned, how one step is carried out, and how it is taken back."""
