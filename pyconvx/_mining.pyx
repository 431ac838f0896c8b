# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True, binding=True
"""Loops over triplets of indices: which negatives belong to which positive pair, and what their losses sum up to.

distances is (n, n), labels are classes 0, 1, ... of its rows; a triplet is (anchor, positive, negative). `pyconvx.triplet`
checks what comes in; here nothing is checked but the sizes that memory depends on. Loops run in a fixed order on one
thread with the GIL released, so the bits of a result depend on nothing else; there is no state, so threads may call at once.
The gap of a triplet is d(a, n) - d(a, p), taken in float64; a band is low < gap <= high.
"""

from libc.math cimport INFINITY, exp, log1p
from libc.stdint cimport int32_t, int64_t
from libcpp.algorithm cimport sort
from libcpp.pair cimport pair
from libcpp.vector cimport vector

ctypedef fused real:
    float
    double

ctypedef pair[double, int32_t] Near


cdef inline int require(bint fits) except -1:
    if not fits:
        raise ValueError("arrays of sizes that do not belong together")
    return 0


def hardest(const real[:, ::1] distances, const int32_t[::1] labels, int64_t[::1] positives, int64_t[::1] negatives):
    """The farthest positive and the nearest negative of every anchor; -1 where there is none, ties to the lower index."""
    cdef Py_ssize_t n = labels.shape[0], a, j, far, near
    cdef real d, farthest, nearest
    require(distances.shape[0] == n and distances.shape[1] == n)
    require(positives.shape[0] == n and negatives.shape[0] == n)
    with nogil:
        for a in range(n):
            far = near = -1
            farthest = nearest = 0
            for j in range(n):
                d = distances[a, j]
                if labels[j] != labels[a]:
                    if near < 0 or d < nearest:
                        near, nearest = j, d
                elif j != a and (far < 0 or d > farthest):
                    far, farthest = j, d
            positives[a] = far
            negatives[a] = near


def nearest_in_band(
    const real[:, ::1] distances, const int32_t[::1] labels, double low, double high, int64_t[:, ::1] triplets
):
    """For every positive pair the nearest negative in the band, where there is one; returns how many triplets.

    Negatives fall into the intervals between the anchor's sorted positives, one search each; the nearest one beyond a
    positive is then the nearest of all intervals from there on. That is n log(positives) an anchor, not n * positives.
    """
    cdef Py_ssize_t n = labels.shape[0], a, j, k, left, right, middle, count = 0, room = triplets.shape[0]
    cdef double d, least, most
    cdef vector[Near] positives
    cdef vector[Near] nearest  # of each interval: beyond positive k, not beyond k + 1
    cdef vector[int32_t] chosen
    require(distances.shape[0] == n and distances.shape[1] == n and triplets.shape[1] == 3)
    chosen.resize(n)
    with nogil:
        for a in range(n):
            positives.clear()
            for j in range(n):
                chosen[j] = -1
                if j != a and labels[j] == labels[a]:
                    positives.push_back(Near(distances[a, j], <int32_t>j))
            if positives.empty():
                continue
            sort(positives.begin(), positives.end())
            nearest.assign(positives.size(), Near(INFINITY, -1))
            least = positives.front().first + low  # most negatives are in nobody's band: no search for these
            most = positives.back().first + high
            for j in range(n):
                d = distances[a, j]
                if not (least < d and d <= most) or labels[j] == labels[a]:
                    continue
                left, right = 0, <Py_ssize_t>positives.size()  # how many positives d is beyond
                while left < right:
                    middle = (left + right) // 2
                    if d > positives[middle].first + low:
                        left = middle + 1
                    else:
                        right = middle
                if left > 0 and (nearest[left - 1].second < 0 or d < nearest[left - 1].first):
                    nearest[left - 1] = Near(d, <int32_t>j)
            for k in range(<Py_ssize_t>positives.size() - 1, -1, -1):
                if nearest[k].second < 0 and k + 1 < <Py_ssize_t>positives.size():
                    nearest[k] = nearest[k + 1]
                if nearest[k].second >= 0 and nearest[k].first <= positives[k].first + high:
                    chosen[positives[k].second] = nearest[k].second
            for j in range(n):
                if chosen[j] >= 0:
                    if count < room:
                        triplets[count, 0] = a
                        triplets[count, 1] = j
                        triplets[count, 2] = chosen[j]
                    count += 1
    require(count <= room)
    return count


