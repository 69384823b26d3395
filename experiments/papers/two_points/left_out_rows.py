"""S11: test loss along the path of gradient descent, by rows left out and by generalized cross-validation."""

from typing import NamedTuple

import numpy as np

import rfm
import theory
from experiments.compare.verdicts import CONFIRMED, REFINED, Verdict, condition
from experiments.output import plotting, progress
from experiments.papers.row import Counts, Script, Shown
from experiments.papers.two_points.draws import Call, agrees

NOISE, RATIO = 0.25, 2  # variance of the label noise, features to a row
CLOSE, APART = 0.05, 0.2  # relative error of a mean that is right, and error of single runs that is no estimate
FALL = 0.5  # of the error of single runs from the fewest to the most rows: an estimate that converges leaves less
LEFT_OUT, NAIVE, TRAINED = 0, 3, plotting.TRAINING  # colours
BEYOND = 10  # times as many rows, for theory alone
LEAST = 0.02  # of the true test loss, below which nothing is drawn


class Setting(NamedTuple):
    """Rows, labels and a rate.

    Attributes:
        b: Of the eigenvalues k^-b; 0 for isotropic rows.
        lr: Learning rate.
        span: The factor between two numbers of steps.
        signs: Rows of random signs in place of Gaussian ones.
        bent: Standard deviation of products of neighbouring features in the labels.
    """

    b: float
    lr: float
    span: int
    signs: bool = False
    bent: float = 0.0

    def problem(self, width: int) -> rfm.Problem:
        """Return the linear problem that it is to first order: signal of variance one, all else noise."""
        eigenvalues = np.arange(1, width + 1.0) ** -self.b
        target = np.ones(width) / np.sqrt(eigenvalues.sum())
        return rfm.Problem(eigenvalues, target, NOISE + self.bent**2)

    def steps(self, count: int) -> np.ndarray:
        """Return even numbers of steps, (T,): half of them is a number of steps too."""
        return 2 * self.span ** np.arange(count)


SETTINGS = {
    "isotropic rows, linear target": Setting(0.0, 0.2, 2),
    "power law, linear target": Setting(1.25, 0.3, 5),
    "rows of signs, target not linear": Setting(0.0, 0.2, 2, signs=True, bent=0.5),
}


class Estimates(NamedTuple):
    """Test loss of runs and what says it, each (T,), or (D, T) for D draws."""

    truth: np.ndarray
    left_out: np.ndarray
    naive: np.ndarray
    training: np.ndarray

    def worst(self, estimate: np.ndarray) -> np.ndarray:
        """Return the largest relative error along the path of each draw, (D,)."""
        return np.max(np.abs(estimate / self.truth - 1.0), axis=-1)


def show(seed: int, *, rows: Counts, count: int, draws: int) -> Shown:
    """Show three estimates over the true test loss along the path, and the largest error of single runs against P."""
    figure, axes = plotting.new_figure(2, 2, width=4.4, caption="lines: theory at the most rows; " + plotting.POINTS)
    findings, table, last = [], [], axes[1, 1]
    for index, (name, setting) in enumerate(SETTINGS.items()):
        steps, ax = setting.steps(count), axes.flat[index]
        limit = limits(setting, rows[-1], steps)
        drawn = []
        for p in progress.over(rows, name):
            runs = [draw(np.random.default_rng([seed, index, p, i]), setting, p, steps) for i in range(draws)]
            drawn.append(Estimates(*np.stack(runs, 1)))
        for label, way, color in (("rows left out", 1, LEFT_OUT), ("GCV", 2, NAIVE), ("training loss", 3, TRAINED)):
            ax.plot(steps, limit[way] / limit.truth, color=plotting.COLORS[color], lw=1.3)
            for k in (0, len(rows) - 1):
                mean, error = averaged(drawn[k], drawn[k][way])
                text = f"{label}, P = {rows[k]}"
                plotting.draw_points(ax, steps, mean, error, color, label=text, hollow=k == 0)
            if way != 3:
                errors = np.array([runs.worst(runs[way]) for runs in drawn])  # (P, D)
                error = errors.std(1, ddof=1) / np.sqrt(draws)
                text = f"{label}: {name}" if way == 1 else None
                last.errorbar(rows, errors.mean(1), 2 * error, fmt=plotting.MARKERS[index], ms=3.6, lw=0.9, label=text,
                              color=plotting.COLORS[color])  # fmt: skip
        plotting.finish(ax, "steps", "estimated over true test loss", name)
        ax.set_ylim(bottom=max(LEAST, ax.get_ylim()[0]))
        table += [
            {"setting": name, "P": p, "steps": t} | {
                field: getattr(runs, field)[:, i].mean() for field in Estimates._fields
            } | {f"limit_{field}": getattr(limit, field)[i] for field in Estimates._fields}
            for p, runs in zip(rows, drawn, strict=True) for i, t in enumerate(steps)
        ]  # fmt: skip
        findings += judged(name, rows, drawn, (limit, limits(setting, BEYOND * rows[-1], steps)))
    plotting.finish(last, "rows $P$", "largest relative error of a run", "does it vanish with more rows?")
    return Shown(figure, table, tuple(findings))


