// The complex Fourier transform of N_FFT points in the registers of N_FFT / 16 threads; it
// transforms two real frames at once.
//
// N_FFT = 16 · 16 · LAST. Thread `lane` holds the samples lane + LANES m, m = 0…15: a hop that is a
// multiple of LANES moves a frame from register to register, never to another thread. Each stage is
// a butterfly in registers. Between stages the values are exchanged through shared memory, where
// each thread writes to the places that it read, so that an exchange takes one barrier, and all
// exchanges one buffer. Frames a and b are transformed as a + i b. The bins k and N_FFT − k
// together give both spectra; the last stage assigns them to the same thread, or, if a thread has
// one butterfly only, to the same warp.
#pragma once
#include "device.cuh"

constexpr int LANES = N_FFT / 16;                // threads of one transform
constexpr int LAST = N_FFT / 256;                // radix of the last stage
constexpr int ROW = LANES + 1;                   // a word of padding, against bank conflicts
constexpr int EXCHANGE = 16 * ROW;               // complex words of shared memory for one transform
constexpr bool ALONE = LAST == 1 || LAST == 16;  // the mirror image of a bin is in another thread
constexpr int GROUPS = ALONE ? 1 : 16 / LAST;    // butterflies of a thread in the last stage
static_assert(
    N_FFT == 256 || N_FFT == 512 || N_FFT == 1024 || N_FFT == 2048 || N_FFT == 4096,
    "sizes of 16 · 16 · LAST"
);

// a · exp(∓iθ), − for the forward transform, from the cosine and sine of θ; the same for θ = π / 2;
// a · w or a · conj(w).
template <bool INVERSE>
__device__ __forceinline__ Complex rotate(Complex a, float cosine, float sine) {
    const float s = INVERSE ? -sine : sine;
    return {fmaf(a.im, s, a.re * cosine), fmaf(-a.re, s, a.im * cosine)};
}
template <bool INVERSE>
__device__ __forceinline__ Complex rotate_quarter(Complex a) {
    return INVERSE ? Complex{-a.im, a.re} : Complex{a.im, -a.re};
}
template <bool INVERSE>
__device__ __forceinline__ Complex twiddle(Complex a, const float2* factor) {
    const float2 w = *factor;
    return rotate<INVERSE>(a, w.x, -w.y);
}

// Butterflies, in natural order.
template <bool INVERSE>
__device__ __forceinline__ void butterfly4(Complex& a, Complex& b, Complex& c, Complex& d) {
    const Complex even = a + c, odd = a - c, sum = b + d, turned = rotate_quarter<INVERSE>(b - d);
    a = even + sum, b = odd + turned, c = even - sum, d = odd - turned;
}
template <int RADIX, bool INVERSE>
__device__ __forceinline__ void butterfly(Complex* v) {
    constexpr float EIGHTH = 0.70710678118654752f, COSINE = 0.92387953251128676f,
                    SINE = 0.38268343236508977f;
    if constexpr (RADIX == 2) {
        const Complex difference = v[0] - v[1];
        v[0] = v[0] + v[1], v[1] = difference;
    } else if constexpr (RADIX == 4) {
        butterfly4<INVERSE>(v[0], v[1], v[2], v[3]);
    } else if constexpr (RADIX == 8) {
        butterfly4<INVERSE>(v[0], v[2], v[4], v[6]);
        butterfly4<INVERSE>(v[1], v[3], v[5], v[7]);
        const Complex even[4] = {v[0], v[2], v[4], v[6]};
        const Complex odd[4] = {
            v[1], rotate<INVERSE>(v[3], EIGHTH, EIGHTH), rotate_quarter<INVERSE>(v[5]),
            rotate<INVERSE>(v[7], -EIGHTH, EIGHTH)
        };
#pragma unroll
        for (int q = 0; q < 4; q++) v[q] = even[q] + odd[q], v[q + 4] = even[q] - odd[q];
    } else if constexpr (RADIX == 16) {
#pragma unroll
        for (int m = 0; m < 4; m++) butterfly4<INVERSE>(v[m], v[m + 4], v[m + 8], v[m + 12]);
        v[5] = rotate<INVERSE>(v[5], COSINE, SINE), v[9] = rotate<INVERSE>(v[9], EIGHTH, EIGHTH);
        v[13] = rotate<INVERSE>(v[13], SINE, COSINE), v[6] = rotate<INVERSE>(v[6], EIGHTH, EIGHTH);
        v[10] = rotate_quarter<INVERSE>(v[10]), v[14] = rotate<INVERSE>(v[14], -EIGHTH, EIGHTH);
        v[7] = rotate<INVERSE>(v[7], SINE, COSINE), v[11] = rotate<INVERSE>(v[11], -EIGHTH, EIGHTH);
        v[15] = rotate<INVERSE>(v[15], -COSINE, -SINE);
#pragma unroll
        for (int q = 0; q < 4; q++)
            butterfly4<INVERSE>(v[4 * q], v[4 * q + 1], v[4 * q + 2], v[4 * q + 3]);
#pragma unroll
        for (int q = 0; q < 4; q++)
#pragma unroll
            for (int p = q + 1; p < 4; p++) {
                const Complex held = v[4 * q + p];
                v[4 * q + p] = v[4 * p + q], v[4 * p + q] = held;
            }
    }
}

