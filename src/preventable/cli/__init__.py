"""One file per command, thin: parse arguments, call a study or reader, hand the result to ``output``."""
