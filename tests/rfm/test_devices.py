"""How much memory a process may take: the least of the machine's and of its control groups'."""

import psutil
import pytest

from rfm import devices


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.mark.parametrize(
    ("own", "folder", "names"),
    [
        ("0::/slurm/job/step", "slurm/job", ("memory__max", "memory__current", "inactive_file")),
        ("0::/", "", ("memory__max", "memory__current", "inactive_file")),
        ("0::/elsewhere/in/a/container", "", ("memory__max", "memory__current", "inactive_file")),
        ("7:cpu:/a\n4:memory:/slurm/job", "memory/slurm",
         ("memory__limit_in_bytes", "memory__usage_in_bytes", "total_inactive_file")),
    ],
)  # fmt: skip
def test_a_job_has_the_memory_of_its_group(tmp_path, monkeypatch, own, folder, names):
    """Of the group itself or one around it, in both versions; what is only cached from files counts as free."""
    limit, usage, cached = names
    groups, stat = tmp_path / "groups" / folder, f"anon 3\n{cached} 200000"
    write(tmp_path / "proc", cgroup=own)
    write(groups, **{limit: "1000000", usage: "700000", "memory__stat": stat})
    monkeypatch.setattr(devices, "OWN_GROUPS", tmp_path / "proc" / "cgroup")
    monkeypatch.setattr(devices, "CONTROL_GROUPS", tmp_path / "groups")
    assert devices.available_memory() == 500_000
    write(groups, **{limit: "max"})
    assert devices.available_memory() > 500_000
    write(groups, **{limit: "10"})
    assert devices.available_memory() == 0


def test_without_groups_it_is_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "OWN_GROUPS", tmp_path / "nothing")
    assert 0 < devices.available_memory() <= psutil.virtual_memory().total
