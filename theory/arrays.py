"""One set of equations for numpy and for JAX: the namespace of an array, and what a loop is in each.

Numbers that are known are evaluated by numpy at once, as nothing has to be compiled for them; those that a JAX
transformation follows, and whole grids, by XLA. An equation file asks for the namespace of what it is given,
`xp = namespace(x)`, and writes its formula once.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any  # of numpy or of JAX
KNOWN = (np.ndarray, np.generic, float, int, type(None))
Tree = TypeVar("Tree")
P = ParamSpec("P")
Result = TypeVar("Result")


def by_xla(*values: object) -> bool:
    """Is any leaf an array of JAX, so that XLA evaluates?"""
    for value in values:
        if isinstance(value, KNOWN):  # asked first, as the loops of numpy ask often
            continue
        if isinstance(value, jax.Array) or any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(value)):
            return True
    return False


def namespace(*values: object) -> Any:
    """Return jax.numpy if any of some arrays is one of JAX, else numpy."""
    for value in values:
        if not isinstance(value, KNOWN) and isinstance(value, jax.Array):
            return jnp
    return np


def evaluated(*static: str) -> Callable[[Callable[P, Result]], Callable[P, Result]]:
    """Decorate an equation: compiled where an argument is an array of JAX, else evaluated by numpy, without warnings.

    static: names of arguments that are not arrays.
    """

    def decorate(function: Callable[P, Result]) -> Callable[P, Result]:
        compiled = jax.jit(function, static_argnames=static)

        @functools.wraps(function)
        def evaluate(*args: P.args, **kwargs: P.kwargs) -> Result:
            if by_xla(args, kwargs):
                return compiled(*args, **kwargs)
            with np.errstate(all="ignore"):  # the values of branches that are not taken
                return function(*args, **kwargs)

        return evaluate

    return decorate


def stop_gradient(tree: Tree) -> Tree:
    """Return what no derivative goes through; numpy takes none."""
    return lax.stop_gradient(tree) if by_xla(tree) else tree


def shared(x: Any, counts: Any = True) -> Any:
    """Return the largest of what members of `jax.vmap` have, of those that count if any does, for all of them; else x.

    One number for all keeps what follows from it from being computed for each. No derivative goes through it.
    """
    return _shared(*map(lax.stop_gradient, (jnp.asarray(x), jnp.asarray(counts)))) if by_xla(x, counts) else x


@jax.custom_batching.custom_vmap
def _shared(x: Any, counts: Any) -> Any:
    return jnp.where(counts, x, x)


@_shared.def_vmap
def _shared_by_all(size: int, batched: list[bool], x: Any, counts: Any) -> tuple[Any, bool]:
    x, counts = (each if is_batched else each[None] for each, is_batched in zip((x, counts), batched, strict=True))
    counts = counts & jnp.isfinite(x)
    counts = counts | ~counts.any(0)  # where none does, all do
    return _shared(jnp.where(counts, x, -jnp.inf).max(0), counts.any(0)), False


def barrier(x: Any) -> Any:
    """Keep XLA from computing x anew at every use; numpy does not."""
    return lax.optimization_barrier(x) if by_xla(x) else x


def known_below(x: Any, bound: Any) -> bool:
    """Is x < bound everywhere? False where XLA follows x, as its loops have a fixed length."""
    return not by_xla(x, bound) and bool(np.all(x < bound))


def complex_of(real: Any, imag: Any) -> Any:
    """Join real and imaginary part."""
    if by_xla(real, imag):
        return lax.complex(real, imag)
    z = np.empty(np.shape(real), complex)
    z.real, z.imag = real, imag
    return z


def sinh(x: Any) -> Any:
    """sinh x with all digits at small x, where XLA's own loses them for complex x."""
    return 0.5 * (jnp.expm1(x) - jnp.expm1(-x)) if by_xla(x) else np.sinh(x)


def log1p(x: Any) -> Any:
    """log(1 + x) with all digits at small x, where numpy's own loses them for complex x, and near -1."""
    if by_xla(x) or not np.iscomplexobj(x):
        return namespace(x).log1p(x)
    u, v = np.real(x), np.imag(x)
    small = np.hypot(u, v) < 0.5
    size = np.where(small, 0.5 * np.log1p(np.where(small, u * (2.0 + u) + v * v, 0.0)), np.log(np.hypot(1.0 + u, v)))
    return complex_of(size, np.arctan2(v, 1.0 + u))


def repeat(count: int, step: Callable[[Tree], Tree], start: Tree, *, settled: float | None = None) -> Tree:
    """Apply a step so many times; settled: the share of known numbers that the last one need not move them by."""
    if by_xla(start):
        return lax.fori_loop(0, count, lambda _, carry: step(carry), start)
    for _ in range(count):
        before, start = start, step(start)
        if settled is not None and _settled(start, before, settled):
            break
    return start


def _settled(x: Any, before: Any, share: float) -> bool:
    return bool(np.all(np.abs(x - before) <= share * np.abs(x)))


def scan(step: Callable[[Any, Any], tuple[Any, Any]], start: Any, xs: Any) -> tuple[Any, Any]:
    """Carry a state along the first axis of xs and stack what each step gives, as `jax.lax.scan`."""
    if by_xla(start, xs):
        return lax.scan(step, start, xs)
    results, (leaves, tree) = [], jax.tree.flatten(xs)
    for parts in zip(*leaves, strict=True):
        start, result = step(start, tree.unflatten(parts))
        results.append(result)
    return start, jax.tree.map(lambda *parts: np.stack(parts), *results)


def choose(index: Array, branches: Sequence[Callable[..., Any]], *values: Any) -> Any:
    """Call the branch of a known or traced index, without keeping for derivatives what can be computed anew."""
    if not by_xla(index, values):
        return branches[int(index)](*values)
    return lax.switch(jnp.asarray(index, int), [jax.checkpoint(branch) for branch in branches], *values)


def over(function: Callable[[Any], Any], xs: Any) -> Any:
    """Apply a function to every entry of xs, one after the other, and stack, as `jax.lax.map`."""
    return scan(lambda _, x: ((), function(x)), (), xs)[1]
