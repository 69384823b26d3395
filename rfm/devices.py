"""Which devices share the work of a call, and how: by runs, or by modes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import psutil
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rfm import checks
from rfm.precision import flags

AXIS = "devices"
RUNS, MODES = "runs", "modes"
SHARE = 0.5  # of the free memory that a batch may fill: a program keeps copies of what is counted
OWN_GROUPS, CONTROL_GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
MOST_ON_CPU = 2**30  # bytes: larger batches gain nothing there


class Layout(NamedTuple):
    """Devices of this process in a row, and what they share: hashable, so that each setting compiles once.

    mesh: None for one device. split: RUNS, every device its own seeds and grid points; MODES, every device all runs
    and a part of the modes of their features and data, whose sums are contracted by psum.
    """

    mesh: Mesh | None = None
    split: str = RUNS

    @property
    def ways(self) -> int:
        """Devices."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def runs(self) -> int:
        """Parts that the runs of a batch are divided into."""
        return self.ways if self.split == RUNS else 1

    @property
    def modes(self) -> int:
        """Parts that the modes are divided into."""
        return self.ways if self.split == MODES else 1


def use_device(device: Any) -> AbstractContextManager[None]:
    """Open the scope in which a device is used, named by its platform or given; None for JAX's own choice."""
    if device is None:
        return nullcontext()
    names = sorted({d.platform for d in jax.devices()} | {"cpu"})
    if isinstance(device, str):
        with suppress(RuntimeError):
            device = jax.local_devices(backend=device)[0]
    if not isinstance(device, jax.Device):
        checks.fail("device", f"one that JAX has here, {' or '.join(map(repr, names))} or one of jax.devices()", device)
    return jax.default_device(device)


def _devices() -> list[Any]:
    chosen = flags.jax_default_device
    if isinstance(chosen, str):
        return jax.local_devices(backend=chosen)
    return jax.local_devices() if chosen is None else [chosen]


def on_cpu() -> bool:
    """Do runs take place on the host, by default or because `jax.default_device` says so?"""
    return _devices()[0].platform == "cpu"


def layout(split: str = RUNS) -> Layout:
    """All devices of this process, or the one that `jax.default_device` names."""
    checks.one_of("split", split, (RUNS, MODES))
    devices = _devices()
    if len(devices) == 1:
        return Layout(None, split)
    return Layout(jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices), split)


def spread(function: Callable, layout: Layout, shared: Any, runs: Any) -> Any:
    """function(shared, runs), every leaf of `runs` and of the result with a leading axis of runs.

    Their number must be a multiple of `layout.runs`. No device waits for another but in the sums over modes.
    """
    if layout.mesh is None:
        return function(shared, runs)
    spec = PartitionSpec(AXIS) if layout.split == RUNS else PartitionSpec()
    # loops carry constants from their start, whose variation over the mesh would have to be declared one by one
    specs = (PartitionSpec(), spec)
    return jax.shard_map(function, mesh=layout.mesh, in_specs=specs, out_specs=spec, check_vma=False)(shared, runs)


def spread_shapes(layout: Layout, runs: Any) -> Any:
    """Return the shapes of `runs`, of arrays or shapes, as `spread` takes and returns them."""
    sharding = None
    if layout.mesh is not None:
        sharding = NamedSharding(layout.mesh, PartitionSpec(AXIS) if layout.split == RUNS else PartitionSpec())
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), runs)


def over_runs(function: Callable, *args: Any) -> Any:
    """Map over the leading axis: at once on an accelerator, one run after another on CPU.

    There a single run fills the cores already, the chunks of all of them fall out of the cache (1.5 times slower), and
    how a sum is rounded would depend on how many there are. Batched LAPACK calls gain nothing there and can deadlock
    with a second device; on an accelerator they are 2.5 times faster than one by one.
    """
    if on_cpu():
        return lax.map(lambda xs: function(*xs), args)
    return jax.vmap(function)(*args)


def free_memory(layout: Layout) -> int:
    """Bytes that a batch may fill on each device: what the device reports free, or this machine's memory, shared."""
    device = _devices()[0] if layout.mesh is None else layout.mesh.devices.flat[0]
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return int(SHARE * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
    return min(MOST_ON_CPU, int(SHARE * available_memory())) // layout.ways


def available_memory() -> int:
    """Bytes that this process may take: of the machine without swapping, and of its job's or container's limit."""
    return min([psutil.virtual_memory().available, *_left_in_groups()])


def _left_in_groups() -> Iterator[int]:
    """Yield what the limits of all memory control groups around this process leave, in files of either version."""
    for line in _text(OWN_GROUPS).splitlines():
        _, kinds, place = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        root = CONTROL_GROUPS / kinds
        limit, usage, idle = ("memory.max", "memory.current", "inactive_file") if not kinds else (
            "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")  # fmt: skip
        for folder in (root / place.lstrip("/") / "x").parents:
            most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
            if most.isdigit() and used.isdigit():
                cached = dict(pair.split() for pair in _text(folder / "memory.stat").splitlines())
                yield max(0, int(most) - int(used) + int(cached.get(idle, 0)))
            if folder == root:
                break


def _text(path: Path) -> str:
    """Text of a file, nothing where it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
