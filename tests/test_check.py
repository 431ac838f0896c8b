"""The helpers of check.py can fail: each is shown what it exists to catch."""

from __future__ import annotations

import os

import check
import numpy as np
import pytest

import pyconvx

EXPECTED = np.array([1.0, -1.0, 1.0, -1.0])  # rms 1


def test_assert_close_returns_and_prints_the_worst_error(capsys: pytest.CaptureFixture[str]) -> None:
    worst = check.assert_close(EXPECTED + np.array([0, 0.25, 0, -0.125]), EXPECTED, 0.25)
    assert worst == 0.25
    assert "worst error 2.50e-01 of 2.50e-01 at (1,)" in capsys.readouterr().out


def test_assert_close_fails_above_the_tolerance() -> None:
    with pytest.raises(AssertionError, match=r"error 2.500e-01 above 1.000e-01 at \(2,\).*1 of 4 elements"):
        check.assert_close(EXPECTED + np.array([0, 0, 0.25, 0]), EXPECTED, 0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_assert_close_fails_on_a_number_that_is_not_finite(bad: float) -> None:
    actual = EXPECTED.copy()
    actual[3] = bad
    with pytest.raises(AssertionError):
        check.assert_close(actual, EXPECTED, 1e9)
    with pytest.raises(AssertionError):
        check.assert_close(EXPECTED, actual, 1e9)
    check.assert_close(actual, actual, 0.0)


def test_assert_close_tells_infinities_and_nan_apart() -> None:
    with pytest.raises(AssertionError):
        check.assert_close(np.array([np.inf]), np.array([-np.inf]), 1e9)
    with pytest.raises(AssertionError):
        check.assert_close(np.array([np.inf]), np.array([np.nan]), 1e9)


def test_assert_close_fails_on_another_shape_or_kind() -> None:
    with pytest.raises(AssertionError, match=r"has shape \(4, 1\), not \(4,\)"):
        check.assert_close(EXPECTED[:, np.newaxis], EXPECTED, 1e9)
    with pytest.raises(AssertionError, match="float, not an array"):
        check.assert_close(1.0, np.array(1.0), 1e9)


def test_assert_close_measures_by_the_larger_scale() -> None:
    assert check.assert_close(EXPECTED + 1, EXPECTED, 1.0, scale=4.0) == 0.25
    assert check.assert_close(EXPECTED + 1, EXPECTED, 1.0, scale=0.1) == 1.0


def test_assert_close_does_not_divide_by_a_zero_scale() -> None:
    with pytest.raises(AssertionError):
        check.assert_close(np.array([1e-30]), np.array([0.0]), 0.0)
    assert check.assert_close(np.zeros((0, 3)), np.zeros((0, 3)), 0.0) == 0.0


def test_tolerances_grow_with_the_sum_and_stay_below_the_contract() -> None:
    assert check.direct_tolerance(400, np.float32) > 1.9 * check.direct_tolerance(100, np.float32) - 1e-6
    assert check.direct_tolerance(9 * 64, np.float32) < check.contract_tolerance(9 * 512) == 1.5e-5
    assert check.contract_tolerance(9 * 2048) == 3e-5
    assert check.tolerance(99, np.float32, "direct") == check.direct_tolerance(99, np.float32)
    assert check.tolerance(99, np.float32) == check.contract_tolerance(99)
    assert check.tolerance(99, np.float64) == check.direct_tolerance(99, np.float64)
    assert check.direct_tolerance(64, np.float64) < 1e-14


def test_direct_tolerance_is_tight() -> None:
    # A float32 sum in NumPy, one term after the other, stays inside; one whose terms lose four bits does not.
    draw = np.random.default_rng(1)
    terms = draw.standard_normal((500, 1000)).astype(np.float32)
    expected = terms.astype(np.float64).sum(axis=1)
    running = np.add.accumulate(terms, axis=1)[:, -1]
    check.assert_close(running, expected, check.direct_tolerance(1000, np.float32))
    rough = np.zeros(500, np.float32)
    for term in terms.T:
        rough = (rough + term).astype(np.float32)
        rough = (rough.view(np.uint32) & np.uint32(0xFFFFFFF0)).view(np.float32)
    with pytest.raises(AssertionError):
        check.assert_close(rough, expected, check.direct_tolerance(1000, np.float32))


def test_assert_same_bits() -> None:
    check.assert_same_bits(np.array([np.nan, 1.0]), np.array([np.nan, 1.0]))
    with pytest.raises(AssertionError, match="1 of 2"):
        check.assert_same_bits(np.array([0.0, 1.0]), np.array([-0.0, 1.0]))
    with pytest.raises(AssertionError, match="1 of 1"):
        check.assert_same_bits(np.array([1.0]), np.nextafter([1.0], 2))
    with pytest.raises(AssertionError, match="float32"):
        check.assert_same_bits(np.zeros(1, np.float32), np.zeros(1))
    with pytest.raises(AssertionError):
        check.assert_same_bits(np.zeros(1), np.zeros((1, 1)))


@pytest.mark.parametrize(("offset", "where"), [(-1, "before"), (6, "after")])
def test_guarded_output_sees_a_write_outside(offset: int, where: str) -> None:
    out, assert_guards = check.guarded_output((2, 3), np.float32)
    assert out.shape == (2, 3)
    assert out.flags.c_contiguous
    assert out.flags.writeable
    assert np.isnan(out).all()
    out[...] = 1.0
    assert_guards()
    whole = out.base
    while whole.base is not None:
        whole = whole.base
    whole.view(np.float32)[check.GUARD_BYTES // 4 + offset] = 0.0
    with pytest.raises(AssertionError, match=where):
        assert_guards()


def test_forced_isa_reports_itself_and_restores(isa: str) -> None:
    assert pyconvx.active_isa() == isa


def test_forced_isa_restores_what_was_active_even_after_an_error(isa: str) -> None:
    for other in pyconvx.available_isas():
        with pytest.raises(ZeroDivisionError), check.forced_isa(other):
            raise ZeroDivisionError
        assert pyconvx.active_isa() == isa


def test_forced_isa_sees_a_library_that_stays_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyconvx, "active_isa", lambda: "scalar")
    monkeypatch.setattr(pyconvx, "force_isa", lambda name: None)
    with pytest.raises(AssertionError, match="forced fake, but scalar is active"), check.forced_isa("fake"):
        pass


def test_missing_isas() -> None:
    assert check.missing_isas("scalar,avx2", ["scalar", "avx2", "avx512"]) == []
    assert check.missing_isas("scalar,avx512", ["scalar"]) == ["avx512"]
    assert check.missing_isas("", ["scalar"]) == []


def test_the_machine_has_every_required_isa() -> None:
    available = pyconvx.available_isas()
    assert "scalar" in available
    missing = check.missing_isas(os.environ.get("PYCONVX_REQUIRE_ISA", ""), available)
    assert not missing, f"PYCONVX_REQUIRE_ISA names {missing}, but this machine has {available}"
