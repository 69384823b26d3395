"""Decay without a schedule: Smith et al. 2018 (arXiv 1711.00489) for batches, averages of the weights beside them."""
