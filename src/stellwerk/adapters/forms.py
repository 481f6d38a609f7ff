"""Which form a table has, told by its header: openb's pods, a user's jobs, or measured use."""

from typing import Literal

from stellwerk.adapters.parquet import MAGIC, parquet_header, read_parquet
from stellwerk.adapters.rows import read_table, shown
from stellwerk.adapters.tables import REQUIRED, jobs_demand, table_demand
from stellwerk.adapters.traces import POD_COLUMNS, Window, pods_demand
from stellwerk.adapters.usage import PLAN_MINUTES, USAGE_COLUMNS, usage_demand
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import Demand

Form = Literal["openb", "jobs", "usage"]
_COLUMNS: dict[Form, tuple[str, ...]] = {"openb": POD_COLUMNS, "usage": USAGE_COLUMNS, "jobs": REQUIRED}


def sniff(header: tuple[str, ...], source: str) -> Form:
    """The form of a table with these columns; InvalidInput, with all three headers, where it is none."""
    for form, columns in _COLUMNS.items():
        if set(columns) <= set(header):
            return form
    raise InvalidInput(
        "{name} is no table that can be replayed: its header is {header}",
        fix="begin it with one of: {jobs} (jobs); {usage} (measured use); {openb} (openb's pods)",
        source=source,
        path="row 1",
        name=source,
        header=shown(", ".join(header), 200),
        jobs=",".join(REQUIRED),
        usage=",".join(USAGE_COLUMNS),
        openb=",".join(POD_COLUMNS),
    )


def read_demand(content: bytes, source: str, window: Window, plan_minutes: int = PLAN_MINUTES) -> Demand:
    """The demand in a table of any of the three forms; Parquet can hold jobs only."""
    if content.startswith(MAGIC):
        form = sniff(parquet_header(content, source), source)
        if form != "jobs":
            raise InvalidInput(
                "{name}: only jobs are read from Parquet, not pods or measured use",
                fix="save this table as CSV",
                source=source,
                name=source,
            )
        return table_demand(read_parquet(content, source))
    form = sniff(read_table(content, source).header, source)
    if form == "usage":
        return usage_demand(content, source, plan_minutes)
    return pods_demand(content, source, window) if form == "openb" else jobs_demand(content, source)
