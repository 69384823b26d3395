"""`python -m experiments.benchmarks`: how far everything is from its floor, and from plain numpy, in one run.

Prints a table of ratios and the growth of each cost, and writes benchmarks.png, .pdf, .csv and .json.
"""

import argparse

import jax

from experiments.benchmarks import growth, ratios
from experiments.benchmarks.timing import busy, rates
from experiments.output import files
from experiments.output.tables import align, records

COMPARED = ("numpy", "scikit-learn", "floor", "floor with random numbers")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="results", metavar="DIR", help="folder for figure and table")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    folder = files.check_folder(args.out)
    if note := busy():
        print(note)
    measured = rates()
    print(
        f"{measured.multiply_add * 1e12:.3g} ms a product of 1000 x 1000 matrices, {measured.eigen * 1e3:.0f} ms an "
        f"eigendecomposition, {measured.normal * 1e9:.3g} ms a million normals"
    )
    lines: list[tuple[str, ...]] = [("what", "bar", "ours", *(f"{name} / ours" for name in COMPARED))]
    table = []
    for row in ratios.rows(measured, quick=args.quick):
        ours = f"{row['ratio']:.3g}" if "ratio" in row else _seconds(float(row["seconds"]))
        cells = (f"{row[column]:.3g}" if column in row else "-" for column in COMPARED)
        lines.append((str(row["what"]), str(row["bar"]), ours, *cells))
        table.append(row)
        print(f"measured: {row['what']}: {ours}", flush=True)
    text = [align(lines)]
    if not any("scikit-learn" in row for row in table):
        text += ["scikit-learn is not installed: pip install scikit-learn"]
    costs = growth.measure(quick=args.quick)
    for cost in costs:
        text += [f"{cost.part} ~ {cost.argument}^{cost.exponent:.2f}"]
        columns = {"size": cost.sizes, "seconds": cost.seconds, "exponent": cost.exponent}
        table += records({"what": cost.part, "argument": cost.argument} | columns)
    settings = {**vars(args), "rates": measured._asdict()}
    result = files.Result("benchmarks", table, settings, lambda: growth.draw(costs), "\n".join(text))
    files.save_and_tell(folder, result)


def _seconds(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


if __name__ == "__main__":
    main()
