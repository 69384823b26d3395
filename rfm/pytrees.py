"""Frozen dataclasses as JAX pytrees that are validated when built by a user and never when rebuilt by JAX.

Two of one type are equal where all their numbers are, whatever holds them, and hash alike; what JAX follows is equal to
itself alone.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np

from rfm import display
from rfm.precision import is_traced

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def pytree(cls: type[T]) -> type[T]:
    """Make a frozen dataclass whose fields are leaves, except the fields marked `static()`.

    `jax.tree_util.register_dataclass` would run `__post_init__`, hence the input checks, on every unflatten;
    here unflattening fills the fields directly.
    """
    made: Any = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
    made.__eq__, made.__hash__ = _equal, _hash
    if "__repr__" not in vars(cls):
        made.__repr__ = display.fields_of
    fields = dataclasses.fields(made)
    data = [f.name for f in fields if not f.metadata.get("static")]
    meta = [f.name for f in fields if f.metadata.get("static")]

    def flatten_with_keys(obj: T) -> tuple[tuple, tuple]:
        children = tuple((jax.tree_util.GetAttrKey(name), getattr(obj, name)) for name in data)
        return children, tuple(getattr(obj, name) for name in meta)

    def unflatten(aux: Any, children: Iterable) -> T:
        obj = object.__new__(made)
        for name, value in (*zip(data, children, strict=True), *zip(meta, aux, strict=True)):
            object.__setattr__(obj, name, value)
        return obj

    jax.tree_util.register_pytree_with_keys(made, flatten_with_keys, unflatten)
    return made


def _equal(self: Any, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    (mine, form), (theirs, their_form) = jax.tree.flatten(self), jax.tree.flatten(other)
    return form == their_form and all(map(_same, mine, theirs))


def _same(x: Any, y: Any) -> bool:
    if x is y or is_traced(x, y) or callable(x) or callable(y):
        return x is y or (callable(x) and x == y)
    return np.array_equal(np.asarray(x), np.asarray(y))


def _hash(self: Any) -> int:
    leaves, form = jax.tree.flatten(self)
    return hash((type(self), form, *map(_digest, leaves)))


def _digest(x: Any) -> object:
    """Return a value that is equal for equal leaves, such as 4, 4.0 and an array of 4."""
    if is_traced(x):
        return id(x)
    if callable(x) or isinstance(x, str):
        return x
    values = np.asarray(x)
    return (values.shape, (values.astype(np.complex128) + 0.0).tobytes())


def static(**kwargs: Any) -> Any:
    """Declare a field that is part of the structure: hashable, compared when JAX decides whether to compile again."""
    return dataclasses.field(metadata={"static": True}, **kwargs)
