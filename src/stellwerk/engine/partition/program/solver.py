"""The one door to HiGHS: a linear or integer program as rows and columns, solved the same way on each run.

One thread, a fixed seed, a limit on nodes and never on seconds: the same program gives the same bytes.
"""

from collections.abc import Mapping, Sequence

import highspy
from msgspec import Struct

INFINITE = highspy.kHighsInf
# Objective coefficients are whole numbers: an improvement below this is none.
ABSOLUTE_GAP = 0.999


class Solution(Struct, frozen=True):
    """`values` by column, `bound` that no solution goes below; `duals` by row (linear programs only)."""

    values: tuple[float, ...]
    objective: float
    bound: float
    duals: tuple[float, ...] = ()


class Program:
    """Rows with bounds, columns with a cost each; columns may be added between two solutions."""

    def __init__(self) -> None:
        self.costs: list[float] = []
        self.uppers: list[float] = []
        self.entries: list[dict[int, float]] = []
        self.rows: list[tuple[float, float]] = []

    def row(self, lower: float, upper: float) -> int:
        """A new row with its bounds; returns its position."""
        self.rows.append((lower, upper))
        return len(self.rows) - 1

    def column(self, cost: float, upper: float, entries: Mapping[int, float]) -> int:
        """A new column from 0 to `upper` with its coefficient by row; returns its position."""
        self.costs.append(cost)
        self.uppers.append(upper)
        self.entries.append({row: value for row, value in entries.items() if value})
        return len(self.costs) - 1

    def relaxed(self) -> Solution:
        """The linear relaxation's optimum, with duals; it must have one."""
        if not self.costs:
            return Solution((), 0.0, 0.0, (0.0,) * len(self.rows))
        solver = self._solver(self.costs, integral=False)
        solver.run()
        assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal, "the relaxation has an optimum"
        found, value = solver.getSolution(), solver.getInfo().objective_function_value
        return Solution(tuple(found.col_value), value, value, tuple(found.row_dual))

    def integral(
        self,
        node_limit: int,
        costs: Sequence[float] | None = None,
        start: Sequence[float] | None = None,
        gap: float = ABSOLUTE_GAP,
    ) -> Solution:
        """The best whole-numbered solution within `node_limit` nodes, from `start` where one is known.

        `costs` stands in for the columns' own costs; `gap` is how far from the optimum it may stay.
        """
        if not self.costs:
            return Solution((), 0.0, 0.0)
        solver = self._solver(self.costs if costs is None else costs, integral=True)
        solver.setOptionValue("mip_max_nodes", node_limit)
        solver.setOptionValue("mip_rel_gap", 0.0)
        solver.setOptionValue("mip_abs_gap", gap)
        if start is not None:
            given = highspy.HighsSolution()
            given.col_value = list(start)
            solver.setSolution(given)
        solver.run()
        info = solver.getInfo()
        values = tuple(float(round(value)) for value in solver.getSolution().col_value)
        return Solution(values, info.objective_function_value, info.mip_dual_bound)

    def _solver(self, costs: Sequence[float], integral: bool) -> highspy.Highs:
        solver = highspy.Highs()
        solver.silent()
        for option, value in (("threads", 1), ("parallel", "off"), ("random_seed", 1)):
            solver.setOptionValue(option, value)
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self.costs), len(self.rows)
        model.col_cost_ = list(costs)
        model.col_lower_, model.col_upper_ = [0.0] * len(self.costs), self.uppers
        model.row_lower_ = [lower for lower, _ in self.rows]
        model.row_upper_ = [upper for _, upper in self.rows]
        starts = [0]
        index: list[int] = []
        values: list[float] = []
        for entries in self.entries:
            index += entries.keys()
            values += entries.values()
            starts.append(len(index))
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_ = starts, index
        model.a_matrix_.value_ = values
        if integral:
            model.integrality_ = [highspy.HighsVarType.kInteger] * len(self.costs)
        solver.passModel(model)
        return solver
