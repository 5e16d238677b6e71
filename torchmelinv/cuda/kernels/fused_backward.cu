// Backward of the projection x = ISTFT(A · STFT(y) / |STFT(y)|): from the gradient g of x to those
// of y and of A. With X = rfft(w · frame(y)), G = rfft(w · frame(e)), e = g / (n_fft Σ w²), u = X /
// |X|,
//
//   gradient of padded y: Σ w · irfft((A / |X|) (G − u Re(conj(u) G)), norm="forward"),
//   gradient of A:        c Re(conj(u) G),
//
// where c is 1 for bins 0 and N_FFT / 2, and 2 for all others, which count twice. The doubled bins
// of irfft and those of the adjoint of rfft cancel. Two frames of y share one transform and two
// frames of e another, so the scales of y and g may differ by any factor.
//
// Grid: items by groups of STREAMS streams, which start at frame 0. Shared memory:
// STREAMS · (EXCHANGE + N_FFT + 1) complex words.
#include "stream.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS) fused_backward(
    const float* __restrict__ signal,             // t, (items, n_samples)
    const float* __restrict__ previous,           // t_prev, or null: y = t
    const float* __restrict__ magnitude,          // A, (items, n_frames, n_freqs)
    const float* __restrict__ grad,               // gradient of x, (items, n_samples)
    const float* window,                          // (n_fft,)
    const float* __restrict__ inverse_sumsquare,  // 1 / (n_fft Σ w²), ([items,] n_samples)
    const float2* twiddles,                       // see fft.cuh
    const int* __restrict__ n_valid,              // samples of each item, or null: n_samples
    // Gradient of y, (items, n_written); starts n_before samples before the signal.
    float* __restrict__ to_signal,
    float* __restrict__ to_magnitude,  // gradient of A, (items, n_frames, n_freqs)
    float alpha, int reflect, int sumsquare_stride, int left, int n_frames, int n_samples,
    int n_before, int n_written, int run
) {
    const int lane = lane_of_thread(), item = blockIdx.x, stream = stream_of_block();
    const int begin = ((int)blockIdx.y * STREAMS + stream) * run;
    Complex* held = (Complex*)dynamic_shared + stream * EXCHANGE;
    // A column for each thread.
    Complex* kept = (Complex*)dynamic_shared + STREAMS * EXCHANGE + stream * (N_FFT + 1) + lane;
    signal += (long long)item * n_samples;
    if (previous) previous += (long long)item * n_samples;
    grad += (long long)item * n_samples;
    to_signal += (long long)item * n_written;
    inverse_sumsquare += (long long)item * sumsquare_stride;
    const long long spectra = (long long)item * n_frames * FREQUENCIES;
    Rows<const float> rows(magnitude + spectra, begin - WARM_UP, lane);
    Rows<float> to_rows(to_magnitude + spectra, begin - WARM_UP, lane);
    const Extrapolated source{
        signal, previous, alpha, n_valid ? __ldg(n_valid + item) : n_samples, reflect != 0
    };
    const Weighted weighted{grad, inverse_sumsquare, n_samples};

    float values[REACH], errors[REACH], sums[REACH];
    int n = (begin - WARM_UP) * HOP - left + lane;  // sample of register 0
    source.read<0, 16 - SHIFT>(values, n, lane, held);
    weighted.read<0, 16 - SHIFT>(errors, n);
#pragma unroll
    for (int m = 0; m < REACH; m++) sums[m] = 0.f;

#pragma unroll 1
    for (int frame = begin - WARM_UP; frame < begin + run; frame += 2, n += 2 * HOP) {
        Complex v[16];
        source.read<16 - SHIFT, REACH>(values, n, lane, held);
        weighted.read<16 - SHIFT, REACH>(errors, n);
        packed(values, window, lane, v);
        advance(values);
        forward_transform(v, lane, held, twiddles);
        Pairs pairs = paired(v, lane);
#pragma unroll
        for (int s = 0; s < 8; s++)
            kept[s * LANES] = pairs.at[s], kept[(8 + s) * LANES] = pairs.mirror[s];
        if (lane == 0) kept[N_FFT] = pairs.nyquist;

        __syncthreads();
        packed(errors, window, lane, v);
        advance(errors);
        forward_transform(v, lane, held, twiddles);
        pairs = paired(v, lane);
        const bool is_first = frame >= 0 && frame < n_frames,
                   is_second = frame >= 0 && frame + 1 < n_frames;
        Magnitudes first, second;
        first.fetch(rows, 0, is_first, lane);
        second.fetch(rows, 1, is_second, lane);
#pragma unroll
        for (int s = 0; s < 8; s++) {
            const float2 along = impose_vjp(
                kept[s * LANES], kept[(8 + s) * LANES], pairs.at[s], pairs.mirror[s],
                make_float2(first.at[s], second.at[s])
            );
            const float weight = s == 0 && lane == 0 ? 0.5f : 1.f;
            if (is_first && frame >= begin) *to_rows.of(0, s) = weight * along.x;
            if (is_second && frame >= begin) *to_rows.of(1, s) = weight * along.y;
        }
        if (lane == 0) {
            Complex same = pairs.nyquist;
            const float2 along = impose_vjp(
                kept[N_FFT], kept[N_FFT], pairs.nyquist, same,
                make_float2(first.nyquist, second.nyquist)
            );
            if (is_first && frame >= begin) *to_rows.nyquist_of_lane_0(0) = 0.5f * along.x;
            if (is_second && frame >= begin) *to_rows.nyquist_of_lane_0(1) = 0.5f * along.y;
        }
        rows.advance();
        to_rows.advance();
        unpaired(pairs, v, lane);
        inverse_transform(v, lane, held, twiddles);
        overlap(v, window, lane, sums);
        if (frame >= begin) {
            Finished y_grad;
#pragma unroll
            for (int m = 0; m < 2 * SHIFT; m++) y_grad.value[m] = sums[m];
            y_grad.store(to_signal, n + n_before, n_written);
        }
        advance(sums);
#pragma unroll
        for (int m = 16 - SHIFT; m < REACH; m++) sums[m] = 0.f;
    }
}
