"""One uninterrupted sweep, which every file here compares with."""

import pytest
import sweeps


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The store of an uninterrupted sweep, and its result."""
    store = tmp_path_factory.mktemp("whole") / "sweep.zarr"
    return store, sweeps.run(store)
