"""Functional scaling laws of schedules: Li et al. 2025 (arXiv 2509.19189)."""
