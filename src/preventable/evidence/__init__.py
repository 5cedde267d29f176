"""The evidence store: Parquet tables with the provenance of every load."""
