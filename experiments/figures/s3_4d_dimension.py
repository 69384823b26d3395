"""S3 on teacher-student networks: the exponents of the resolution-limited loss against the dimension of the inputs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from experiments import networks, plotting
from experiments.compare import standard_error
from experiments.findings import CLOSE, CONFIRMED, CONTRADICTED, REFINED, Finding
from experiments.fits import log_slope
from experiments.rows import Script, Shown

TEACHER = 64  # width of the teachers, of two hidden layers as the students
LR = 5e-3  # of Adam, falling to zero as a cosine
RESOLVED = 0.5  # data limit the loss where the training loss is below this part of it, else training time does
SYMBOL = {"width": r"$\alpha_P$", "data": r"$\alpha_D$"}


def show(
    seed: int, dims: tuple, widths: tuple, samples: tuple, wide: int, pool: int, batch: int, steps: int, seeds: int
) -> Shown:
    """Test loss against parameters and against data for every dimension, and its exponents beside 4/d.

    Inputs of all dimensions are padded with zeros to one length, so that they train side by side in one program.
    """
    keys = jax.random.split(jax.random.key(seed), len(dims) * seeds)
    d = jnp.repeat(jnp.array(dims), seeds)
    pools = _pools(keys, d, max(dims), 2 * pool)
    train = partial(_train, batch=batch, steps=steps)
    limited = {"width": [], "data": []}
    with tqdm(total=len(widths) + len(samples), unit="size") as bar:
        for n in widths:
            limited["width"].append(np.asarray(train(_student(dims, n), *pools, pool, keys)))
            bar.update()
        for size in samples:
            limited["data"].append(np.asarray(train(_student(dims, wide), *pools, size, keys)))
            bar.update()
    both = {name: np.array(points, float).reshape(-1, 2, len(dims), seeds) for name, points in limited.items()}
    losses = {name: points[:, 0] for name, points in both.items()}  # (X, dims, S)
    part = both["data"].mean(-1)
    resolved = {"width": np.ones((len(widths), len(dims)), bool), "data": part[:, 1] < RESOLVED * part[:, 0]}
    sizes = {
        "width": np.array([[n * (d + 1) + n * n + n for d in dims] for n in widths], float),
        "data": np.repeat(np.array(samples, float)[:, None], len(dims), axis=1),
    }  # (X, dims)

    figure, axes = plotting.new_figure(1, 3, caption="points: networks, two standard errors over teachers; lines: fits")
    titles = ("parameters", f"data {pool}, {seeds} teachers"), ("data $P$", f"width {wide}, {seeds} teachers")
    findings, table = [], []
    for index, (name, (label, title)) in enumerate(zip(losses, titles, strict=True)):
        alphas, errors = [], []
        for j, dim in enumerate(dims):
            x, y = sizes[name][:, j], losses[name][:, j].T  # (S, X)
            use = resolved[name][:, j] if resolved[name][:, j].sum() > 2 else np.ones(len(x), bool)
            each = np.array([-log_slope(x[use], one[use]) for one in y])
            alphas.append(each.mean())
            errors.append(float(standard_error(each[:, None])[0]))
            line = np.exp(np.log(y[:, use]).mean() - alphas[-1] * (np.log(x) - np.log(x[use]).mean()))
            told = f"$d$ = {dim}: {SYMBOL[name]} = {alphas[-1]:.2f}, $4/d$ = {4 / dim:.2f}"
            plotting.draw_pair(axes[0, index], x, y, x[use], line[use], told, j)
            quantity = f"{'alpha_P' if name == 'width' else 'alpha_D'} at d = {dim}, {x[use][0]:g} to {x[use][-1]:g}"
            findings.append(_finding(quantity, alphas[-1], errors[-1], 4 / dim))
            table += [
                {"axis": name, "d": dim, "size": n, "loss": m, "stderr": s, "training_loss": t}
                for n, m, s, t in zip(x, y.mean(0), standard_error(y), both[name][:, 1, j].mean(-1), strict=True)
            ]
        plotting.finish(axes[0, index], label, "test loss, labels of variance one", title)
        axes[0, index].set_ylim(bottom=axes[0, index].get_ylim()[0] / 30)
        style = dict(color=plotting.COLORS[index], fmt=plotting.MARKERS[index], ms=4)
        axes[0, 2].errorbar(dims, alphas, 2 * np.array(errors), label=f"{SYMBOL[name]}, measured", **style)
    span = np.linspace(min(dims), max(dims), 50)
    axes[0, 2].plot(span, 4 / span, "k:", label="S3: $4/d$")
    plotting.finish(axes[0, 2], "dimension $d$ of the inputs", "exponent", "exponents beside $4/d$", log=False)
    axes[0, 2].set_ylim(bottom=0.0)
    return Shown(figure, table, tuple(findings))


def _finding(quantity: str, alpha: float, error: float, claim: float) -> Finding:
    """4/d is met, or exceeded (S3: a bound, met by generic targets), or missed."""
    near = max(CLOSE, 2.0 * error)
    verdict = CONFIRMED if abs(alpha - claim) <= near else REFINED if alpha > claim else CONTRADICTED
    told = {CONFIRMED: "", REFINED: ": above the bound", CONTRADICTED: ": below the bound"}[verdict]
    return Finding(quantity, f"{claim:.3f}", f"{alpha:.3f} ± {error:.3f}{told}", verdict)


def _student(dims, width):
    return networks.build((max(dims) + 1, width, width, 1), "standard", "adam")


@partial(jax.jit, static_argnames=("most", "count"))
def _pools(keys, d, most, count):
    """Inputs (R, count, most + 1), uniform in a cube of d dimensions beside a constant, and labels of variance one."""
    network = networks.build((most + 1, TEACHER, TEACHER, 1))

    def one(key, d):
        own, draw = jax.random.split(key)
        x = jax.random.uniform(draw, (count, most), jnp.float32, -(3.0**0.5), 3.0**0.5)
        x = jnp.concatenate([jnp.where(jnp.arange(most) < d, x, 0.0), jnp.ones((count, 1), jnp.float32)], axis=1)
        x = x * jnp.sqrt((most + 1) / (d + 1)).astype(jnp.float32)  # |x|^2 as without zeros
        y = networks.apply(network, networks.init(network, own), x)
        return x, (y - y.mean()) / y.std()

    return jax.vmap(one)(keys, d)


@partial(jax.jit, static_argnames=("batch", "steps"))
def _train(network, x, y, size, keys, batch, steps):
    """Test and training loss (2, R), after training on batches of the first `size` rows of the pool in turn.

    The test is on the second half of the pool.
    """
    import optax

    half = x.shape[1] // 2
    weight = jnp.full(batch, 1.0 / batch, jnp.float32)

    def one(x, y, key):
        def sample(i):
            rows = (i * batch + jnp.arange(batch)) % size
            return x[rows], y[rows], weight

        steps_of = networks.rule(network, "adam", optax.cosine_decay_schedule(jnp.float32(LR), steps))
        params = networks.init(network, jax.random.fold_in(key, 1))
        test = x[half:], y[half:], jnp.full(half, 1.0 / half, jnp.float32)
        trained = x[:half], y[:half], ((jnp.arange(half) < size) / size).astype(jnp.float32)
        params, losses = networks.train(network, params, steps_of, sample, test, jnp.array([steps]))
        return jnp.array([losses[0], networks.loss(network, params, *trained)])

    return jax.vmap(one, out_axes=1)(x, y, keys)


main = Script(
    name="S3-4d",
    title="Teacher-student networks: exponents against the dimension of the inputs",
    source="Bahri et al. 2021 (arXiv 2102.06701); Sharma and Kaplan 2022 (arXiv 2004.10802): teacher-student networks",
    claim="the resolution-limited exponents of piecewise linear networks are 4/d, for data and for parameters",
    show=show,
    full=dict(dims=(2, 3, 4, 6, 9), widths=(6, 12, 24, 48), samples=(64, 128, 256, 512, 1024, 2048), wide=64,
              pool=8192, batch=64, steps=12_000, seeds=4),
    smoke=dict(dims=(2, 4), widths=(2, 4), samples=(16, 32), wide=16, pool=256, batch=16, steps=100, seeds=2),
    limits=(
        "d = 5, 7 and 8, and students of more than 2,900 parameters or data of more than 2,048 rows, are not run here. "
        "On a GPU: from experiments.figures.s3_4d_dimension import show; show(0, dims=(2, 3, 4, 5, 6, 7, 8, 9), "
        "widths=(8, 16, 32, 64, 128, 256), samples=(256, 1024, 4096, 16384, 65536), wide=512, pool=2**18, batch=256, "
        "steps=50_000, seeds=8)."
    ),
)  # fmt: skip
