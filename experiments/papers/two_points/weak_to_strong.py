"""S13: a student that is trained on a weak teacher's labels beats the teacher, and its risk falls by another law."""

import numpy as np

import rfm
import theory
from experiments.compare.verdicts import CONFIRMED, OPEN, condition, judge
from experiments.output import plotting, progress
from experiments.papers.row import Counts, Script, Shown, Values
from experiments.papers.two_points.draws import A, B, Call, Model, agrees, fits, risks
from theory import exponents

NOISE = 0.25
WEAK = 1e-6  # ridge of the teacher, next to none
RIDGES, LINE = (1e-8, 1.0), 49  # that are tried for a student of infinite size
BETWEEN = 0.05  # exponents at these sizes that count as the same


def show(seed: int, *, samples: Values, trained: Counts, times: int, ridges: Values, modes: int, draws: int) -> Shown:
    """Show the risk of teachers without a ridge and of the best students against P, and students in training runs."""
    figure, axes = plotting.new_figure(1, 2, caption=plotting.CAPTION + plotting.POINTS)
    infinite = rfm.power_law(A, B, None, NOISE)
    teachers, students, best = [], [], []
    for p in progress.over(samples, "samples"):
        teacher = Model(np.inf, p, rfm.Ridge(0.0)).arguments()
        teachers.append(float(theory.predict(infinite, **teacher).risk[0]))
        tried = [student_of(infinite, teacher, ridge) for ridge in np.geomspace(*RIDGES, LINE)]
        students.append(min(tried))
        best.append(float(theory.best_ridge(infinite, num_features=np.inf, num_samples=p).risk))
    names = {"teacher, no ridge": teachers, "best student": students, "best ridge on true labels": best}
    for i, (label, risk) in enumerate(names.items()):
        axes[0, 0].plot(samples, risk, color=plotting.COLORS[i], lw=1.3, ls="--" if i == 2 else "-", label=label)
    plotting.finish(axes[0, 0], "data $P$ of the teacher", "risk", "the student has the better law")
    table = [
        {"P": p, "teacher": x, "student": y, "best": z}
        for p, x, y, z in zip(samples, teachers, students, best, strict=True)
    ]
    problem, rng = rfm.power_law(A, B, modes, NOISE), np.random.default_rng(seed)
    n, p = trained
    teacher = Model(n, p, rfm.Ridge(WEAK))
    taught = fits(rng, problem, np.broadcast_to(problem.target, (draws, modes)), teacher, NOISE)
    strong = [Model(times * n, times * p, rfm.Ridge(ridge)) for ridge in ridges]
    drawn = np.stack([risks(problem, fits(rng, problem, taught, model, 0.0)) for model in strong], 1)
    weak = teacher.arguments()
    known = np.array([
        theory.student(problem, teacher=weak, **x.arguments(), noise_var=0.0).risk[0]
        for x in strong
    ])  # fmt: skip
    of_teacher, from_teacher = risks(problem, taught), float(theory.predict(problem, **weak).risk[0])
    axes[0, 1].plot(ridges, known, color=plotting.COLORS[1], lw=1.3)
    error = drawn.std(0, ddof=1) / np.sqrt(draws)
    plotting.draw_points(axes[0, 1], np.array(ridges), drawn.mean(0), error, 1, label=f"student, N, P {times} x larger")
    axes[0, 1].axhline(from_teacher, color=plotting.COLORS[0], lw=1.3, label=f"its teacher, N = {n}, P = {p}")
    plotting.finish(axes[0, 1], "ridge of the student", "risk", "trained models")
    table += [
        {"ridge": r, "risk": m, "stderr": e, "theory": t}
        for r, m, e, t in zip(ridges, drawn.mean(0), error, known, strict=True)
    ]
    rate = exponents.noisy_data_exponents(A, B)[0]
    slope = lambda y: -float(np.log(y[-1] / y[-2]) / np.log(samples[-1] / samples[-2]))  # noqa: E731
    better = drawn.min(1) / of_teacher
    return Shown(figure, table, (
        judge("exponent of the best student, teacher without a ridge", slope(students), claimed=rate, close=BETWEEN),
        condition("exponent of that teacher", "smaller: no decay in the end", f"{slope(teachers):.3f}",
                  slope(teachers) < rate - BETWEEN),
        condition("best student over best ridge on true labels", "a constant",
                  ", ".join(f"{x / y:.3f}" for x, y in zip(students, best, strict=True)),
                  max(x / y for x, y in zip(students, best, strict=True)) < 1.5),
        agrees("simulation over theory, students", drawn, known, n),
        condition("trained students at the best ridge, over their teachers", "below 1", f"{better.mean():.3f}",
                  bool(better.mean() < 1.0), yes=CONFIRMED, no=OPEN),
    ))  # fmt: skip


def student_of(problem: rfm.Problem, teacher: Call, ridge: float) -> float:
    """Return the risk of an infinite student with a ridge on the teacher's labels as they are."""
    strong = Model(np.inf, np.inf, rfm.Ridge(ridge)).arguments()
    return float(theory.student(problem, teacher=teacher, noise_var=0.0, **strong).risk[0])


main = Script(
    name="S13",
    title="Weak to strong: a student has a better law than its teacher",
    source="Wu et al. 2026 (arXiv 2603.05691)",
    claim="a student may attain the minimax rate where the test error of its teacher does not even decay",
    show=show,
    full=dict(samples=(1e3, 1e4, 1e5, 1e6, 1e7), trained=(60, 80), times=3, ridges=(1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3),
              modes=300, draws=100),
    smoke=dict(samples=(1e5, 1e6), trained=(15, 20), times=2, ridges=(1e-3, 1e-1), modes=60, draws=32),
    limits="teachers that are limited by their features, and students of a finite size in the laws",
)  # fmt: skip
