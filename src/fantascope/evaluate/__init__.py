"""Measuring a model: a benchmark in GenEval's shape over its own vocabulary, with statistics and a report."""