def draw(rng: np.random.Generator, setting: Setting, p: int, steps: np.ndarray) -> np.ndarray:
    """Return the test loss of gradient descent on drawn rows, and three estimates of it, (4, T)."""
    problem = setting.problem(RATIO * p)
    eigenvalues, target = problem.spectrum()
    size, shape = np.sqrt(eigenvalues), (p, len(target))
    x = (rng.choice((-1.0, 1.0), shape) if setting.signs else rng.standard_normal(shape)) * size
    bent = setting.bent * (x[:, ::2] * x[:, 1::2]).sum(1) / np.sqrt(len(size) / 2)
    y = x @ target + bent + np.sqrt(NOISE) * rng.standard_normal(p)
    u, singular, back = np.linalg.svd(x / np.sqrt(p), full_matrices=False)
    left = (1.0 - setting.lr * singular**2) ** steps[:, None]  # (T, r)
    moment = u.T @ y
    weights = ((1.0 - left) / singular * moment / np.sqrt(p)) @ back
    truth = np.sum(((weights - target) * size) ** 2, 1) + float(problem.noise_var)
    training, response = np.sum((left * moment) ** 2, 1) / p, np.sum(left, 1) / p  # r = P: labels are fitted in the end
    optimizer = rfm.GradientDescent(setting.lr)
    left_out = rfm.estimated_test_loss(x, y, optimizer=optimizer, times=steps)
    return np.stack([truth, left_out, training / response**2, training])


def limits(setting: Setting, p: int, steps: np.ndarray) -> Estimates:
    """Return what they tend to by theory, (T,): the response at 2 k steps is what is left of pure noise after k."""
    problem = setting.problem(RATIO * p)
    eigenvalues, target = problem.spectrum()
    args = Call(num_features=np.inf, num_samples=p, optimizer=rfm.GradientDescent(setting.lr), times=steps)
    known = theory.predict(problem, **args)
    args["times"] = steps // 2
    response = theory.predict(rfm.Problem(eigenvalues, 0.0 * target, 1.0), **args).train_loss
    truth, training = np.asarray(known.test_loss), np.asarray(known.train_loss)
    return Estimates(truth, truth, training / np.asarray(response) ** 2, training)


def averaged(runs: Estimates, estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean estimate over the mean truth, and its standard error, (T,) each."""
    ratio = estimate.mean(0) / runs.truth.mean(0)
    apart = estimate / runs.truth.mean(0) - ratio * runs.truth / runs.truth.mean(0)
    return ratio, apart.std(0, ddof=1) / np.sqrt(len(estimate))


def judged(name: str, rows: Counts, drawn: list[Estimates], known: tuple[Estimates, Estimates]) -> list[Verdict]:
    """Judge that rows left out are right at all steps and that cross-validation is not, with many more rows too.

    What is known by theory is that of the most rows, and of BEYOND times as many: where the error has gone there, it
    stays at numbers of steps that grow with the rows, and the claim is refined.
    """
    ratio, error = averaged(drawn[-1], drawn[-1].left_out)
    off = np.abs(ratio - 1.0)
    errors = {way: [float(runs.worst(getattr(runs, way)).mean()) for runs in drawn] for way in ("left_out", "naive")}
    text = {way: f"{each[0]:.0%} at P = {rows[0]}, {each[-1]:.0%} at {rows[-1]}" for way, each in errors.items()}
    here, beyond = (float(np.abs(each.naive / each.truth - 1.0).max()) for each in known)
    return [
        condition(f"{name}: mean of rows left out, P = {rows[-1]}", f"within {CLOSE:.0%} at all steps",
                  f"off by {off.max():.1%} at most", bool(np.all(off < CLOSE + 2 * error))),
        condition(f"{name}: largest error along the path, rows left out", f"tends to 0: falls below {FALL:g} of itself",
                  text["left_out"], errors["left_out"][-1] < FALL * errors["left_out"][0]),
        condition(f"{name}: largest error along the path, GCV", f"does not: above {APART:.0%}",
                  f"{text['naive']}; theory {here:.0%}, {beyond:.0%} at {BEYOND} times as many",
                  min(errors["naive"][-1], here) > APART, yes=CONFIRMED if beyond > APART else REFINED),
        agrees(f"{name}: GCV over theory, P = {rows[-1]}", drawn[-1].naive, known[0].naive, rows[-1]),
    ]  # fmt: skip


main = Script(
    name="S11",
    title="Test loss along the path from the training rows",
    source="Patil, Wu and Tibshirani 2024 (arXiv 2402.16793)",
    claim="along the path of gradient descent generalized cross-validation does not converge to the test loss, for a "
    "linear target and isotropic rows too; leaving out a row does, uniformly, for other rows and targets too",
    show=show,
    full=dict(rows=(40, 80, 160, 320), count=7, draws=64),
    smoke=dict(rows=(20, 60), count=6, draws=8),
    limits="distributions of the error and prediction intervals from rows left out",
)
