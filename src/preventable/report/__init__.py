"""Renders studies; computes nothing."""
