"""Repeated data: Yan et al. 2025 (arXiv 2511.13421)."""
