"""From a record to its weakness class, with reasons."""
