"""Axes: ticks on short logarithmic axes, and legends that cover nothing that is drawn."""

import numpy as np
import pytest

from experiments.output import axes, plotting


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1), (0.3, 0.8), (0.02, 0.07), (3.0, 40.0), (1e-3, 1e3), (1e-40, 1)])
def test_every_logarithmic_axis_has_a_few_ticks_that_are_labelled(low, high):
    figure, grid = plotting.new_figure(1, 1)
    ax = grid[0, 0]
    ax.plot([low, high], [low, high])
    ax.set(xlim=(low, high), ylim=(low, high))
    plotting.finish(ax, "x", "y", "")
    figure.draw_without_rendering()
    for axis in (ax.xaxis, ax.yaxis):
        ticks = [tick for tick in axis.get_majorticklocs() if low * 0.999 <= tick <= high * 1.001]
        assert axes.LEAST_TICKS <= len(ticks) <= 2 * axes.MOST_TICKS
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert len(set(labels)) == len(labels)
        assert all(labels)


@pytest.mark.parametrize(
    ("axis", "text"), [((0.02, 0.5), "0.03"), ((1e-6, 1.0), "$10^{-6}$"), ((2e-7, 5e-7), r"\times")]
)
def test_numbers_are_written_out_where_all_can_be(axis, text):
    figure, grid = plotting.new_figure(1, 1)
    grid[0, 0].plot(axis, axis, label="line")
    plotting.finish(grid[0, 0], "x", "y", "")
    grid[0, 0].set_xlim(axis)
    figure.draw_without_rendering()
    assert any(text in label.get_text() for label in grid[0, 0].get_xticklabels())


@pytest.mark.parametrize("y", [np.geomspace(1, 1e-3, 9), np.geomspace(1e-3, 1, 9), np.tile([1.0, 1e-3], 5)[:9]])
def test_a_legend_covers_no_line(y):
    """Three lines that fill the panel, and five entries."""
    figure, grid = plotting.new_figure(1, 1)
    ax, x = grid[0, 0], np.geomspace(1, 1e4, 9)
    for shift in (0.3, 1.0, 3.0):
        ax.plot(x, shift * y, "o-", label=f"a line that is shifted by {shift}")
    for i in range(2):
        ax.plot(x, y, label=f"another {i}")
    plotting.finish(ax, "x", "y", "")
    before = ax.get_ylim()
    axes.clear_legends(figure)
    figure.draw_without_rendering()
    box = ax.get_legend().get_window_extent()
    fine = np.exp(np.linspace(np.log(1), np.log(1e4), 400))
    for line in ax.get_lines():
        drawn = np.exp(np.interp(np.log(fine), np.log(x), np.log(line.get_ydata())))
        pixels = ax.transData.transform(np.column_stack([fine, drawn]))
        inside = (pixels > (box.x0, box.y0)) & (pixels < (box.x1, box.y1))
        assert not inside.all(1).any()
    assert ax.get_ylim()[0] == before[0]
    assert ax.get_ylim()[1] >= before[1]


def test_a_legend_covers_no_error_bar():
    figure, grid = plotting.new_figure(1, 1)
    ax = grid[0, 0]
    ax.errorbar([1.0, 2.0, 3.0], [1.0, 2.0, 1.0], [0.9, 1.9, 0.9], fmt="o", label="simulation, two standard errors")
    plotting.finish(ax, "x", "y", "", log=False)
    ax.legend(loc="upper center")
    axes.clear_legends(figure)
    figure.draw_without_rendering()
    box = ax.get_legend().get_window_extent()
    bars = ax.transData.transform([(2.0, y) for y in np.linspace(0.1, 3.9, 99)])
    assert not ((bars > (box.x0, box.y0)) & (bars < (box.x1, box.y1))).all(1).any()


@pytest.mark.parametrize("bars", [[0.9, np.nan, 0.9], [np.nan] * 3])
@pytest.mark.parametrize("middle", [2.0, np.nan])
def test_error_bars_that_are_unknown_are_not_in_the_way(bars, middle):
    figure, grid = plotting.new_figure(1, 1)
    ax = grid[0, 0]
    ax.errorbar([1.0, 2.0, 3.0], [1.0, middle, 1.0], bars, fmt="o", label="one seed has no scatter")
    plotting.finish(ax, "x", "y", "", log=False)
    axes.tidy(figure)


def test_the_window_of_a_slope_is_explained():
    from experiments.compare.exponent import Exponent

    _, grid = plotting.new_figure(1, 1)
    plotting.draw_slope(grid[0, 0], Exponent("time", simulated=0.5, window=(1.0, 10.0)), 1.0)
    assert plotting.WINDOW in grid[0, 0].get_legend_handles_labels()[1]
