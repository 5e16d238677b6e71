// Iteration along a signal, two frames at a time, with the samples that frames share in registers.
//
// A stream is LANES threads that own `run` hops of an item. Register m of a thread holds the sample
// lane + LANES m, counted from the first of the two frames; the second frame starts SHIFT registers
// later, the next pair 2 SHIFT. Earlier frames overlap the first hops of a stream: the stream
// computes those WARM_UP frames again, so that one thread writes each sample, in an order of
// additions that depends neither on `run` nor on other items. Streams therefore start at an even
// hop and own an even number of hops: the same two frames are always a pair.
#pragma once
#include "fft.cuh"
#include "padding.cuh"
#include "spectrum.cuh"

constexpr int FREQUENCIES = N_FFT / 2 + 1;
constexpr int SHIFT = HOP / LANES;
constexpr int REACH = 16 + SHIFT;  // registers of a pair
// Frames that overlap the next hop, an even number.
constexpr int WARM_UP = (15 + SHIFT) / SHIFT / 2 * 2;
constexpr int STREAMS = LANES < 32 ? 32 / LANES : 1;  // of a block
constexpr int THREADS = STREAMS * LANES;
// Number of the stream in its block, and of the thread in its stream; constants the compiler cannot
// derive.
__device__ __forceinline__ int stream_of_block() {
    return STREAMS == 1 ? 0 : (int)threadIdx.x / LANES;
}
__device__ __forceinline__ int lane_of_thread() {
    return STREAMS == 1 ? (int)threadIdx.x : (int)threadIdx.x % LANES;
}
static_assert(HOP % LANES == 0 && HOP <= N_FFT, "a hop is a whole number of registers");

// y = t + alpha (t − t_prev), padded: before its start and after its end come mirrored samples, or
// 0.
struct Extrapolated {
    const float *signal, *previous;
    float alpha;
    int end;
    bool reflect;

    // Registers FROM to TO − 1, where register 0 is sample n. The rare case is written for few
    // instructions rather than few cycles: it uses the column of the thread in the exchange.
    template <int FROM, int TO>
    __device__ __forceinline__ void read(float* values, int n, int lane, Complex* held) const {
        if (n + FROM * LANES >= 0 && n + (TO - 1) * LANES < end) {
#pragma unroll
            for (int m = FROM; m < TO; m++) values[m] = __ldg(signal + n + m * LANES);
            if (previous) {
#pragma unroll
                for (int m = FROM; m < TO; m++)
                    values[m] = fmaf(alpha, values[m] - __ldg(previous + n + m * LANES), values[m]);
            }
        } else {
            float* column = &held[lane].re;
#pragma unroll 1
            for (int m = FROM; m < TO; m++)
                column[m / 2 * 2 * ROW + m % 2] = anywhere(n + m * LANES);
#pragma unroll
            for (int m = FROM; m < TO; m++) values[m] = column[m / 2 * 2 * ROW + m % 2];
        }
    }

  private:
    __device__ __forceinline__ float anywhere(int n) const {
        if (reflect) n = mirrored(n, end);
        if (n < 0 || n >= end) return 0.f;
        const float now = __ldg(signal + n);
        return previous ? fmaf(alpha, now - __ldg(previous + n), now) : now;
    }
};

// e = g · inverse_sumsquare, which is 0 outside of the signal.
struct Weighted {
    const float *grad, *inverse_sumsquare;
    int n_samples;

    template <int FROM, int TO>
    __device__ __forceinline__ void read(float* values, int n) const {
#pragma unroll
        for (int m = FROM; m < TO; m++) {
            const int at = n + m * LANES;
            values[m] = (unsigned)at < (unsigned)n_samples
                            ? __ldg(grad + at) * __ldg(inverse_sumsquare + at)
                            : 0.f;
        }
    }
};

// The 2 SHIFT registers that are complete after a pair of frames, read from a signal of n_samples
// or written to it. Nearly all lie inside.
struct Finished {
    float value[2 * SHIFT];

