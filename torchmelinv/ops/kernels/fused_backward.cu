// The way back of the projection x = ISTFT(A · STFT(y) / |STFT(y)|), from the gradient g by x to those by y and by A. With the
// spectra X = rfft(w · frame(y)), G = rfft(w · frame(e)), e = g / (n_fft Σ w²), and u = X / |X|,
//
//   by y, padded: Σ w · irfft((A / |X|) (G − u Re(conj(u) G)), norm="forward"),    by A: c Re(conj(u) G),
//
// where c is 1 for bins 0 and N_FFT / 2 and 2 for all others, which stand for two. The doubled bins of irfft and those of the
// adjoint of rfft cancel. Two frames of y share one transform and two frames of e another, so that y and g may differ in size as
// they like. Grid: items by groups of STREAMS streams, which start at frame 0; shared memory: STREAMS · (EXCHANGE + N_FFT + 1)
// complex words.
#include "stream.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS) fused_backward(
    const float* __restrict__ signal,            // t, (items, n_samples)
    const float* __restrict__ previous,          // t_prev, or null: y = t
    const float* __restrict__ magnitude,         // A, (items, n_frames, n_freqs)
    const float* __restrict__ grad,              // by x, (items, n_samples)
    const float* window,                         // (n_fft,)
    const float* __restrict__ inverse_envelope,  // 1 / (n_fft Σ w²), (n_samples,) or (items, n_samples)
    const float2* twiddles,                      // see fft.cuh
    const int* __restrict__ ends,                // samples of each item, or null: n_samples
    float* __restrict__ to_signal,               // by y, (items, n_written), from n_before samples before the signal on
    float* __restrict__ to_magnitude,            // by A, (items, n_frames, n_freqs)
    float momentum, int reflect, int envelope_stride, int left, int n_frames, int n_samples, int n_before, int n_written,
    int run) {
    const int lane = lane_of_thread(), item = blockIdx.x, own = stream_of_block();
    const int begin = ((int)blockIdx.y * STREAMS + own) * run;
    Complex* held = (Complex*)dynamic_shared + own * EXCHANGE;
    Complex* kept = (Complex*)dynamic_shared + STREAMS * EXCHANGE + own * (N_FFT + 1) + lane;  // a column for each thread
    signal += (long long)item * n_samples;
    if (previous) previous += (long long)item * n_samples;
    grad += (long long)item * n_samples;
    to_signal += (long long)item * n_written;
    inverse_envelope += (long long)item * envelope_stride;
    const long long spectra = (long long)item * n_frames * FREQUENCIES;
    Rows<const float> rows(magnitude + spectra, begin - WARM_UP, lane);
    Rows<float> to_rows(to_magnitude + spectra, begin - WARM_UP, lane);
    const Extrapolated source{signal, previous, momentum, ends ? __ldg(ends + item) : n_samples, reflect != 0};
    const Weighted weighted{grad, inverse_envelope, n_samples};

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
        for (int s = 0; s < 8; s++) kept[s * LANES] = pairs.at[s], kept[(8 + s) * LANES] = pairs.mirror[s];
        if (lane == 0) kept[N_FFT] = pairs.nyquist;

        __syncthreads();
        packed(errors, window, lane, v);
        advance(errors);
        forward_transform(v, lane, held, twiddles);
        pairs = paired(v, lane);
        const bool is_first = frame >= 0 && frame < n_frames, is_second = frame >= 0 && frame + 1 < n_frames;
        Magnitudes first, second;
        first.fetch(rows, 0, is_first, lane);
        second.fetch(rows, 1, is_second, lane);
#pragma unroll
        for (int s = 0; s < 8; s++) {
            const float2 along = turn(kept[s * LANES], kept[(8 + s) * LANES], pairs.at[s], pairs.mirror[s],
                                      make_float2(first.at[s], second.at[s]));
            const float weight = s == 0 && lane == 0 ? 0.5f : 1.f;
            if (is_first && frame >= begin) *to_rows.of(0, s) = weight * along.x;
            if (is_second && frame >= begin) *to_rows.of(1, s) = weight * along.y;
        }
        if (lane == 0) {
            Complex same = pairs.nyquist;
            const float2 along = turn(kept[N_FFT], kept[N_FFT], pairs.nyquist, same, make_float2(first.nyquist, second.nyquist));
            if (is_first && frame >= begin) *to_rows.nyquist_of_lane_0(0) = 0.5f * along.x;
            if (is_second && frame >= begin) *to_rows.nyquist_of_lane_0(1) = 0.5f * along.y;
        }
        rows.advance();
        to_rows.advance();
        unpaired(pairs, v, lane);
        inverse_transform(v, lane, held, twiddles);
        overlap(v, window, lane, sums);
        if (frame >= begin) {
            Finished by_y;
#pragma unroll
            for (int m = 0; m < 2 * SHIFT; m++) by_y.value[m] = sums[m];
            by_y.store(to_signal, n + n_before, n_written);
        }
        advance(sums);
#pragma unroll
        for (int m = 16 - SHIFT; m < REACH; m++) sums[m] = 0.f;
    }
}