// The bins of a thread after the last stage: register group · LAST + u holds bin `head` + 256 u
// (with N_FFT 256: head + 16 u). Groups 2 i and 2 i + 1 mirror each other, except the heads 0 and
// 128, which mirror themselves.
__device__ __forceinline__ int head(int lane, int group) {
    if constexpr (LAST == 1) return lane;
    const int low = LAST == 16 ? lane / 32 * 16 + lane % 16 : lane + LANES * (group / 2);
    const bool mirrored = LAST == 16 ? lane & 16 : group & 1;
    return !mirrored ? low : low ? 256 - low : 128;
}

// Its place between the stages: bin j = q + 16 t at q · ROW + t · LAST. Written so that the
// difference between groups is a constant.
__device__ __forceinline__ int place(int lane, int group) {
    if constexpr (ALONE) return head(lane, 0) % 16 * ROW + head(lane, 0) / 16 * LAST;
    const int later = group / 2 * LAST * LAST;
    if (group % 2 == 0) return lane % 16 * ROW + lane / 16 * LAST + later;
    return group == 1 && lane == 0 ? 8 * LAST
                                   : (-lane & 15) * ROW + (256 - lane) / 16 * LAST - later;
}

// v[m], sample lane + LANES m -> v[group · LAST + u], bin head(lane, group) + 256 u. `twiddles`:
// exp(−2πi q lane / N_FFT), q = 0…15 by lane, then exp(−2πi q t / LANES), q by t = 0…LAST − 1.
__device__ __forceinline__ void forward_transform(
    Complex* v, int lane, Complex* held, const float2* twiddles
) {
    const int base = lane % 16 * ROW + lane / 16;
    butterfly<16, false>(v);
#pragma unroll
    for (int q = 0; q < 16; q++)
        held[q * ROW + lane] = q ? twiddle<false>(v[q], twiddles + q * LANES + lane) : v[q];
    __syncthreads();
#pragma unroll
    for (int m = 0; m < 16; m++) v[m] = held[base + LAST * m];
    butterfly<16, false>(v);
    if constexpr (LAST > 1) {
#pragma unroll
        for (int q = 0; q < 16; q++)
            held[base + LAST * q] =
                q ? twiddle<false>(v[q], twiddles + N_FFT + q * LAST + lane / 16) : v[q];
        __syncthreads();
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            const int first = place(lane, group);
#pragma unroll
            for (int u = 0; u < LAST; u++) v[group * LAST + u] = held[first + u];
            butterfly<LAST, false>(v + group * LAST);
        }
    }
}

// N_FFT times the inverse transform. Forward and inverse transforms may follow each other on the
// same buffer without a barrier; two forward transforms need one between them.
__device__ __forceinline__ void inverse_transform(
    Complex* v, int lane, Complex* held, const float2* twiddles
) {
    const int base = lane % 16 * ROW + lane / 16;
    if constexpr (LAST > 1) {
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            const int first = place(lane, group);
            butterfly<LAST, true>(v + group * LAST);
#pragma unroll
            for (int u = 0; u < LAST; u++) held[first + u] = v[group * LAST + u];
        }
        __syncthreads();
#pragma unroll
        for (int q = 0; q < 16; q++) {
            v[q] = held[base + LAST * q];
            if (q) v[q] = twiddle<true>(v[q], twiddles + N_FFT + q * LAST + lane / 16);
        }
    }
    butterfly<16, true>(v);
