// Shared by the two kernels of newton.cu: the two distances, passes over the bins, and the
// tridiagonal solve.
#pragma once
#include "device.cuh"

constexpr int LANES = 32, CHUNK = 8, MIDDLE = N_MELS / 2;
constexpr float EPS = 1.1920929e-7f, LARGEST_FLOAT = 3.4028234e38f;

// Values of one lane in shared memory, by band or by slot.
struct Lane {
    float* first;
    __device__ __forceinline__ float& operator[](int i) const { return first[i * LANES]; }
};

#if METHOD == 0  // entropic: s = z exp(u), u ≤ 80
constexpr float LARGEST_EXPONENT = 80, LOG2_E = 1.44269504f, LARGEST = 1e30f;
__device__ __forceinline__ float primal(float prior, float exponent) {
    const float spectrum = prior * exp2f(LOG2_E * fminf(exponent, LARGEST_EXPONENT));
    return spectrum > LARGEST ? LARGEST : spectrum;  // NaN passes
}
__device__ __forceinline__ float slope(float spectrum) { return spectrum; }
__device__ __forceinline__ float prior_slope(float prior, float spectrum) {
    return prior > 0 ? spectrum / prior : 0.f;
}
__device__ __forceinline__ float safe_step(float change) {
    return change > 0 ? log1pf(change) / change : 1.f;
}
#else  // least distance: s = max(0, z + u)
__device__ __forceinline__ float primal(float prior, float exponent) {
    return prior + exponent < 0 ? 0.f : prior + exponent;  // NaN passes
}
__device__ __forceinline__ float slope(float spectrum) { return spectrum > 0 ? 1.f : 0.f; }
__device__ __forceinline__ float prior_slope(float, float spectrum) { return slope(spectrum); }
__device__ __forceinline__ float safe_step(float) { return 0.01f; }
#endif

// A number as the sum of two floats. For a mel that no spectrum has, the multipliers of neighbors
// are large and of opposite sign; with one float, their difference would leave the exponent of the
// bins between them too coarse to converge.
struct Fine {
    float high, low;
};
__device__ __forceinline__ Fine operator+(Fine a, float b) {
    const float sum = a.high + b, moved = sum - a.high;
    const float low = a.low + ((a.high - (sum - moved)) + (b - moved)), high = sum + low;
    return {high, low - (high - sum)};
}
__device__ __forceinline__ float product_sum(float a, float x, float b, float y) {
    return a * x + b * y;
}
__device__ __forceinline__ float product_sum(float a, Fine x, float b, Fine y) {
    const float product = b * y.high, rest = fmaf(b, y.high, -product);
    return fmaf(a, x.high, product) + fmaf(a, x.low, fmaf(b, y.low, rest));
}

// The bins of one warp: those whose lower band is in [band, last_band).
struct Part {
    // Of a bin: its weight in its lower band and in the next one; number of bands to advance before
    // it.
    const float4* rows;
    int bin, n_bins, band, last_band;
    __device__ Part(const float4* all, const int* parts, int part) {
        const int* bounds = parts + 3 * part;
        rows = all + bounds[0];
        bin = bounds[1], n_bins = bounds[4] - bounds[1];
        band = bounds[2], last_band = bounds[5];
    }

    // For every bin in order: advance() before the bins of each next band, visit(weights,
    // load(bin), bin).
    template <class Load, class Advance, class Visit>
    __device__ __forceinline__ void for_each(Load load, Advance advance, Visit visit) const {
        decltype(load(0)) held[CHUNK], next[CHUNK];
        if (n_bins > 0)
#pragma unroll
            for (int k = 0; k < CHUNK; k++) next[k] = load(bin + min(k, n_bins - 1));
        for (int i = 0; i < n_bins; i += CHUNK) {
            float4 row[CHUNK];
#pragma unroll
            for (int k = 0; k < CHUNK; k++) {
                held[k] = next[k];
                row[k] = rows[i + k];  // padded with zeros
                next[k] = load(bin + min(i + CHUNK + k, n_bins - 1));
            }
#pragma unroll
            for (int k = 0; k < CHUNK; k++) {
                float left = row[k].z;
                if (left > 0) {
#pragma unroll 1
                    do advance();
                    while ((left -= 1) > 0);
                }
                visit(row[k], held[k], i + k);
            }
        }
    }
};

