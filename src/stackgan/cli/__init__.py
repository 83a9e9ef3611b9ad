"""The command line: one file a verb, thin: parse -> one call -> one answer."""
