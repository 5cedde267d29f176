"""One file per feed; each turns foreign bytes into records and a read report."""
