// What stands around cuFFT in a phase method's step, for any frame length and hop: framing, projection, overlap-add.
//
// Frames 2j and 2j + 1 of an item are the real and the imaginary part of one complex frame (spectrum.cuh), so that complex
// transforms serve (a real one back would copy its input first). Where the number of frames is odd, the last has silence for its
// partner.
#include "mel.cuh"
#include "padding.cuh"
#include "spectrum.cuh"

constexpr int THREADS = 256, PULL_THREADS = 128;
constexpr int LANES_OF_BAND = 2;  // threads that add up a band; rows have whole steps of a multiple of it

// Bins k and N − k of a pair's spectrum z; bins 0 and N / 2 are their own mirror images.
struct Bins {
    float2 *here, *there;
    Complex at, mirror;

    __device__ __forceinline__ Bins(float2* z, int n_fft, int k) : here(z + k), there(z + (k ? n_fft - k : 0)) {
        at = {here->x, here->y}, mirror = {there->x, there->y};
    }
    __device__ __forceinline__ void store() const {
        *there = make_float2(mirror.re, mirror.im);
        *here = make_float2(at.re, at.im);
    }
};

// Frames of y = t + momentum (t − previous), times `scale` where there is one, windowed. One block a pair.
extern "C" __global__ void __launch_bounds__(THREADS) frame_pairs(
    const float* __restrict__ signal, const float* __restrict__ previous, float momentum, const float* __restrict__ scale,
    int scale_stride, const int* __restrict__ ends, int reflect, const float* __restrict__ window, float2* __restrict__ z,
    int n_fft, int hop_length, int left, int n_frames, int n_samples
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs, pair = blockIdx.x % n_pairs;
    const int length = reflect && ends ? ends[item] : n_samples;
    const int begin = 2 * pair * hop_length - left;
    const bool both = 2 * pair + 1 < n_frames;
    signal += (long long)item * n_samples;
    if (previous) previous += (long long)item * n_samples;
    if (scale) scale += (long long)item * scale_stride;
    auto sample = [&](int at) {
        const int i = (unsigned)at < (unsigned)length ? at : reflect ? mirrored(at, length) : -1;
        if (i < 0) return 0.f;
        float y = signal[i];
        if (previous) y += momentum * (y - previous[i]);
        return scale ? y * scale[i] : y;
    };
    z += (long long)blockIdx.x * n_fft;
    for (int k = threadIdx.x; k < n_fft; k += THREADS) {
        const float w = window[k];
        z[k] = make_float2(w * sample(begin + k), both ? w * sample(begin + hop_length + k) : 0.f);
    }
}

// Magnitudes imposed, angles kept: Y = A X / |X|, in place. One block a pair.
extern "C" __global__ void __launch_bounds__(THREADS) impose_pairs(
    float2* __restrict__ z, const float* __restrict__ magnitude, int n_fft, int n_frames
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs, pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
    const bool both = 2 * pair + 1 < n_frames;
    magnitude += ((long long)item * n_frames + 2 * pair) * n_freqs;
    z += (long long)blockIdx.x * n_fft;
    for (int k = threadIdx.x; k < n_freqs; k += THREADS) {
        const float a = magnitude[k], b = both ? magnitude[n_freqs + k] : 0.f;
        Bins bins(z, n_fft, k);
        impose(bins.at, bins.mirror, make_float2(a, b));
        bins.store();
    }
}

// The pull towards a mel, in place. One block a pair; dynamic shared memory: n_seen + n_freqs + 2 (n_mels + 1) float2.
extern "C" __global__ void __launch_bounds__(PULL_THREADS, 10) pull_pairs(
    float2* __restrict__ z, const float* __restrict__ values, const int4* __restrict__ rows, const float* __restrict__ weights,
    const int* __restrict__ band, const float2* __restrict__ spread, const float* __restrict__ offset,
    const float* __restrict__ floor, float power, int sweeps, float exponent, float most_ratio, float most_gain, float faintest,
    int n_fft, int n_frames, int n_mels, int n_seen
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs, pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
    const int t = threadIdx.x;
    const bool both = 2 * pair + 1 < n_frames;
    const MelTables mel = {rows, weights, band, spread};
    float2* const seen = reinterpret_cast<float2*>(dynamic_shared);
    float2* const product = seen + n_seen;  // of the sweeps' factors
    float2* const wanted = product + n_freqs;
    float2* const ratio = wanted + n_mels;
    values += ((long long)item * n_frames + 2 * pair) * n_mels;
    z += (long long)blockIdx.x * n_fft;
    if (t == 0) ratio[n_mels] = make_float2(0.f, 0.f);
    for (int k = n_freqs + t; k < n_seen; k += PULL_THREADS) seen[k] = make_float2(0.f, 0.f);
    for (int k = t; k < n_freqs; k += PULL_THREADS) {
        const Bins x(z, n_fft, k);
        const float a = 0.25f * squared(first_twice(x.at, x.mirror)), b = 0.25f * squared(second_twice(x.at, x.mirror));
        seen[k] = make_float2(mel_seen(a, offset[item], floor[item], power), mel_seen(b, offset[item], floor[item], power));
        product[k] = make_float2(1.f, 1.f);
    }
    __syncthreads();
    for (int j = t; j < n_mels; j += PULL_THREADS) {
        wanted[j] = make_float2(values[j], both ? values[n_mels + j] : 0.f);
        mel_hears(wanted[j], ratio + n_mels);
    }
    for (int sweep = 0; sweep < sweeps; sweep++) {
        __syncthreads();
        mel_ratios<LANES_OF_BAND, PULL_THREADS>(mel, n_mels, seen, wanted, ratio, faintest, most_ratio, t);
        __syncthreads();
        for (int k = t; k < n_freqs; k += PULL_THREADS) {
            const float2 factor = mel_factor(__ldg(mel.spread + k), ratio + __ldg(mel.band + k));
            seen[k] = seen[k] * factor, product[k] = product[k] * factor;
        }
    }
    for (int k = t; k < n_freqs; k += PULL_THREADS) {
        Bins x(z, n_fft, k);
        const float2 gain = make_float2(mel_gain(product[k].x, exponent, most_gain), mel_gain(product[k].y, exponent, most_gain));
        amplify(x.at, x.mirror, gain);
        x.store();
    }
}

