// The pull towards a mel (joint/mel_target.py) on the two frames of a pair: pieces between barriers, for any number of threads.
//
// With s what the filterbank sees of each bin, one sweep is
//     r_j = min(m_j / (Ms)_j, most),    g_k = Σ_j spread_kj r_j + free_k heard,    s_k ← s_k g_k,
// first over bands (`mel_ratios`), then, behind a barrier, over bins (`mel_factor`), behind another barrier again. Both frames
// of a pair, .x and .y, go through together and so share every load of a weight. Sums have an order that nothing but the
// tables decides.
#pragma once
#include "device.cuh"

struct MelTables {
    const int *first, *width, *start;  // of each band: first bin, number of bins, first weight
    const float* weights;
    const int* band;       // of each bin: the lower one of its two bands
    const float2* spread;  // what the ratios of that band and of the next count for
    const float* free;     // what is added in frames that are not silent
    int n_mels;
};

// So many lanes add up one band. Filters are a few bins wide at the bottom and many at the top: neighbours, which lie in one
// warp, are about equally long, so that few lanes wait.
constexpr int MEL_LANES = 8;

// Sum over MEL_LANES lanes, the same in each of them.
__device__ __forceinline__ float mel_lanes_sum(float x) {
#pragma unroll
    for (int reach = MEL_LANES / 2; reach; reach /= 2) x += __shfl_xor_sync(0xffffffffu, x, reach);
    return x;
}

// s of a bin from |c|².
__device__ __forceinline__ float mel_seen(float squared, float offset, float floor, float power) {
    squared = fmaxf(squared + offset, floor);
    return power == 2.f ? squared : power == 1.f ? sqrtf(squared) : powf(squared, 0.5f * power);
}

// Which frames of the pair are not silent, as 1 or 0. Every MEL_LANES threads look for themselves; needs no barrier of its own.
__device__ __forceinline__ float2 mel_heard(const float2* wanted, int n_mels, int thread) {
    int heard = 0;
    for (int j = thread % MEL_LANES; j < n_mels; j += MEL_LANES) heard |= (wanted[j].x != 0.f) | (wanted[j].y != 0.f) << 1;
#pragma unroll
    for (int reach = MEL_LANES / 2; reach; reach /= 2) heard |= __shfl_xor_sync(0xffffffffu, heard, reach);
    return make_float2((float)(heard & 1), (float)(heard >> 1));
}

// ratio[j] = min(m_j / max((Ms)_j, faintest), most) for all bands, from `seen` and `wanted` by `threads` threads, of which this
// one is `thread`. `threads` is a multiple of MEL_LANES, and every thread of a warp calls. `ratio` has one place more, for the
// partner of a last band that has none: the caller puts 0 there.
__device__ __forceinline__ void mel_ratios(
    const MelTables& mel, const float2* seen, const float2* wanted, float2* ratio, float faintest, float most, int thread, int threads
) {
    const int lane = thread % MEL_LANES;
    for (int base = 0; base < mel.n_mels; base += threads / MEL_LANES) {
        const int j = base + thread / MEL_LANES;
        const bool mine = j < mel.n_mels;
        float2 had = make_float2(0.f, 0.f);
        if (mine) {
            const float2* bins = seen + __ldg(mel.first + j);
            const float* weights = mel.weights + __ldg(mel.start + j);
            const int width = __ldg(mel.width + j);
            for (int i = lane; i < width; i += MEL_LANES) {
                const float weight = __ldg(weights + i);
                had.x += weight * bins[i].x;
                had.y += weight * bins[i].y;
            }
        }
        had.x = mel_lanes_sum(had.x);
        had.y = mel_lanes_sum(had.y);
        if (mine && lane < 2) {  // one lane divides for each frame
            const float m = lane ? wanted[j].y : wanted[j].x, sum = lane ? had.y : had.x;
            const float r = fminf(m / fmaxf(sum, faintest), most);
            if (lane) ratio[j].y = r;
            else ratio[j].x = r;
        }
    }
}

// g of bin k: what a sweep multiplies s by.
__device__ __forceinline__ float2 mel_factor(const MelTables& mel, const float2* ratio, float2 heard, int k) {
    const int j = __ldg(mel.band + k);
    const float2 spread = __ldg(mel.spread + k);
    const float free = __ldg(mel.free + k);
    const float2 low = ratio[j], high = ratio[j + 1];
    return make_float2(
        spread.x * low.x + spread.y * high.x + free * heard.x, spread.x * low.y + spread.y * high.y + free * heard.y
    );
}

// What c is multiplied by, from the product of all sweeps' g.
__device__ __forceinline__ float mel_gain(float product, float exponent, float most) {
    const float root = exponent == 1.f ? product : exponent == 0.5f ? sqrtf(product) : powf(product, exponent);
    return fminf(root, most);
}
