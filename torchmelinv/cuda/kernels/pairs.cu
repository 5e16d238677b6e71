// The parts around cuFFT of a step of a phase method, for any frame length and hop: framing,
// projection, overlap-add.
//
// Frames 2j and 2j + 1 of an item are the real and the imaginary part of one complex frame
// (spectrum.cuh), so that complex transforms can be used (an inverse real transform would copy its
// input first). With an odd number of frames, the last one is paired with silence.
#include "mel.cuh"
#include "padding.cuh"
#include "spectrum.cuh"

constexpr int THREADS = 256, UPDATE_THREADS = 128;
// Threads that sum one band; the loads of a row are a multiple of it.
constexpr int LANES_PER_BAND = 2;

// Bins k and N − k of the spectrum z of a pair; bins 0 and N / 2 are their own mirror images.
struct Bins {
    float2 *at_bin, *at_mirror;
    Complex at, mirror;

    __device__ __forceinline__ Bins(float2* z, int n_fft, int k)
        : at_bin(z + k), at_mirror(z + (k ? n_fft - k : 0)) {
        at = {at_bin->x, at_bin->y}, mirror = {at_mirror->x, at_mirror->y};
    }
    __device__ __forceinline__ void store() const {
        *at_mirror = make_float2(mirror.re, mirror.im);
        *at_bin = make_float2(at.re, at.im);
    }
};

// Windowed frames of y = t + alpha (t − previous), times `scale` if given. One block per pair.
extern "C" __global__ void __launch_bounds__(THREADS) frame_pairs(
    const float* __restrict__ signal, const float* __restrict__ previous, float alpha,
    const float* __restrict__ scale, int scale_stride, const int* __restrict__ n_valid, int reflect,
    const float* __restrict__ window, float2* __restrict__ z, int n_fft, int hop_length, int left,
    int n_frames, int n_samples
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs,
              pair = blockIdx.x % n_pairs;
    const int length = reflect && n_valid ? n_valid[item] : n_samples;
    const int begin = 2 * pair * hop_length - left;
    const bool both = 2 * pair + 1 < n_frames;
    signal += (long long)item * n_samples;
    if (previous) previous += (long long)item * n_samples;
    if (scale) scale += (long long)item * scale_stride;
    auto sample = [&](int at) {
        const int i = (unsigned)at < (unsigned)length ? at : reflect ? mirrored(at, length) : -1;
        if (i < 0) return 0.f;
        float y = signal[i];
        if (previous) y += alpha * (y - previous[i]);
        return scale ? y * scale[i] : y;
    };
    z += (long long)blockIdx.x * n_fft;
    for (int k = threadIdx.x; k < n_fft; k += THREADS) {
        const float w = window[k];
        z[k] = make_float2(w * sample(begin + k), both ? w * sample(begin + hop_length + k) : 0.f);
    }
}