    __device__ __forceinline__ void fetch(const float* from, int n, int n_samples) {
        from += n;
        if (inside(n, n_samples)) {
#pragma unroll
            for (int m = 0; m < 2 * SHIFT; m++) value[m] = __ldg(from + m * LANES);
        } else {
#pragma unroll
            for (int m = 0; m < 2 * SHIFT; m++)
                value[m] = lies(n, m, n_samples) ? __ldg(from + m * LANES) : 0.f;
        }
    }
    __device__ __forceinline__ void store(float* to, int n, int n_samples) const {
        to += n;
        if (inside(n, n_samples)) {
#pragma unroll
            for (int m = 0; m < 2 * SHIFT; m++) to[m * LANES] = value[m];
        } else {
#pragma unroll
            for (int m = 0; m < 2 * SHIFT; m++)
                if (lies(n, m, n_samples)) to[m * LANES] = value[m];
        }
    }

  private:
    static __device__ __forceinline__ bool lies(int n, int m, int n_samples) {
        return (unsigned)(n + m * LANES) < (unsigned)n_samples;
    }
    static __device__ __forceinline__ bool inside(int n, int n_samples) {
        return n >= 0 && lies(n, 2 * SHIFT - 1, n_samples);
    }
};

// Both frames, windowed and packed into one complex frame.
__device__ __forceinline__ void packed(
    const float* values, const float* window, int lane, Complex* v
) {
#pragma unroll
    for (int m = 0; m < 16; m++) {
        const float w = window[lane + m * LANES];
        v[m] = {w * values[m], w * values[m + SHIFT]};
    }
}

// Adds both frames, windowed, to the sums.
__device__ __forceinline__ void overlap(
    const Complex* v, const float* window, int lane, float* sums
) {
#pragma unroll
    for (int m = 0; m < 16; m++) {
        const float w = window[lane + m * LANES];
        sums[m] = fmaf(w, v[m].re, sums[m]);
        sums[m + SHIFT] = fmaf(w, v[m].im, sums[m + SHIFT]);
    }
}

// Moves the samples that this pair of frames shares with the next one.
__device__ __forceinline__ void advance(float* values) {
#pragma unroll
    for (int m = 0; m < 16 - SHIFT; m++) values[m] = values[m + 2 * SHIFT];
}

// Addresses of the bins of a thread in the rows (n_frames, FREQUENCIES) of two frames. The pointers
// advance, because bins up from 0 and down from N_FFT then have fixed distances from them.
template <class Value>
struct Rows {
    Value *up, *down_first, *down;

    __device__ __forceinline__ Rows(Value* rows, int frame, int lane) {
        rows += (long long)frame * FREQUENCIES;
        up = rows + pair_base(lane, 0);
        down_first = rows + pair_base(lane, LAST / 2),
        down = rows + pair_base(lane, LAST + LAST / 2);
    }
    __device__ __forceinline__ Value* of(int second, int pair) const {
        return (!pair_down(pair) ? up
                : pair < LAST    ? down_first
                                 : down) +
               second * FREQUENCIES + pair_offset(pair);
    }
    __device__ __forceinline__ Value* nyquist_of_lane_0(int second) const {
        return up + second * FREQUENCIES + N_FFT / 2;
    }
    __device__ __forceinline__ void advance() {
        up += 2 * FREQUENCIES, down_first += 2 * FREQUENCIES, down += 2 * FREQUENCIES;
    }
};

// The target magnitudes of one of the two frames; 0 if the frame does not exist.
struct Magnitudes {
    float at[8], nyquist;

    __device__ __forceinline__ void fetch(
        const Rows<const float>& rows, int second, bool exists, int lane
    ) {
#pragma unroll
        for (int s = 0; s < 8; s++) at[s] = exists ? __ldg(rows.of(second, s)) : 0.f;
        nyquist = exists && lane == 0 ? __ldg(rows.nyquist_of_lane_0(second)) : 0.f;
    }
};
