"""The front door: `rfm` on the command line, or `python -m rfm`."""

import importlib.util
import sys
from pathlib import Path


def main() -> int:
    """Run the command line, or say in one line which other package `experiments` stands before ours."""
    ours = Path(__file__).resolve().parents[1] / "experiments"
    spec = importlib.util.find_spec("experiments")
    places = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
    if ours not in places:
        where = places[0] if places else "none"
        print(
            f"rfm: error: the package `experiments` of rfm is in {ours}, but the first on Python's path is {where}: "
            "take that folder out of PYTHONPATH.",
            file=sys.stderr,
        )
        return 2
    from experiments import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
