"""Estimators: arrays in, frozen results out, no input or output."""
