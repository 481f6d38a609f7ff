"""A jump of the clock is told from a hole by the energy counter, or named as possible by the grid."""

from array import array

from stellwerk.engine.joining.series import Series
from stellwerk.engine.usage import POWER, UTIL, Usage

from .test_metrics_join import ENERGY, GPU, STEP, codes, join, series

JUMP = 40  # Steps: 20 minutes.
CLOCKS = {"clock-forward", "clock-back", "off-grid"}


def scraped(shift: dict[int, int], watts: list[int]) -> Usage:
    """Real step i at `watts[i]`, stamped at step `i + shift` from each key of `shift` on."""
    at, moved = [], 0
    for step in range(len(watts)):
        moved = shift.get(step, moved)
        at.append(step + moved)
    total, energy = 0, []
    for watt in watts:
        energy.append(total)
        total += watt * STEP  # mJ
    return join(*(_series(metric, at, values) for metric, values in ((POWER, watts), (ENERGY, energy))))


def _series(metric: str, steps: list[int], values: list[int]) -> Series:
    times = array("q", (step * STEP for step in steps))
    return Series(metric, GPU, times, array("q", (1000 * value for value in values)))


def test_a_forward_jump_is_told_by_the_energy_counter() -> None:
    found = codes(scraped({10: JUMP}, [300] * 20))
    assert found["clock-forward"].endswith("n1") and "hole" in found


def test_a_hole_in_which_the_gpu_drew_power_is_a_hole() -> None:
    energy = dict.fromkeys(range(5), 0)
    energy |= {step: step * 300 * STEP for step in range(50)}
    kept = {step: value for step, value in energy.items() if step < 5 or step >= 45}
    found = codes(join(series(ENERGY, kept), series(POWER, dict.fromkeys(kept, 300))))
    assert "hole" in found and not CLOCKS & set(found)


def test_a_gpu_that_rests_in_a_hole_is_no_jump_of_the_clock() -> None:
    # At rest a tenth of the 700 W before and after.
    kept = {step: (700 * step if step < 5 else 700 * 5 + 70 * 40 + 700 * (step - 45)) * STEP
            for step in (*range(5), *range(45, 50))}  # fmt: skip
    found = codes(join(series(ENERGY, kept), series(POWER, dict.fromkeys(kept, 700))))
    assert "hole" in found and not CLOCKS & set(found)


def test_a_backward_jump_in_the_file_is_told_by_the_counter_that_grew_on() -> None:
    found = codes(scraped({10: -8}, [300] * 20))
    assert found["clock-back"].endswith("n1") and "times-back" in found


def test_a_file_out_of_order_is_no_backward_jump() -> None:
    order = [*range(10, 20), *range(10)]
    values = [step * 300 * STEP for step in order]
    found = codes(join(_series(ENERGY, order, values), _series(POWER, order, [300] * 20)))
    assert "times-back" in found and not CLOCKS & set(found)


def test_a_backward_jump_that_prometheus_swallowed_shows_in_the_counter() -> None:
    # Real steps 10 to 49 were older than what was there, and dropped; step 50 is stamped as 10.
    energy = {step: (step if step < 10 else step + JUMP) * 300 * STEP for step in range(20)}
    found = codes(join(series(ENERGY, energy), series(POWER, dict.fromkeys(energy, 300))))
    assert found["clock-back"].endswith("n1") and "hole" not in found


def test_without_the_counter_another_grid_after_a_hole_is_named_as_a_doubt() -> None:
    times = [*range(0, 10 * STEP, STEP), *range(50 * STEP + 12_000, 60 * STEP, STEP)]
    values = array("q", [1000] * len(times))
    found = codes(join(Series(UTIL, GPU, array("q", times), values)))
    assert "perhaps no hole but a jump of the clock" in found["off-grid"]
    same = codes(join(series(UTIL, dict.fromkeys([*range(10), *range(50, 60)], 1))))
    assert "hole" in same and not CLOCKS & set(same)
