"""One forward pass over a repository's history: which commit wrote each line, and when."""
