"""How large a convolution's rounding error is to be expected: the one formula."""

from __future__ import annotations

import math

_UNIT_ROUNDOFF = {4: 2.0**-24, 8: 2.0**-53}  # by bytes of an element
_OTHER_ROUNDINGS = 10  # of transforms, bias and the result


def expected_error(itemsize: int, chain: int, amplification: float, results: int, length: float) -> float:
    """max |error| / rms(result) to be expected of N(0, 1) data; measured errors lie within a factor of 2.5.

    0.3 ln(results) u a sqrt(chain + 10): `chain` products and partial sums are rounded into one number, one after the
    other. A rounding is in proportion to the partial sum, so an error is a normal variable times another, of which the
    largest of n grows as ln(n). Among sums of more than 128 products (`length`) it is less far out, by
    (128 / length)^0.12, fitted to 500 random shapes. Winograd's transforms enlarge each of those errors `a` times. On
    one axis of F(m, r), with size n, a^2 = sum over j < n of |A_j|^2 |G_j|^2 |B_j|^2 / (m r), for column j of the
    output's transform and rows j of the filter's and the input's; axes multiply.
    """
    largest = 0.3 * math.log(max(results, 8)) * math.pow(128 / max(length, 128.0), 0.12)
    return largest * _UNIT_ROUNDOFF[itemsize] * amplification * math.sqrt(chain + _OTHER_ROUNDINGS)
