"""Laws of sequences over blocks, against sequences that are known."""

import numpy as np

from gradscope.predict._sequence import continued

RUN, ALL = 24, 200


def test_a_constant_rate_goes_on() -> None:
    known = 0.3 * np.arange(ALL)

    np.testing.assert_allclose(continued(known[:RUN], ALL, has_end=False), known, rtol=1e-9, atol=1e-9)


def test_a_stream_that_grows_linearly_goes_on() -> None:
    known = np.log(5.0 + np.arange(ALL))

    np.testing.assert_allclose(continued(known[:RUN], ALL, has_end=False), known, atol=0.02)


def test_a_fixed_point_stays() -> None:
    known = 0.5 * np.exp(-np.arange(ALL) / 1.5)

    np.testing.assert_allclose(continued(known[:RUN], ALL, has_end=False), known, atol=1e-3)


def test_what_the_last_blocks_add_is_added_to_the_last_of_all() -> None:
    def course(count: int) -> np.ndarray:
        return 0.1 * np.arange(count) + np.exp(2.0 * (np.arange(count) - count))  # dies within the last third

    np.testing.assert_allclose(continued(course(RUN), ALL, has_end=True), course(ALL), atol=0.01)


def test_no_law_of_what_is_not_known() -> None:
    assert np.isnan(continued([0.0, np.nan, 1.0, 2.0], ALL, has_end=False)).all()
