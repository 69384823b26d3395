"""This project's own claims on the next order in 1/N and 1/P; docs/second-order.md derives them."""
