// Mirrored padding and its adjoint: a signal of `end` samples goes back and forth beyond its ends, with period 2 (end − 1).
#pragma once
#include "device.cuh"

__device__ __forceinline__ int mirror_period(int end) { return max(2 * (end - 1), 1); }

// Where sample n comes from, of a signal that is mirrored at both ends as often as needed.
__device__ __forceinline__ int mirrored(int n, int end) {
    const int period = mirror_period(end), folded = (n < 0 ? -n : n) % period;
    return min(folded, period - folded);
}

// Sum of value(p) over all samples p of the padded signal, `left` of them before the signal's own, that mirror sample n.
template <class Value> __device__ __forceinline__ float folded(int n, int left, int end, int n_padded, Value value) {
    const int period = mirror_period(end);
    float sum = 0.f;
    for (int p = (n + left) % period; p < n_padded; p += period) sum += value(p);
    if (n > 0 && n < end - 1)  // else it is its own mirror image
        for (int p = (period - n + left) % period; p < n_padded; p += period) sum += value(p);
    return sum;
}
