"""The operator's command line. It is in no Lambda bundle."""
