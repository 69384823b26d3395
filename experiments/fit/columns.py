"""Columns of tables of losses: usual names, units in headers, and numbers as people write them."""

import math
import re
from collections.abc import Sequence

from rfm import checks
from rfm.data.tables import DECIMAL_COMMA, MISSING

# what a column may be called where the command line names none, the likeliest first
TOKENS = ("tokens", "D", "n_tokens", "num_tokens", "tokens_seen", "training_tokens", "train_tokens", "total_tokens",
          "dataset_tokens", "dataset_size", "examples", "examples_seen", "samples_seen")  # fmt: skip
EPOCHS = ("epochs", "epoch")
STEPS = ("times", "time", "t", "steps", "step", "_step", "global_step", "train_step", "training_steps", "num_steps",
         "iterations", "iteration", "iter", "iters")  # fmt: skip
ACCURACIES = ("acc", "accuracy", "val_acc", "val_accuracy", "test_acc", "test_accuracy", "eval_accuracy", "top1")
COLUMNS = {
    "features": ("features", "num_features", "N", "params", "parameters", "n_params", "num_params", "n_parameters",
                 "num_parameters", "non_embedding", "non_embedding_params", "non_embedding_parameters",
                 "n_non_embedding", "params_non_embedding", "n_params_non_embedding", "model_params", "model_size"),
    "samples": ("samples", "num_samples", "P", "unique_tokens"),
    "times": ("times", "time", "t", *TOKENS, *(name for name in STEPS if name not in ("times", "time", "t")), *EPOCHS),
    "loss": ("loss", "risk", "test_loss", "val_loss", "valid_loss", "validation_loss", "eval_loss", "loss_val",
             "final_loss", "train_loss", "training_loss", "test_error", "val_error", "error", *ACCURACIES),
    "stderr": ("stderr", "loss_stderr", "std_err", "standard_error", "loss_se"),
    "weight": ("weight", "weights"),
    "run": ("run", "seed", "run_id", "run_name", "experiment"),
    "lr": ("lr", "learning_rate", "train_lr", "lr_0"),
    "batch": ("batch", "batch_size", "global_batch_size", "batch_tokens", "tokens_per_step"),
    "flops": ("C", "flops", "flop", "compute", "total_flops", "training_flops", "train_flops", "compute_flops"),
}  # fmt: skip
OPTIONS = {"lr": "lr-column"}  # what the option of a role is called, if not as the role
SIZES = ("features", "samples", "times", "batch", "flops")  # roles of numbers such as 70M
GAPS = (*MISSING, "nan", "inf", "-inf", "infinity")
SUFFIXES = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12}
SUFFIXED = re.compile(r"(.*\d\.?)\s*([kmgbt])", re.IGNORECASE)
THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
UNIT = re.compile(r"(?P<name>.*\S)\s*[(\[](?P<unit>[^)\]]*)[)\]]|(?P<bare>.*\S),? in (?P<word>\w+)")
FACTORS = SUFFIXES | {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "mio": 1e6, "bn": 1e9}
NESTED = re.compile(r"(config|hparams|args|model|summary|cfg)[/.]")  # before a name, as trackers export settings
POWER = re.compile(r"[x*\xd7]?\s*(?:1e|10\^|10\*\*)(\d+)")


def plain(name: str) -> str:
    """Return a name in small letters, its words joined by `_`, without the unit behind it.

    Example:
        >>> plain("val/loss"), plain("Params (M)"), plain("Tokens in billions")
        ('val_loss', 'params', 'tokens')
    """
    return re.sub(r"[^a-z0-9]+", "_", _parts(name)[0].lower()).strip("_")


def factor(name: str) -> float:
    """Return how many one of the unit in the name of a column is; 1 for units that are not numbers.

    Example:
        >>> factor("Params (M)"), factor("tokens [1e9]"), factor("tokens in billions"), factor("loss (nats)")
        (1000000.0, 1000000000.0, 1000000000.0, 1.0)
    """
    unit = _parts(name)[1].strip().lower().removeprefix("in ")
    if match := POWER.fullmatch(unit):
        return 10.0 ** int(match[1])
    return FACTORS.get(unit, FACTORS.get(unit.split(" ")[0].removesuffix("s"), 1.0))


def _parts(name: str) -> tuple[str, str]:
    """Return a name and the unit behind it."""
    match = UNIT.fullmatch(name.strip())
    if match is None:
        return name, ""
    return (match["name"], match["unit"]) if match["name"] else (match["bare"], match["word"])


def usual(role: str) -> list[str]:
    """Return the usual names of a role, as `plain` writes them."""
    return [plain(name) for name in COLUMNS[role]]


def candidates(role: str, header: Sequence[str]) -> list[str]:
    """Return the columns that have a usual name of a role: as it is written, or else nearly so, the likeliest first."""
    exact = [name for name in COLUMNS[role] if name in header]
    alike = [name for known in usual(role) for name in header if plain(name) == known]
    nested = [name for known in usual(role) for name in header if plain(NESTED.sub("", name)) == known]
    return list(dict.fromkeys([*exact, *alike, *nested]))


def column(role: str, name: str | None, header: Sequence[str]) -> str | None:
    """Return the column that is named, or the likeliest of the usual names; None where there is none."""
    if name is None:
        return next(iter(candidates(role, header)), None)
    if name not in header:
        checks.fail(OPTIONS.get(role, role), f"a column of the file, one of {', '.join(header)}", name)
    return name


def is_gap(cell: str) -> bool:
    """Is there no number in a cell?"""
    return cell.lower() in GAPS


def number(name: str, where: str, cell: str, role: str) -> float:
    """Return the positive number in a cell, finite unless it is a size; of sizes and times 70M, too, and 1,000.

    Raises:
        ValueError: Anything else; the sentence names column and place.
    """
    cure = "mend it or delete the row; a row with an empty loss is left out"
    here, text, times = f"{cell!r} in {where}", cell, factor(name)
    if role in SIZES and (match := SUFFIXED.fullmatch(text)):
        text, times = match[1], SUFFIXES[match[2].lower()]
    if role in SIZES and THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        value = float(text) * times
    except ValueError:
        raise ValueError(f"Column `{name}` must hold numbers, but has {here}: {cure}.") from None
    least = "numbers >= 0" if role in ("lr", "weight") else "numbers > 0"
    if not ((value >= 0 if role in ("lr", "weight") else value > 0)
            and (role in ("features", "samples") or math.isfinite(value))):  # fmt: skip
        raise ValueError(f"Column `{name}` must hold {least}, but has {here}: {cure}.")
    return value
