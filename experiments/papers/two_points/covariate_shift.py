"""S12: risk on test data of another covariance: harder and easier shifts, larger models, and the best training data."""

import numpy as np

import rfm
import theory
from experiments.compare.verdicts import condition
from experiments.output import plotting, progress
from experiments.papers.row import Counts, Script, Shown, Values
from experiments.papers.two_points.draws import NOISE, RIDGE, A, B, Model, agrees, fits

POWERS = np.linspace(-0.6, 0.6, 25)  # of the spectrum that is trained on, over that of the test data, less one


def show(seed: int, *, sizes: Counts, samples: int, shifts: Values, rows: Counts, modes: int, draws: int) -> Shown:
    """Show risk against N for every shift, and against the spectrum that is trained on at fixed test data."""
    problem, optimizer, rng = rfm.power_law(A, B, modes, NOISE), rfm.Ridge(RIDGE), np.random.default_rng(seed)
    lam, w = problem.spectrum()
    figure, axes = plotting.new_figure(1, 2, caption=plotting.CAPTION + plotting.POINTS)
    tests = {shift: bent(lam, -shift) for shift in shifts}
    drawn, known = np.zeros((len(shifts), draws, len(sizes))), np.zeros((len(shifts), len(sizes)))
    for j, n in enumerate(progress.over(sizes, "model size")):
        model = Model(n, samples, optimizer)
        off = (w - fits(rng, problem, np.broadcast_to(w, (draws, modes)), model, NOISE)) ** 2
        for i, there in enumerate(tests.values()):
            drawn[i, :, j] = off @ there
            known[i, j] = theory.shifted(problem, **model.arguments(), test_eigenvalues=there).risk[0]
    table = []
    for i, shift in enumerate(shifts):
        mean, error = drawn[i].mean(0), drawn[i].std(0, ddof=1) / np.sqrt(draws)
        axes[0, 0].plot(sizes, known[i], color=plotting.COLORS[i], lw=1.3)
        label = "no shift" if shift == 0 else f"test spectrum $\\lambda^{{{1 - shift:g}}}$"
        plotting.draw_points(axes[0, 0], np.array(sizes), mean, error, i, label=label)
        table += [
            {"shift": shift, "N": n, "risk": m, "stderr": e, "theory": t}
            for n, m, e, t in zip(sizes, mean, error, known[i], strict=True)
        ]
    plotting.finish(axes[0, 0], "model size $N$", "risk on the test data", f"P = {samples}: large models suffer less")
    best = []
    for i, p in enumerate(rows):
        risk = np.array([trained_on(problem, bent(lam, s), p) for s in POWERS])
        best.append(float(POWERS[np.argmin(risk)]))
        axes[0, 1].plot(1.0 + POWERS, risk, color=plotting.COLORS[i], lw=1.3, label=f"P = {p}")
        table += [{"P": p, "power": 1.0 + s, "theory": r} for s, r in zip(POWERS, risk, strict=True)]
    axes[0, 1].axvline(1.0, color=plotting.LIMIT, lw=0.8)
    plotting.finish(
        axes[0, 1], "power of the spectrum trained on", "risk on $\\lambda$", "best training data", log=False
    )
    harder = np.array([known[i] for i in np.argsort(shifts)])
    none, hardest = known[list(shifts).index(0.0)], known[int(np.argmax(shifts))]
    added, past = hardest - none, np.array(sizes) >= samples
    return Shown(figure, table, (
        agrees("simulation over theory, all shifts", drawn.swapaxes(0, 1).reshape(draws, -1), known.ravel(),
               min(min(sizes), samples)),
        condition("harder shifts have the larger risk, easier ones the smaller", "at every N",
                  f"at {int(np.all(np.diff(harder, axis=0) > 0, axis=0).sum())} of {len(sizes)} sizes",
                  bool(np.all(np.diff(harder, axis=0) > 0))),
        condition("risk that the hardest shift adds, from N = P on", "falls with N",
                  ", ".join(f"{x:.3g}" for x in added[past]), bool(np.all(np.diff(added[past]) < 0))),
        condition("best training spectrum, as a power of the test data's", "not 1: a mismatch helps",
                  ", ".join(f"{1 + s:.2f} at P = {p}" for s, p in zip(best, rows, strict=True)),
                  any(abs(s) > 0.1 for s in best)),
    ))  # fmt: skip


def bent(eigenvalues: np.ndarray, power: float) -> np.ndarray:
    """Return eigenvalues^(1 + power) of the same trace."""
    moved = eigenvalues ** (1.0 + power)
    return moved * eigenvalues.sum() / moved.sum()


def trained_on(problem: rfm.Problem, eigenvalues: np.ndarray, num_samples: int) -> float:
    """Return the risk on the data of a problem of the kernel that is trained on rows of another spectrum."""
    other = rfm.Problem(eigenvalues, problem.target, problem.noise_var)
    kernel = Model(np.inf, num_samples, rfm.Ridge(RIDGE)).arguments()
    return float(theory.shifted(other, **kernel, test_eigenvalues=problem.eigenvalues).risk[0])


main = Script(
    name="S12",
    title="Covariate shift: harder and easier test data, and the best data to train on",
    source="Tripuraneni, Adlam and Pennington 2021 (arXiv 2111.08234); Canatar et al. 2021 (2106.02261)",
    claim="shifts are ordered by difficulty, larger models are more robust, and a mismatch may help",
    show=show,
    full=dict(sizes=(20, 40, 80, 120, 160, 240, 400), samples=120, shifts=(-0.5, 0.0, 0.5, 1.0), rows=(30, 120, 1000),
              modes=300, draws=64),
    smoke=dict(sizes=(10, 20, 30, 60), samples=20, shifts=(-0.5, 0.0, 1.0), rows=(20, 500), modes=60, draws=32),
    limits="features of a nonlinear layer, and shifts that change eigenvectors",
)  # fmt: skip
