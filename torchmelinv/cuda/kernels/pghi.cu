// The magnitude-only part of phase gradient heap integration (phase/pghi.py): the weight of every
// bin, and the angle differences to the next frame and to the next bin. A block computes one frame,
// with the log-magnitudes of the frame and its neighbors in shared memory.
#include "device.cuh"

static constexpr float SILENT = 1.f;  // marks bins without a level; levels are at most 0

__device__ __forceinline__ float rise_between(float from, float to) {
    return from > 0.f || to > 0.f ? 0.f : to - from;
}

// Grid: frames of all items.
extern "C" __global__ void __launch_bounds__(256) pghi_steps(
    const float* __restrict__ magnitude,  // (items, n_frames, n_freqs)
    const float* __restrict__ peak,       // (items) the loudest bin
    const float* __restrict__ hop_angle,  // (n_freqs) angle advance of each bin per hop
    float* __restrict__ weight,           // like the magnitude
    float* __restrict__ down,             // (items, n_frames − 1, n_freqs)
    float* __restrict__ right,            // (items, n_frames, n_freqs − 1)
    float ratio, float tolerance, int n_frames, int n_freqs
) {
    float* const levels = (float*)dynamic_shared;  // of the previous, this and the next frame
    const int item = blockIdx.x / n_frames, frame = blockIdx.x % n_frames, last = n_freqs - 1;
    const long long row = blockIdx.x;
    const float loudest = peak[item] > 0.f ? peak[item] : 1.f;
    for (int near = 0; near < 3; near++) {
        const int other = frame + near - 1;
        for (int k = threadIdx.x; k < n_freqs; k += blockDim.x) {
            const bool exists = other >= 0 && other < n_frames;
            const float relative =
                exists ? magnitude[(row + near - 1) * n_freqs + k] / loudest : 0.f;
            levels[near * n_freqs + k] = relative > 0.f ? logf(relative) : SILENT;
            if (near == 1) weight[row * n_freqs + k] = relative > tolerance ? relative : 0.f;
        }
    }
    __syncthreads();
    const float *const before = levels, *const now = levels + n_freqs, *const after = now + n_freqs;
    auto in_bins = [&](const float* level, int k) {
        if (k == 0 || k == last) return 0.f;
        return (rise_between(level[k], level[k + 1]) + rise_between(level[k - 1], level[k])) / 2;
    };
    auto in_time = [&](int k) {
        return (rise_between(now[k], after[k]) + rise_between(before[k], now[k])) / 2;
    };
    for (int k = threadIdx.x; k < n_freqs; k += blockDim.x) {
        if (frame < n_frames - 1)
            down[(row - item) * n_freqs + k] =
                hop_angle[k] + (in_bins(after, k) + in_bins(now, k)) * (ratio / 2);
        if (k < last) right[row * last + k] = (in_time(k + 1) + in_time(k)) / (-2 * ratio);
    }
}
