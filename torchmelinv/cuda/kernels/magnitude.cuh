// The target of a fused step: magnitudes.
#pragma once
#include "stream.cuh"

#define TARGET_PARAMETERS const float* __restrict__ magnitude  // A, (items, n_frames, n_freqs)
#define TARGET_ARGUMENTS magnitude

struct Target {
    Rows<const float> rows;
    Magnitudes first, second;

    __device__ __forceinline__
    Target(int item, int frame, int n_frames, int lane, const float* magnitude)
        : rows(magnitude + (long long)item * n_frames * FREQUENCIES, frame, lane) {}

    // Loads the next pair of frames, of which one or both may not exist.
    __device__ __forceinline__ void fetch(bool is_first, bool is_second, int lane) {
        first.fetch(rows, 0, is_first, lane);
        second.fetch(rows, 1, is_second, lane);
        rows.advance();
    }

    __device__ __forceinline__ void impose(Pairs& pairs, int lane) {
#pragma unroll
        for (int s = 0; s < 8; s++)
            ::impose(pairs.at[s], pairs.mirror[s], make_float2(first.at[s], second.at[s]));
        if (lane == 0) {
            Complex same = pairs.nyquist;
            ::impose(pairs.nyquist, same, make_float2(first.nyquist, second.nyquist));
        }
    }
};
