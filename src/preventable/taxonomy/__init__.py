"""Weakness classes, CWE map, methodologies and interventions: data with a source on every entry."""
