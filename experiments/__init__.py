"""Where simulation and theory meet: comparison, fits, figures and the command line."""