#pragma unroll
    for (int m = 0; m < 16; m++) held[base + LAST * m] = v[m];
    __syncthreads();
#pragma unroll
    for (int q = 0; q < 16; q++) {
        v[q] = held[q * ROW + lane];
        if (q) v[q] = twiddle<true>(v[q], twiddles + q * LANES + lane);
    }
    butterfly<16, true>(v);
}

// The bins of a thread in mirrored pairs: `at[s]` and `mirror[s]` are the bins k and N_FFT − k, in
// either order; the one up to N_FFT / 2 is `pair_base` + `pair_offset`. Bin 0 is a pair with
// itself; lane 0 holds bin N_FFT / 2 separately.
struct Pairs {
    Complex at[8], mirror[8], nyquist;
};
constexpr __device__ bool pair_down(int pair) { return !ALONE && pair % LAST >= LAST / 2; }
constexpr __device__ int pair_offset(int pair) {
    const int u = pair % LAST, group = pair / LAST * LANES;
    return ALONE ? LANES * pair : pair_down(pair) ? N_FFT - group - 256 * u : group + 256 * u;
}
__device__ __forceinline__ int pair_base(int lane, int pair) {
    if (ALONE) return head(lane, 0);
    if (!pair_down(pair)) return lane;
    return pair < LAST && lane == 0 ? -128 : -lane;  // lane 0 has the heads 0 and 128
}
__device__ __forceinline__ Complex from_lane(Complex value, int lane) {
    return {__shfl_sync(0xffffffffu, value.re, lane), __shfl_sync(0xffffffffu, value.im, lane)};
}
// The lane of the warp that holds the mirrored bins, if that is another lane.
__device__ __forceinline__ int partner(int lane) {
    if constexpr (LAST == 1) return (threadIdx.x & 16) + (-lane & 15);
    return lane == 0 || lane == 16 ? lane : threadIdx.x % 32 ^ 16;
}

__device__ __forceinline__ Pairs paired(const Complex* v, int lane) {
    Pairs pairs;
    const bool first = lane == 0;
    if constexpr (ALONE) {
#pragma unroll
        for (int s = 0; s < 8; s++) {
            pairs.at[s] = v[s];
            pairs.mirror[s] = from_lane(first ? v[(16 - s) % 16] : v[15 - s], partner(lane));
        }
        pairs.nyquist = v[8];
    } else {
        constexpr int HALF = LAST / 2;
#pragma unroll
        for (int s = 0; s < 8; s++) {
            const int u = s % LAST;
            const Complex *a = v + s / LAST * 2 * LAST, *b = a + LAST;
            pairs.at[s] = s < LAST && u >= HALF && first ? b[u] : a[u];
            pairs.mirror[s] =
                s < LAST && u < HALF && first ? a[(LAST - u) % LAST] : b[LAST - 1 - u];
        }
        pairs.nyquist = v[HALF];
    }
    return pairs;
}

__device__ __forceinline__ void unpaired(const Pairs& pairs, Complex* v, int lane) {
    const bool first = lane == 0;
    if constexpr (ALONE) {
        Complex back[9];
#pragma unroll
        for (int s = 0; s < 8; s++)
            v[s] = pairs.at[s], back[s] = from_lane(pairs.mirror[s], partner(lane));
        back[8] = pairs.nyquist;
#pragma unroll
        for (int s = 0; s < 8; s++) v[15 - s] = first ? back[s + 1] : back[s];
    } else {
        constexpr int HALF = LAST / 2;
#pragma unroll
        for (int s = 0; s < 8; s++) {
            const int u = s % LAST, group = s / LAST * LAST;
            Complex *a = v + 2 * group, *b = a + LAST;
            a[u] = pairs.at[s], b[u] = pairs.mirror[group + LAST - 1 - u];
            if (s < LAST && u >= HALF && first)
                a[u] = u == HALF ? pairs.nyquist : pairs.mirror[LAST - u], b[u] = pairs.at[u];
        }
    }
}
