"""Figures, runs, the command, the explorer and the estimator."""