def every_in_band(
    const real[:, ::1] distances, const int32_t[::1] labels, double low, double high, int64_t[:, ::1] triplets
):
    """Every triplet in the band, by anchor, positive, negative; returns how many, and writes those there is room for."""
    cdef Py_ssize_t n = labels.shape[0], a, p, j, count = 0, room = triplets.shape[0]
    cdef double least, most, d
    require(distances.shape[0] == n and distances.shape[1] == n and triplets.shape[1] == 3)
    with nogil:
        for a in range(n):
            for p in range(n):
                if p == a or labels[p] != labels[a]:
                    continue
                least = distances[a, p] + low
                most = distances[a, p] + high
                for j in range(n):
                    d = distances[a, j]
                    if labels[j] != labels[a] and d > least and d <= most:
                        if count < room:
                            triplets[count, 0] = a
                            triplets[count, 1] = p
                            triplets[count, 2] = j
                        count += 1
    return count


def sum_in_band(
    const real[:, ::1] distances,
    const int32_t[::1] labels,
    double low,
    double high,
    double margin,
    bint soft,
    double[:, ::1] slopes,
):
    """The losses of every triplet in the band, without a list of them; returns (sum, active triplets, all triplets).

    With v = margin - gap, the loss is max(v, 0), or log(1 + exp(v)) if soft; slopes, (n, n), becomes the derivative of
    the sum with respect to the distances.
    """
    cdef Py_ssize_t n = labels.shape[0], a, p, j, k, negatives
    cdef double least, most, near, d, violation, small, slope, total = 0, row, pulled
    cdef int64_t active = 0, count = 0
    cdef vector[double] far  # distances of the anchor's negatives, and their slopes
    cdef vector[double] far_slopes
    cdef vector[int32_t] where
    require(distances.shape[0] == n and distances.shape[1] == n and slopes.shape[0] == n and slopes.shape[1] == n)
    far.resize(n)
    far_slopes.resize(n)
    where.resize(n)
    with nogil:
        for a in range(n):
            negatives = 0
            for j in range(n):
                slopes[a, j] = 0
                if labels[j] != labels[a]:
                    far[negatives] = distances[a, j]
                    far_slopes[negatives] = 0
                    where[negatives] = <int32_t>j
                    negatives += 1
            row = 0
            for p in range(n):
                if p == a or labels[p] != labels[a]:
                    continue
                near = distances[a, p]
                least = near + low
                most = near + high
                pulled = 0
                for k in range(negatives):
                    d = far[k]
                    if not (d > least and d <= most):
                        continue
                    count += 1
                    violation = margin - (d - near)
                    if soft:
                        small = exp(-violation if violation > 0 else violation)
                        row += log1p(small) + (violation if violation > 0 else 0)
                        slope = (1 if violation > 0 else small) / (1 + small)
                    elif violation > 0:
                        row += violation
                        slope = 1
                    else:
                        continue
                    active += 1
                    far_slopes[k] -= slope
                    pulled += slope
                slopes[a, p] = pulled
            total += row
            for k in range(negatives):
                slopes[a, where[k]] = far_slopes[k]
    return total, active, count


def draw(const double[:, ::1] weights, const int64_t[::1] rows, const double[::1] uniform, int64_t[::1] drawn):
    """For each of rows a column, drawn with the probability that its weights give; -1 where all weights are 0."""
    cdef Py_ssize_t columns = weights.shape[1], k, j, row, last
    cdef double left
    require(drawn.shape[0] == rows.shape[0] and uniform.shape[0] == rows.shape[0])
    for k in range(rows.shape[0]):
        require(0 <= rows[k] < weights.shape[0])
    with nogil:
        for k in range(rows.shape[0]):
            row = rows[k]
            left = 0
            for j in range(columns):
                left += weights[row, j]
            left *= uniform[k]
            last = -1
            for j in range(columns):
                if weights[row, j] > 0:
                    last = j
                    left -= weights[row, j]
                    if left < 0:
                        break
            drawn[k] = last


def pull_triplets(
    const real[:, ::1] points,
    const int64_t[:, ::1] triplets,
    const double[::1] to_positive,
    const double[::1] to_negative,
    double[:, ::1] gradient,
):
    """Adds to the gradient of each point what w (a - p) and v (a - n) ask of it, for each triplet's w and v."""
    cdef Py_ssize_t depth = points.shape[1], k, c, a, p, n
    cdef double w, v, near, far
    require(triplets.shape[1] == 3 and to_positive.shape[0] == triplets.shape[0] == to_negative.shape[0])
    require(gradient.shape[0] == points.shape[0] and gradient.shape[1] == depth)
    for k in range(triplets.shape[0]):
        for c in range(3):
            require(0 <= triplets[k, c] < points.shape[0])
    with nogil:
        for k in range(triplets.shape[0]):
            a, p, n = triplets[k, 0], triplets[k, 1], triplets[k, 2]
            w, v = to_positive[k], to_negative[k]
            if w == 0 and v == 0:
                continue
            for c in range(depth):
                near = w * (<double>points[a, c] - points[p, c])
                far = v * (<double>points[a, c] - points[n, c])
                gradient[a, c] += near + far
                gradient[p, c] -= near
                gradient[n, c] -= far
