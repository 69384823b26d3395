"""Generated bad files of `rfm sweep`: wrong keys, kinds, values and sizes, one to a file; and its bad options."""

GOOD = {
    "problem": {"a": "1.8", "b": "1.5", "num_modes": "60", "noise_var": "0.05"},
    "optimizer": {"name": '"sgd"', "lr": "0.1", "momentum": "0.0", "batch_size": "4"},
    "run": {
        "seeds": "3", "seed": "0", "num_samples": "20", "times": "[1, 10]", "parametrization": '"ntk"',
        "features": '"gaussian"', "ensemble": "1", "bags": "1", "exact": "false",
    },
    "grid": {"num_features": "[8, 9]"},
}  # fmt: skip
TEXTS = ('"x"', '""', '"1"', "1979-05-27", "12:00:00", "{}", "{ x = 1 }", "[[1]]", "[]")
KINDS = (*TEXTS, "true", "nan", "-inf")
LISTS = (
    *KINDS, "[1, 1]", '[1, "x"]', "[1, nan]", "[2, true]", "[[1, 2], [3, 4]]", "{ start = 1, stop = 2 }",
    "{ start = 0, stop = 2, num = 3 }", "{ start = 2, stop = 1, num = 3 }", "{ start = 1, stop = 2, num = 2.5 }",
    "{ start = 1, stop = 2, num = 1 }", '{ start = "1", stop = 2, num = 3 }', "{ start = 1, stop = inf, num = 3 }",
    "{ start = 1, stop = 2, num = 1_000_000_000_000 }", "{ start = 1, stop = 2, num = 3, x = 1 }",
)  # fmt: skip
ONE = (*KINDS, "[1.8]", "inf", "1e400")
COUNT = (*ONE, "1.5", "0", "-1", "1_000_000_000_000_000", "1" + "0" * 400)
NAMES = (*KINDS, "1", '"None"', '"NTK"')
BAD = {
    "problem.a": (*ONE, "1", "0", "-1"), "problem.b": (*ONE, "0", "-1"), "problem.num_modes": COUNT,
    "problem.noise_var": (*ONE, "-1", "-0.001"), "optimizer.name": (*NAMES, '"momentum"'),
    "optimizer.lr": (*ONE, "0", "-1"), "optimizer.momentum": (*ONE, "1", "-1", "2"), "optimizer.batch_size": COUNT,
    "run.seeds": (*COUNT, "1"), "run.seed": (*ONE, "1.5", "-1", "4294967296"),
    "run.num_samples": tuple(x for x in COUNT if x not in ("inf", "1e400")),
    "run.times": (*LISTS, "[2, 1]", "[1, 1.5]", "[-1, 1]"), "run.parametrization": NAMES, "run.features": NAMES,
    "run.ensemble": COUNT, "run.bags": COUNT, "run.exact": (*TEXTS, "0", "1", '"true"'),
    "grid.num_features": (*LISTS, "[0, 1]", "[-1]", "[1.5]"), "grid.lr": (*LISTS, "[0]", "[-1]", "[inf]"),
    "grid.noise_var": (*LISTS, "[-1]", "[inf]"), "grid.momentum": (*LISTS, "[1]", "[-0.5]"),
    "grid.batch_size": (*LISTS, "[0]", "[1.5]"), "grid.a": (*LISTS, "[1]", "[inf]"), "grid.b": (*LISTS, "[0]", "[inf]"),
    "grid.num_modes": (*LISTS, "[0]", "[1.5]"), "grid.ensemble": (*LISTS, "[0]", "[1.5]"),
}  # fmt: skip
UNKNOWN = ("x", "A", '""', '"num features"', "noise", "samples")
TABLES = ("1", '"x"', "[1]", "true")
OPTIONS = {
    "seed": ("x", "", "1.5", "nan", "-1", "4294967296"), "memory": ("x", "", "nan", "inf", "0", "-1", "1e-9"),
    "devices": ("x", "", "1.5", "0", "-1", "nan"), "coordinator": ("", "x"), "processes": ("x", "", "0", "2"),
    "process": ("x", "", "-1", "0"),
}  # fmt: skip


def text(tables):
    """TOML of tables by name, which are dictionaries of texts."""
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {x}" for key, x in keys.items()) for name, keys in tables.items()
    )


def bad_files():
    """Yield (what must be named, text of the file)."""
    for place, values in BAD.items():
        table, key = place.split(".")
        for value in values:
            yield key, text(GOOD | {table: GOOD[table] | {key: value}})
    for table in GOOD:
        for key in UNKNOWN:
            yield key.strip('"'), text(GOOD | {table: GOOD[table] | {key: "1"}})
        for value in TABLES:
            yield table, f"{table} = {value}\n" + text({name: keys for name, keys in GOOD.items() if name != table})
