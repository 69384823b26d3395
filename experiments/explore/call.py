"""A point of the page as a program that makes it again, and as a notebook."""

import dataclasses
import json
import math

from experiments.compare.algorithms import OWN
from experiments.compare.schedules import SHAPES, WARM_UP
from experiments.explore.parameters import NO_AVERAGE, USUAL
from experiments.explore.settings import CURVE_POINTS, Settings

# of the share of the steps that are left after the rise; the same as in `theory.schedules.FAMILIES`
DECAYS = {
    "linear": "1.0 - passed",
    "cosine": "0.5 * (1.0 + jnp.cos(jnp.pi * passed))",
    "wsd": "jnp.minimum(1.0, (1.0 - passed) / {shape!r})",
    "power": "(1.0 - passed) ** {shape!r}",
}
ANEW = ' | {"optimizer": dataclasses.replace(args["optimizer"], order="replacement")}'
INSTALL = """# On a hosted notebook this installs the package; with a clone it does nothing.
import importlib.util

if importlib.util.find_spec("rfm") is None:
    %pip install --quiet "random-feature-theory @ git+https://github.com/random-feature-theory/random-feature-theory"
"""


def python_call(settings: Settings, seeds: int = 0, seed: int = 0) -> str:
    """Return a program that gives the curve as `predicted`, and with seeds the training runs as `simulated`."""
    s, decay = settings, _decay(settings)
    known, anew = s.corrected, s.drawn.label != OWN
    numbers = {f.name: getattr(s.optimizer, f.name) for f in dataclasses.fields(s.optimizer)}
    usual = {"weight_decay": 0.0, "momentum": 0.0, "average": None, "order": USUAL["order"]}
    texts = {k: repr(v) for k, v in numbers.items() if k not in usual or usual[k] != v}
    if decay:
        texts["lr"] = "lr"
    spec = f"rfm.{type(s.optimizer).__name__}({', '.join(f'{k}={text}' for k, text in texts.items())})"
    spec = spec.replace("TailAverage", "rfm.TailAverage")
    modules = {"dataclasses": anew, "math": math.inf in (s.N, s.P, s.K)}
    text = "".join(f"import {name}\n" for name, used in modules.items() if used)
    text += "\n" if text else ""
    libraries = {"import jax\n": bool(seeds), "import jax.numpy as jnp\n": bool(decay)}
    wanted = "".join(line for line, used in libraries.items() if used)
    text += wanted + ("\n" if wanted else "")
    rich = f"    richness={s.richness!r},\n" if s.richness else ""
    text += f"""import rfm
import theory

{decay}problem = rfm.power_law(a={s.a!r}, b={s.b!r}, num_modes={s.M!r}, noise_var={s.noise!r})
args = dict(
    num_features={_size(s.N)},
    num_samples={_size(s.P)},
    optimizer={spec},
    times=rfm.log_times({s.first!r}, {s.stop!r}, {CURVE_POINTS}{", integer=True" if s.discrete else ""}),
    ensemble={_size(s.K)},
{rich})
"""
    given = f"**args{ANEW}" if anew else "**args"
    more = ", correction=True" if known else ""
    text += f"predicted = theory.predict(problem, {given}{more})  # predicted.times, .risk, .train_loss\n"
    if seeds:
        text += f"""keys = jax.random.split(jax.random.key({seed}), {seeds})
simulated = rfm.simulate(problem, **args, keys=keys)  # simulated.mean(), .stderr()
"""
    return text


def _decay(settings: Settings) -> str:
    """Return the function of a schedule, no text for a constant rate."""
    if settings.schedule in (None, USUAL["schedule"]):
        return ""
    name, _, shape = settings.schedule.partition(":")
    steps = int(settings.stop)
    rise = math.ceil(WARM_UP * steps)
    number = float(shape) if shape else SHAPES.get(name, ("", math.nan))[1]
    return f"""
def lr(step):  # {settings.schedule} to zero, after a rise over {WARM_UP:.0%} of the steps
    passed = jnp.clip((step - {rise}) / {max(steps - rise, 1)}, 0.0, 1.0)
    return {settings.lr!r} * jnp.minimum((step + 1) / {rise + 1}, {DECAYS[name].format(shape=number)})


"""


def notebook(settings: Settings, seeds: int = 0) -> str:
    """Return a notebook of the point: what it is, the program, and a figure."""
    said = ", ".join(f"{name} = {value}" for name, value in dataclasses.asdict(settings).items() if value is not None)
    draw = 'ax = predicted.plot(label="risk, theory")\n'
    draw += 'predicted.plot("train_loss", ax=ax, label="training loss, theory")\n'
    if settings.average not in (None, NO_AVERAGE):
        draw += 'predicted.plot("average_risk", ax=ax, label="averaged weights, theory")\n'
    if seeds:
        draw += 'simulated.plot(ax=ax, label="risk, training")\n'
    cells = [
        ("markdown", f"# Risk and training loss of a random-feature model\n\nA point of `rfm explore`: {said}."),
        ("code", INSTALL),
        ("code", python_call(settings, seeds)),
        ("code", draw + "ax.legend();"),
        ("markdown", "Change a number above and run it again. `help(rfm.simulate)` and `help(theory.predict)` say what "
         "can be changed."),
    ]  # fmt: skip
    written = []
    for index, (kind, text) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"cell-{index:02}", "metadata": {}, "source": text.splitlines(keepends=True)}
        written.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {"cells": written, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1) + "\n"


def _size(value: float) -> str:
    return "math.inf" if math.isinf(value) else repr(value)
