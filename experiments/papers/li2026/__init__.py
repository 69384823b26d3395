"""Best learning-rate schedules: Li et al. 2026 (arXiv 2602.06797), Bordelon and Mori 2026 (arXiv 2602.04774)."""
