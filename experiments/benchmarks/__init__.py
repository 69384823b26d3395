"""Scripts that print times as ratios measured side by side in one run; never timed tests."""
