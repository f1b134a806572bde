"""A policy on what has happened: CloudTrail's records of a registry, played through the decisions that the deployed system makes."""
