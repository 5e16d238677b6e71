// Single-pass spectrogram inversion (phase/spsi.py) in two launches. The first finds, for all
// frames at once, the peak that each bin continues and the advance of its angle. The second adds up
// the angles frame by frame, with one barrier per frame.
#include "device.cuh"

static constexpr float FULL_TURN = 6.283185307179586f;

// One frame in shared memory, with a bit for every bin that is a peak.
struct Row {
    const float* size;
    const unsigned* peaks;
    int last;  // bin

    // The peak whose region bin k belongs to: the bin itself, or the nearest peak uphill.
    __device__ int peak_of(int k) const {
        const int words = last / 32 + 1;
        int word = k / 32;
        unsigned bits = peaks[word] & (0xffffffffu >> (31 - k % 32));
        while (!bits && word > 0) bits = peaks[--word];
        const int before = bits ? 32 * word + 31 - __clz(bits) : -1;
        if (before == k) return k;
        word = k / 32;
        bits = peaks[word] & (0xffffffffu << k % 32);
        while (!bits && word < words - 1) bits = peaks[++word];
        const int after = bits ? 32 * word + __ffs(bits) - 1 : last + 1;
        const float left = k > 0 ? size[k - 1] : -1.f, right = k < last ? size[k + 1] : -1.f;
        if (after > last || (before >= 0 && left > right))
            return max(before, 0);  // no peak at all: a frame of NaN
        return after;
    }

    // Distance in bins of the frequency of a peak from its bin: a parabola through the logarithms.
    __device__ float offset(int m) const {
        if (m == 0 || m == last) return 0.f;
        const float middle = size[m] > 0.f ? size[m] : 1.f;
        const float below = logf(fminf(fmaxf(size[m - 1] / middle, (float)(SMALLEST_RATIO)), 1.f));
        const float above = logf(fminf(fmaxf(size[m + 1] / middle, (float)(SMALLEST_RATIO)), 1.f));
        const float bend = below + above;
        return (below - above) / (2.f * (bend < 0.f ? bend : -1.f));
    }
};

// Grid: frames of all items. Shared memory: this frame and the previous one, and their peaks.
extern "C" __global__ void __launch_bounds__(256) spsi_advance(
    const float* __restrict__ magnitude,  // (items, n_frames, n_freqs)
    const float* __restrict__ bin_advance,  // (n_freqs) angle advance of each bin per hop
    int* __restrict__ peak,       // like the magnitude: the bin whose angle continues here
    float* __restrict__ advance,  // like the magnitude: the advance of the angle
    float advance_per_bin,        // the difference of two neighboring bins in that
    int n_frames, int n_freqs
) {
    const int words = (n_freqs + 31) / 32;
    float* const sizes = (float*)dynamic_shared;
    unsigned* const bits = (unsigned*)(sizes + 2 * n_freqs);
    const long long first = (long long)blockIdx.x * n_freqs;
    const int two = blockIdx.x % n_frames > 0 ? 2 : 1;
    for (int row = 0; row < two; row++)
        for (int k = threadIdx.x; k < n_freqs; k += blockDim.x)
            sizes[row * n_freqs + k] = magnitude[first - (long long)row * n_freqs + k];
    __syncthreads();
    for (int row = 0; row < two; row++) {
        const float* const size = sizes + row * n_freqs;
        for (int k = threadIdx.x; k < 32 * words; k += blockDim.x) {  // whole warps
            bool is_peak = false;
            if (k < n_freqs)
                is_peak = (k == 0 || size[k] > size[k - 1]) &&
                          (k == n_freqs - 1 || size[k] >= size[k + 1]);
            const unsigned warp = __ballot_sync(0xffffffff, is_peak);
            if (k % 32 == 0) bits[row * words + k / 32] = warp;
        }
    }
    __syncthreads();
    const Row now{sizes, bits, n_freqs - 1}, then{sizes + n_freqs, bits + words, n_freqs - 1};
    for (int k = threadIdx.x; k < n_freqs; k += blockDim.x) {
        const int m = now.peak_of(k);
        const float at = now.offset(m);
        float glide = 0.f;
        if (two == 2) {
            const int previous_peak = then.peak_of(m);
            glide = then.offset(previous_peak) - at + (float)(previous_peak - m);
        }
        peak[first + k] = m;
        advance[first + k] = bin_advance[m] + (at + glide / 2) * advance_per_bin;
    }
}

