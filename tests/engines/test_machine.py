"""Cores and memory: of the machine, and by the limits of control groups of both versions."""

import os

import pytest

from elsewise.engines.machine import CGROUP, cores, memory


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def version_1(root, quota, period):
    (root / "cpu").mkdir()
    (root / "cpu/cpu.cfs_quota_us").write_text(quota)
    (root / "cpu/cpu.cfs_period_us").write_text(period)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("160000 100000\n", 2),
        ("300000 50000\n", 6),
        ("6400000 100000\n", 8),
        ("200000 0\n", 8),
        ("", 8),
        ("200000\n", 8),
        ("much more than this\n", 8),
    ],
)
def test_version_2_says_quota_and_period_in_one_file(tmp_path, limit, expected):
    (tmp_path / "cpu.max").write_text(limit)

    assert cores(tmp_path) == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [
        ("-1\n", "100000\n", 8),
        ("200000\n", "100000\n", 2),
        ("50000\n", "100000\n", 1),
        ("6400000\n", "100000\n", 8),
        ("200000\n", "0\n", 8),
        ("", "", 8),
    ],
)
def test_version_1_says_them_in_two(tmp_path, quota, period, expected):
    version_1(tmp_path, quota, period)

    assert cores(tmp_path) == expected


def test_version_2_comes_first_and_version_1_where_it_says_nothing(tmp_path):
    version_1(tmp_path, "300000", "100000")
    assert cores(tmp_path) == 3

    (tmp_path / "cpu.max").write_text("200000 100000")
    assert cores(tmp_path) == 2

    (tmp_path / "cpu.max").write_text("")
    assert cores(tmp_path) == 3


def test_version_1_with_a_quota_and_no_period_has_none(tmp_path):
    version_1(tmp_path, "200000", "100000")
    (tmp_path / "cpu/cpu.cfs_period_us").unlink()

    assert cores(tmp_path) == 8


@pytest.mark.parametrize("name", [".", "nowhere"])
def test_without_control_groups_the_affinity_counts(tmp_path, name):
    assert cores(tmp_path / name) == 8


@pytest.mark.parametrize(("counted", "expected"), [(6, 6), (None, 1)])
def test_without_affinity_the_machine_counts(tmp_path, monkeypatch, counted, expected):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)

    assert cores(tmp_path) == expected


def test_this_machine_has_one_at_least_and_no_more_than_are_allowed():
    assert 1 <= cores() == cores(CGROUP) <= 8


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_what_the_container_may_use(name, tmp_path):
    pytest.importorskip("resource")
    (tmp_path / "memory").mkdir()
    (tmp_path / name).write_text("1000000\n")

    assert memory(tmp_path) == 1_000_000


@pytest.mark.parametrize("limit", ["max\n", "", "9223372036854771712\n"])
def test_without_a_limit_memory_is_that_of_the_machine(limit, tmp_path):
    (tmp_path / "memory.max").write_text(limit)

    assert memory(tmp_path) == memory(tmp_path / "nowhere")


def test_a_system_that_does_not_tell_has_no_memory(monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)

    assert memory() is None