// The bins below and above all filters, split between the parts: they have u = 0 and no other
// effect.
template <class Visit>
__device__ __forceinline__ void for_uncovered_bins(
    const int* parts, int part, int n_freqs, Visit visit
) {
    const int first = parts[1], last = parts[3 * PARTS + 1];
    for (int i = part; i < n_freqs - (last - first); i += PARTS)
        visit(i < first ? i : i - first + last);
}

// The values of a vector over bands, float or Fine, at the two bands of a bin. They must be 0 at
// band N_MELS.
template <class At>
struct Pair {
    At at;
    decltype(at(0)) low, high;
    __device__ Pair(At at, int band) : at(at), low(at(band)), high(at(band + 1)) {}
    __device__ __forceinline__ void go_to(int band) { low = high, high = at(band + 1); }
    __device__ __forceinline__ float operator()(float4 row) const {
        return product_sum(row.x, low, row.y, high);
    }
};

// Sums over the bins of each band: Σ M_j value, and the two diagonals of M diag(slope) Mᵀ.
struct Sums {
    Lane value, diagonal, coupling, carry;
    float low = 0, high = 0, square = 0, next_square = 0, product = 0;
    __device__ __forceinline__ void add(float4 row, float what, float slope) {
        const float a = row.x * slope, b = row.y * slope;
        low += row.x * what, high += row.y * what;
        square += row.x * a, next_square += row.y * b, product += row.x * b;
    }
    __device__ __forceinline__ void leave(int band) {
        value[band] = low, diagonal[band] = square, coupling[band] = product;
        low = high, square = next_square;
        high = next_square = product = 0;
    }
    // The remaining bands, then the sums that belong to the first band of the next part.
    __device__ __forceinline__ void end(int band, int last_band) {
        for (; band < last_band; band++) leave(band);
        carry[0] = low, carry[1] = square;
    }
};

// Solves T x = SIGN · right for T of `diagonal` + ridge and `coupling` (overwritten), from one end
// to the middle and back. The block needs a barrier between the two and after them. `ends` has
// three slots for each end, the last one Σ right · x of its half.
template <bool UP, int SIGN>
struct End {
    Lane diagonal, coupling, right, x, ends;
    float ridge;
    static constexpr int COUNT = UP ? MIDDLE : N_MELS - 1 - MIDDLE, SLOT = UP ? 0 : 3;
    static __device__ __forceinline__ int band(int i) { return UP ? i : N_MELS - 1 - i; }
    static __device__ __forceinline__ int inward(int i) { return UP ? i : N_MELS - 2 - i; }

    __device__ __forceinline__ void eliminate() const {
        float tie = 0, factor = 0, y = 0;
#pragma unroll 4
        for (int i = 0; i < COUNT; i++) {
            const float inverse = 1 / (diagonal[band(i)] + ridge - tie * factor);
            y = (SIGN * right[band(i)] - tie * y) * inverse;
            tie = coupling[inward(i)];
            factor = tie * inverse;
            coupling[inward(i)] = factor;
            x[band(i)] = y;
        }
        ends[SLOT] = tie * factor;
        ends[SLOT + 1] = tie * y;
    }
    __device__ __forceinline__ void substitute() const {
        const float pivot = diagonal[MIDDLE] + ridge - ends[0] - ends[3];
        float value = (SIGN * right[MIDDLE] - ends[1] - ends[4]) / pivot, along = 0;
        if (UP) {
            x[MIDDLE] = value;
            along = right[MIDDLE] * value;
        }
#pragma unroll 4
        for (int i = COUNT - 1; i >= 0; i--) {
            value = x[band(i)] - coupling[inward(i)] * value;
            x[band(i)] = value;
            along += right[band(i)] * value;
        }
        ends[SLOT + 2] = along;
    }
};

// All threads must reach the barriers; only `active` lanes solve.
template <int SIGN>
__device__ __forceinline__ void solve(
    int part, bool active, Lane diagonal, Lane coupling, Lane right, Lane x, Lane ends, float ridge
) {
    const End<true, SIGN> top{diagonal, coupling, right, x, ends, ridge};
    const End<false, SIGN> bottom{diagonal, coupling, right, x, ends, ridge};
    if (active && part == 0) top.eliminate();
    if (active && part == PARTS - 1) bottom.eliminate();
    __syncthreads();
    if (active && part == 0) top.substitute();
    if (active && part == PARTS - 1) bottom.substitute();
}

// The diagonal of the Hessian with ρ w and the ridge that float32 needs, except EPS times its
// largest entry.
__device__ __forceinline__ float with_ridge(float diagonal, float rho_weight) {
    return diagonal + (rho_weight + 1e3f * EPS * diagonal);
}