// Imposes magnitudes and keeps angles, in place: Y = A X / |X|. One block per pair.
extern "C" __global__ void __launch_bounds__(THREADS) impose_pairs(
    float2* __restrict__ z, const float* __restrict__ magnitude, int n_fft, int n_frames
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs,
              pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
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

// Multiplicative updates toward a mel, in place. One block per pair. Dynamic shared memory:
// n_padded + n_freqs + 2 (n_mels + 1) float2.
extern "C" __global__ void __launch_bounds__(UPDATE_THREADS, 10) update_pairs(
    float2* __restrict__ z, const float* __restrict__ values, const int4* __restrict__ rows,
    const float* __restrict__ weights, const int* __restrict__ lower_band,
    const float2* __restrict__ shares, const float* __restrict__ offset,
    const float* __restrict__ floor, float power, int inner_iter, float exponent,
    float largest_ratio, float largest_gain, float smallest_mel, int n_fft, int n_frames,
    int n_mels, int n_padded
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs,
              pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
    const int t = threadIdx.x;
    const bool both = 2 * pair + 1 < n_frames;
    const MelTables mel = {rows, weights, lower_band, shares};
    float2* const input = reinterpret_cast<float2*>(dynamic_shared);
    float2* const product = input + n_padded;  // of the factors of all updates
    float2* const target = product + n_freqs;
    float2* const ratio = target + n_mels;
    values += ((long long)item * n_frames + 2 * pair) * n_mels;
    z += (long long)blockIdx.x * n_fft;
    if (t == 0) ratio[n_mels] = make_float2(0.f, 0.f);
    for (int k = n_freqs + t; k < n_padded; k += UPDATE_THREADS) input[k] = make_float2(0.f, 0.f);
    for (int k = t; k < n_freqs; k += UPDATE_THREADS) {
        const Bins x(z, n_fft, k);
        const float a = 0.25f * squared(first_twice(x.at, x.mirror)),
                    b = 0.25f * squared(second_twice(x.at, x.mirror));
        input[k] = make_float2(
            filterbank_input(a, offset[item], floor[item], power),
            filterbank_input(b, offset[item], floor[item], power)
        );
        product[k] = make_float2(1.f, 1.f);
    }
    __syncthreads();
    for (int j = t; j < n_mels; j += UPDATE_THREADS) {
        target[j] = make_float2(values[j], both ? values[n_mels + j] : 0.f);
        mark_nonsilent(target[j], ratio + n_mels);
    }
    for (int i = 0; i < inner_iter; i++) {
        __syncthreads();
        mel_ratios<LANES_PER_BAND, UPDATE_THREADS>(
            mel, n_mels, input, target, ratio, smallest_mel, largest_ratio, t
        );
        __syncthreads();
        for (int k = t; k < n_freqs; k += UPDATE_THREADS) {
            const float2 factor =
                update_gain(__ldg(mel.shares + k), ratio + __ldg(mel.lower_band + k));
            input[k] = input[k] * factor, product[k] = product[k] * factor;
        }
    }
    for (int k = t; k < n_freqs; k += UPDATE_THREADS) {
        Bins x(z, n_fft, k);
        const float2 gain = make_float2(
            spectrum_gain(product[k].x, exponent, largest_gain),
            spectrum_gain(product[k].y, exponent, largest_gain)
        );
        amplify(x.at, x.mirror, gain);
        x.store();
    }
}

// Backward of `impose_pairs` (spectrum.cuh), from the spectra X of y and E of the frames of the
// gradient. Overwrites E by the gradient of the spectra. The gradient of A is c_k Re(conj(u) E),
// where c_k is the number of bins that one bin of a real signal counts for (it cancels in the
// first).
extern "C" __global__ void __launch_bounds__(THREADS) impose_pairs_vjp(
    float2* __restrict__ x, float2* __restrict__ e, const float* __restrict__ magnitude,
    float* __restrict__ to_magnitude, int n_fft, int n_frames
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs,
              pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
    const bool both = 2 * pair + 1 < n_frames;
    const long long row = ((long long)item * n_frames + 2 * pair) * n_freqs;
    x += (long long)blockIdx.x * n_fft;
    e += (long long)blockIdx.x * n_fft;
    for (int k = threadIdx.x; k < n_freqs; k += THREADS) {
        const Bins spectrum(x, n_fft, k);
        Bins gradient(e, n_fft, k);
        const float half_count = k == 0 || 2 * k == n_fft ? 0.5f : 1.f;
        const float2 target =
            make_float2(magnitude[row + k], both ? magnitude[row + n_freqs + k] : 0.f);
        const float2 along =
            impose_vjp(spectrum.at, spectrum.mirror, gradient.at, gradient.mirror, target);
        gradient.store();
        to_magnitude[row + k] = half_count * along.x;
        if (both) to_magnitude[row + n_freqs + k] = half_count * along.y;
    }
}

// Sample `at` of the padded sum of the frames of an item; earlier frames are added first.
__device__ __forceinline__ float overlap_add(
    const float2* __restrict__ z, const float* __restrict__ window, int at, int n_fft,
    int hop_length, int n_frames
) {
    const int first = at < n_fft ? 0 : (at - n_fft) / hop_length + 1,
              last = min(at / hop_length, n_frames - 1);
    float sum = 0.f;
#pragma unroll 4
    for (int frame = first; frame <= last; frame++) {
        const int k = at - frame * hop_length;
        const float2* both = z + (long long)(frame >> 1) * n_fft + k;
        sum += window[k] * (frame & 1 ? both->y : both->x);
    }
    return sum;
}

// x from its frames; then, if `relaxed` is given, t_new = d + gamma (x − d), d = t + beta (t −
// previous).
extern "C" __global__ void __launch_bounds__(THREADS) overlap_add_pairs(
    const float2* __restrict__ z, const float* __restrict__ window,
    const float* __restrict__ inverse_sumsquare, int sumsquare_stride,
    const float* __restrict__ signal, const float* __restrict__ previous, float beta, float gamma,
    float* __restrict__ x, float* __restrict__ relaxed, int n_fft, int hop_length, int left,
    int n_frames, int n_samples, int blocks_per_item
) {
    const int item = blockIdx.x / blocks_per_item,
              n = blockIdx.x % blocks_per_item * THREADS + threadIdx.x;
    if (n >= n_samples) return;
    const long long at = (long long)item * n_samples + n;
    z += (long long)item * ((n_frames + 1) / 2) * n_fft;
    const float sum = overlap_add(z, window, n + left, n_fft, hop_length, n_frames);
    const float value = sum * inverse_sumsquare[(long long)item * sumsquare_stride + n];
    x[at] = value;
    if (!relaxed) return;
    float d = signal[at];
    if (previous) d += beta * (d - previous[at]);
    relaxed[at] = d + gamma * (value - d);
}

// The transpose of framing: adds the frames, and adds samples outside of the signal to the samples
// that they mirror.
extern "C" __global__ void __launch_bounds__(THREADS) fold_pairs(
    const float2* __restrict__ z, const float* __restrict__ window, const int* __restrict__ n_valid,
    int reflect, float* __restrict__ to_signal, int n_fft, int hop_length, int left, int n_frames,
    int n_samples, int blocks_per_item
) {
    const int item = blockIdx.x / blocks_per_item,
              n = blockIdx.x % blocks_per_item * THREADS + threadIdx.x;
    if (n >= n_samples) return;
    z += (long long)item * ((n_frames + 1) / 2) * n_fft;
    const int length = n_valid ? n_valid[item] : n_samples,
              padded = hop_length * (n_frames - 1) + n_fft;
    const auto value = [&](int at) {
        return overlap_add(z, window, at, n_fft, hop_length, n_frames);
    };
    const float sum = !reflect     ? value(n + left)
                      : n < length ? folded(n, left, length, padded, value)
                                   : 0.f;
    to_signal[(long long)item * n_samples + n] = sum;
}