// The way back through `impose_pairs` (spectrum.cuh), from the spectra X of y and E of the gradient's frames: that by the spectra
// in the place of E, and that by A, c_k Re(conj(u) E), c_k the number of bins that a real signal's bin stands for (it cancels in
// the first).
extern "C" __global__ void __launch_bounds__(THREADS) turn_pairs(
    float2* __restrict__ x, float2* __restrict__ e, const float* __restrict__ magnitude, float* __restrict__ to_magnitude,
    int n_fft, int n_frames
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs, pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
    const bool both = 2 * pair + 1 < n_frames;
    const long long row = ((long long)item * n_frames + 2 * pair) * n_freqs;
    x += (long long)blockIdx.x * n_fft;
    e += (long long)blockIdx.x * n_fft;
    for (int k = threadIdx.x; k < n_freqs; k += THREADS) {
        const Bins spectrum(x, n_fft, k);
        Bins gradient(e, n_fft, k);
        const float half_count = k == 0 || 2 * k == n_fft ? 0.5f : 1.f;
        const float2 wanted = make_float2(magnitude[row + k], both ? magnitude[row + n_freqs + k] : 0.f);
        const float2 along = turn(spectrum.at, spectrum.mirror, gradient.at, gradient.mirror, wanted);
        gradient.store();
        to_magnitude[row + k] = half_count * along.x;
        if (both) to_magnitude[row + n_freqs + k] = half_count * along.y;
    }
}

// Sample `at` of the padded signal that an item's frames add up to: earlier frames first.
__device__ __forceinline__ float overlap_add(
    const float2* __restrict__ z, const float* __restrict__ window, int at, int n_fft, int hop_length, int n_frames
) {
    const int first = at < n_fft ? 0 : (at - n_fft) / hop_length + 1, last = min(at / hop_length, n_frames - 1);
    float sum = 0.f;
#pragma unroll 4
    for (int frame = first; frame <= last; frame++) {
        const int k = at - frame * hop_length;
        const float2* both = z + (long long)(frame >> 1) * n_fft + k;
        sum += window[k] * (frame & 1 ? both->y : both->x);
    }
    return sum;
}

// x from its frames; then t_new = d + relaxation (x − d) of d = t + inertia (t − previous), where `mixed` is asked for.
extern "C" __global__ void __launch_bounds__(THREADS) overlap_add_pairs(
    const float2* __restrict__ z, const float* __restrict__ window, const float* __restrict__ inverse_envelope,
    int envelope_stride, const float* __restrict__ signal, const float* __restrict__ previous, float inertia, float relaxation,
    float* __restrict__ x, float* __restrict__ mixed, int n_fft, int hop_length, int left, int n_frames, int n_samples,
    int blocks_per_item
) {
    const int item = blockIdx.x / blocks_per_item, n = blockIdx.x % blocks_per_item * THREADS + threadIdx.x;
    if (n >= n_samples) return;
    const long long here = (long long)item * n_samples + n;
    z += (long long)item * ((n_frames + 1) / 2) * n_fft;
    const float sum = overlap_add(z, window, n + left, n_fft, hop_length, n_frames);
    const float found = sum * inverse_envelope[(long long)item * envelope_stride + n];
    x[here] = found;
    if (!mixed) return;
    float d = signal[here];
    if (previous) d += inertia * (d - previous[here]);
    mixed[here] = d + relaxation * (found - d);
}

// The transpose of framing: frames added up, and what lies outside of the signal added to the samples that it mirrors.
extern "C" __global__ void __launch_bounds__(THREADS) fold_pairs(
    const float2* __restrict__ z, const float* __restrict__ window, const int* __restrict__ ends, int reflect,
    float* __restrict__ to_signal, int n_fft, int hop_length, int left, int n_frames, int n_samples, int blocks_per_item
) {
    const int item = blockIdx.x / blocks_per_item, n = blockIdx.x % blocks_per_item * THREADS + threadIdx.x;
    if (n >= n_samples) return;
    z += (long long)item * ((n_frames + 1) / 2) * n_fft;
    const int length = ends ? ends[item] : n_samples, padded = hop_length * (n_frames - 1) + n_fft;
    const auto value = [&](int at) { return overlap_add(z, window, at, n_fft, hop_length, n_frames); };
    const float sum = !reflect ? value(n + left) : n < length ? folded(n, left, length, padded, value) : 0.f;
    to_signal[(long long)item * n_samples + n] = sum;
}
