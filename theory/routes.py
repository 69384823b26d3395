"""The points at which a full-batch case sums up ridges: its contour with the filter on it, or the one ridge."""

from rfm.optimizers import Optimizer, Ridge
from theory.arrays import Array, namespace
from theory.cases import Case
from theory.dynamics import Trained, nodes_around
from theory.evaluation import filter_of
from theory.filters import FILTERS
from theory.fixed_point import Model
from theory.mode_rules import compressed
from theory.moments import Route, route_along, route_to_ridge
from theory.rich_curves import trained_features
from theory.time_windows import Windows, windows_of


def filter_along(case: Case, model: Model, nodes: int) -> Trained | None:
    """Return a contour of so many nodes for a full-batch case and the filter on it; None for Ridge, which has none."""
    if isinstance(case.optimizer, Ridge):
        return None
    if case.richness is not None:
        return trained_features(case, model)
    name, parameters = filter_of(case.optimizer)
    flt = FILTERS[name](**parameters)
    around = nodes_around(model, flt, flt.elapsed(case.times.max()), nodes, at_most=True)
    return Trained(around, None, flt.response(around.z[None], case.times[:, None]), around.residual)


def route_of(case: Case, model: Model, trained: Trained | None) -> Route:
    """Return the points at which a full-batch case sums up ridges: one for Ridge, else those of `filter_along`."""
    if trained is None:
        assert isinstance(case.optimizer, Ridge)
        return route_to_ridge(model, case.optimizer.ridge)
    residual = namespace(trained.residual).maximum(trained.residual, trained.around.residual)
    return route_along(trained.around, trained.response, model, residual)


def windows_along(case: Case, model: Model, edge: Array) -> tuple[Model, Windows]:
    """Return contours of few nodes for the known times of a case, and the model, of few modes where these are smooth.

    edge: of the spectrum.
    """
    algorithm, parameters = filter_of(case.optimizer)
    if is_smooth(case.optimizer):
        flt = FILTERS[algorithm](**parameters)
        model = compressed(model, flt, flt.elapsed(case.times.max()), edge)
    return model, windows_of(model, case.times, algorithm, parameters, edge)


def is_smooth(optimizer: Optimizer) -> bool:
    """Tell whether single modes do not oscillate."""
    return not hasattr(optimizer, "momentum")
