"""Frozen dataclasses as JAX pytrees that are validated when built by a user and never when rebuilt by JAX."""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def pytree(cls: type[T]) -> type[T]:
    """Make a frozen dataclass whose fields are leaves, but for those marked `static()`.

    `jax.tree_util.register_dataclass` would run `__post_init__`, hence the input checks, on every unflatten;
    here unflattening fills the fields directly.
    """
    made: Any = dataclasses.dataclass(frozen=True, eq=False)(cls)
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


def static(**kwargs: Any) -> Any:
    """Declare a field that is part of the structure: hashable, compared when JAX decides whether to compile again."""
    return dataclasses.field(metadata={"static": True}, **kwargs)
