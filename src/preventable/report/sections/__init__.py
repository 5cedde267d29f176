"""One file per kind of result: a saved JSON result of a command becomes a section of the report."""
