"""Adapters from file to weights: read by key, brought to one form, checked against a base, kept, merged, written."""
