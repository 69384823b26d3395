"""Measured losses to laws: `fit_losses` is the one call, and what `rfm fit` does."""

from experiments.fit.call import Outcome, fit_losses

__all__ = ["Outcome", "fit_losses"]
