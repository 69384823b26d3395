"""Tolerances of the tests, each with its reason: a name says why two numbers may differ, and by how much.

A test that wants another number writes it down with its own reason.
"""

FORMULA = 1e-13  # a closed formula of a few operations, written twice
SAME_SUMS = 1e-12  # float64, the same operations: only the order of sums differs, as with seeds in other batches
POWERS = 1e-11  # thousands of steps against powers of a matrix that is not normal (momentum): rounding adds up
FIXED_POINT = 1e-10  # two solutions of the self-consistent equations, each solved until its residual is rounding
CONTOUR = 1e-9  # a curve by the contour against another way to it: what is left is the error of the quadrature
LATE = 1e-6  # the last of the times against t -> infinity: what is not yet learned
ROUNDING = 1e-14  # absolute: what is left of numbers of order one that cancel
STANDARD_ERRORS = 4  # a mean of independent draws against its expectation: 1 in 16,000 by chance
