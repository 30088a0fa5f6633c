"""The command line: one module per family of verbs, thin. Data on stdout, messages on stderr."""
