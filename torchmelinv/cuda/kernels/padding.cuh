// Mirrored padding and its adjoint: beyond its ends a signal of `end` samples is continued with
// period 2 (end − 1).
#pragma once
#include "device.cuh"

__device__ __forceinline__ int mirror_period(int end) { return max(2 * (end - 1), 1); }

// Index of the sample that sample n of a signal mirrors, at both ends as often as needed.
__device__ __forceinline__ int mirrored(int n, int end) {
    const int period = mirror_period(end), folded = (n < 0 ? -n : n) % period;
    return min(folded, period - folded);
}

// Sum of value(p) over all samples p of the padded signal that mirror sample n. The padded signal
// has `left` samples before the first of the signal.
template <class Value>
__device__ __forceinline__ float folded(int n, int left, int end, int n_padded, Value value) {
    const int period = mirror_period(end);
    float sum = 0.f;
    for (int p = (n + left) % period; p < n_padded; p += period) sum += value(p);
    if (n > 0 && n < end - 1)  // otherwise it is its own mirror image
        for (int p = (period - n + left) % period; p < n_padded; p += period) sum += value(p);
    return sum;
}