// The remainder by a full bin_advance of less than 2²⁰ turns, exact to the last bit: within [0,
// 2π].
__device__ __forceinline__ float within_turn(float angle) {
    const float size = fabsf(angle);
    float remainder = fmaf(-truncf(size * (1.f / FULL_TURN)), FULL_TURN, size);
    if (remainder < 0.f) remainder += FULL_TURN;
    if (remainder >= FULL_TURN) remainder -= FULL_TURN;
    return angle < 0.f && remainder > 0.f ? FULL_TURN - remainder : remainder;
}

// Grid: items. A thread has BINS bins, and loads AHEAD frames in advance.
extern "C" __global__ void __launch_bounds__(1024) spsi_angles(
    const int* __restrict__ peak, const float* __restrict__ advance,
    // (n_freqs) angle at the center of the window minus that at the first sample of the frame.
    const float* __restrict__ centering,
    // (items, n_freqs) angles of the frame before the first, or null: the first has 0.
    const float* __restrict__ before,
    float* __restrict__ angles,  // (items, n_frames, n_freqs)
    int n_frames, int n_freqs
) {
    float* const turns = (float*)dynamic_shared;  // of this frame and the previous one
    const long long first = (long long)blockIdx.x * n_frames * n_freqs;
    peak += first, advance += first, angles += first;
    int from[AHEAD][BINS];
    float by[AHEAD][BINS], center[BINS];
    auto load = [&](int slot, int frame) {
#pragma unroll
        for (int i = 0; i < BINS; i++) {
            const int k = threadIdx.x + i * blockDim.x;
            const bool exists = k < n_freqs && frame < n_frames;
            from[slot][i] = exists ? peak[(long long)frame * n_freqs + k] : 0;
            by[slot][i] = exists ? advance[(long long)frame * n_freqs + k] : 0.f;
        }
    };
#pragma unroll
    for (int slot = 0; slot < AHEAD; slot++) load(slot, slot);
#pragma unroll
    for (int i = 0; i < BINS; i++) {
        const int k = threadIdx.x + i * blockDim.x;
        center[i] = k < n_freqs ? centering[k] : 0.f;
        if (before && k < n_freqs)
            turns[n_freqs + k] = before[(long long)blockIdx.x * n_freqs + k] + center[i];
    }
    __syncthreads();
    for (int base = 0; base < n_frames; base += AHEAD) {
#pragma unroll
        for (int slot = 0; slot < AHEAD; slot++) {
            const int frame = base + slot;
            if (frame < n_frames) {
                float* const now = turns + frame % 2 * n_freqs;
                const float* const then = turns + (frame + 1) % 2 * n_freqs;
                float angle[BINS];
#pragma unroll
                for (int i = 0; i < BINS; i++) {
                    const int k = threadIdx.x + i * blockDim.x;
                    if (k >= n_freqs) continue;
                    if (frame > 0) angle[i] = within_turn(then[from[slot][i]] + by[slot][i]);
                    else angle[i] = before ? then[from[slot][i]] + by[slot][i] : 0.f;
                    now[k] = angle[i];
                }
                load(slot, frame + AHEAD);
                __syncthreads();
#pragma unroll
                for (int i = 0; i < BINS; i++) {
                    const int k = threadIdx.x + i * blockDim.x;
                    if (k < n_freqs)
                        angles[(long long)frame * n_freqs + k] = within_turn(angle[i] - center[i]);
                }
            }
        }
    }
}
