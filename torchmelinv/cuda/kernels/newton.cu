// Newton's method on the dual of a filterbank inverse (magnitude/dual_newton.py), from mel to
// spectrum in one launch, and the gradient of the solution. For filters in the order of their bins,
// of which at most two neighbors share a bin.
//
// A warp holds 32 neighboring frames, one per lane, so that every load is coalesced. The bins of a
// frame are split between the PARTS warps of the block, at boundaries of bands. One pass over the
// bins with s = primal(z, Mᵀλ) gives M s and both diagonals of the Hessian M diag(∂s/∂u) Mᵀ at
// once: a bin adds to a band, to the next band, and to their coupling, and a band is complete when
// the pass has left it. The slope along a step is the gradient at its end times the step. The
// pass that tries a step length therefore also gives the gradient and the Hessian of the next
// step: a step of full length costs one pass. The exponent and the spectrum are never stored. Two
// warps eliminate the tridiagonal system from both ends toward the middle.
//
// Steps, step lengths and ρ differ from lane to lane; a block ends with its last frame.
#include "newton.cuh"

extern "C" __global__ void __launch_bounds__(LANES* PARTS) newton(
    const float4* __restrict__ rows, const int* __restrict__ parts, const float* __restrict__ peak,
    const float* __restrict__ mel, const float* __restrict__ prior,
    const float* __restrict__ weight, float* __restrict__ spectrum, float* __restrict__ multiplier,
    float* __restrict__ rho_of_frame, long long* __restrict__ n_iter, bool* __restrict__ converged,
    int n_freqs, int frames
) {
    enum { AHEAD, GRADIENT, RESIDUAL, SIZE, DIAGONAL, TURN, N_TOTALS };
    const int lane = threadIdx.x % LANES, part = threadIdx.x / LANES;
    const bool exists = blockIdx.x * LANES + lane < frames;
    const size_t frame = exists ? blockIdx.x * LANES + lane : frames - 1, stride = frames;
    float* shared = (float*)dynamic_shared + lane;
    auto lane_of = [&](int slots) {
        float* first = shared;
        shared += slots * LANES;
        return Lane{first};
    };
    const Lane lambda = lane_of(N_MELS + 1), rest = lane_of(N_MELS + 1), step = lane_of(N_MELS + 1);
    const Lane gradient = lane_of(N_MELS), diagonal = lane_of(N_MELS), coupling = lane_of(N_MELS);
    const Lane carries = lane_of(2 * PARTS), totals = lane_of(N_TOTALS * PARTS), ends = lane_of(6);
    const Part bins(rows, parts, part);

    bool active = exists, fresh = true, closing = false, solving = false, met = false;
    bool broken = false;  // an input is NaN or infinite; the output must then not be finite
    int iterations = 0, taken = 0, trial = 0;
    float length = 0, start = 0, rho = (float)(HARD_RHO);
    auto reset = [&] {
        for (int j = bins.band; j < bins.last_band + (part == PARTS - 1); j++)
            lambda[j] = rest[j] = step[j] = 0;
    };
    auto load_prior = [&](int bin) { return prior[bin * stride + frame]; };
    auto trial_at = [&](int j) { return Fine{lambda[j], rest[j]} + length * step[j]; };
    reset();
    while (__syncthreads_or(active)) {
        if (solving) start = ends[2] + ends[5];
        float turn = 0;
        {
            int band = bins.band;
            Pair exponent(trial_at, band);
            Pair along([&](int j) { return step[j]; }, band);
            Sums sums{gradient, diagonal, coupling, {&carries[2 * part]}};
            auto advance = [&] {
                sums.leave(band++);
                exponent.go_to(band);
                if (METHOD == 0) along.go_to(band);
            };
            bins.for_each(load_prior, advance, [&](float4 row, float z, int) {
                const float s = primal(z, exponent(row));
                sums.add(row, s, slope(s));
                if (METHOD == 0) turn = fmaxf(turn, fabsf(along(row)));
            });
            sums.end(band, bins.last_band);
        }
        __syncthreads();
        float ahead = 0, squares = 0, residuals = 0, size = 0, largest = 0;
        for (int j = bins.band; j < bins.last_band; j++) {
            float Ms = gradient[j], curve = diagonal[j];
            if (part > 0 && j == bins.band)
                Ms += carries[2 * part - 2], curve += carries[2 * part - 1];
            const float m = mel[j * stride + frame], scale = peak[j];
            const float soft = rho * weight[j * stride + frame];
            const float residual = Ms - m, g = residual + soft * (lambda[j] + length * step[j]);
            ahead += g * step[j];
            squares += scale * g * (scale * g);
            residuals += scale * residual * (scale * residual);
            size += scale * m * (scale * m);
            largest = fmaxf(largest, curve);
            gradient[j] = g;
            diagonal[j] = with_ridge(curve, soft);
        }
        const Lane total{&totals[N_TOTALS * part]};
        total[AHEAD] = ahead, total[GRADIENT] = squares, total[RESIDUAL] = residuals;
        total[SIZE] = size, total[DIAGONAL] = largest, total[TURN] = turn;
        __syncthreads();
        // Every part sums all parts in the same order, so all parts take the same decision.
        ahead = squares = residuals = size = largest = turn = 0;
        for (int i = 0; i < N_TOTALS * PARTS; i += N_TOTALS) {
            ahead += totals[i + AHEAD], squares += totals[i + GRADIENT],
                residuals += totals[i + RESIDUAL], size += totals[i + SIZE];
            largest = fmaxf(largest, totals[i + DIAGONAL]), turn = fmaxf(turn, totals[i + TURN]);
        }
        broken = !(size <= LARGEST_FLOAT) || squares != squares;
        size = fmaxf(sqrtf(size), TINY);
        const float shortest = safe_step(turn);
        const bool accepted =
            fresh || ahead <= -0.5f * start || length <= shortest || trial >= N_TRIALS;
        solving = false;
        if (active && !accepted) {
            // The slope got too steep along the step: go back to the root of the chord. fmaxf stops
            // NaN.
            length = fmaxf(length * start / (start - ahead), shortest);
            trial++;
        } else if (active) {
            for (int j = bins.band; j < bins.last_band; j++) {
                const Fine at = trial_at(j);
                lambda[j] = at.high, rest[j] = at.low;
            }
            const bool hard = rho == (float)(HARD_RHO);
            if (fresh || !(closing || taken == (hard ? HARD_STEPS : SOFT_STEPS))) {
                closing = sqrtf(squares) <= (float)(TOLERANCE)*size;
                solving = true, fresh = false;
                length = 1, trial = 0;
                taken++, iterations++;
            } else {
                if (hard) met = sqrtf(residuals) <= (float)(HARD_RESIDUAL)*size;
                length = 0;
                active = hard && !met;
                if (active) {  // no spectrum has this mel: start again with the other ρ
                    rho = (float)(SOFT_RHO);
                    fresh = true;
                    taken = 0;
                    reset();
                }
            }
        }
        __syncthreads();
        solve<-1>(part, solving, diagonal, coupling, gradient, step, ends, EPS * largest);
    }
    if (!exists) return;  // no barrier follows
    int band = bins.band;
    Pair exponent(trial_at, band);
    bins.for_each(
        load_prior, [&] { exponent.go_to(++band); },
        [&](float4 row, float z, int i) {
            if (i < bins.n_bins)
                spectrum[(bins.bin + i) * stride + frame] =
                    broken ? nanf("") : primal(z, exponent(row));
        }
    );
    for_uncovered_bins(parts, part, n_freqs, [&](int bin) {
        spectrum[bin * stride + frame] = broken ? nanf("") : primal(load_prior(bin), 0);
    });
    for (int j = bins.band; j < bins.last_band; j++) multiplier[j * stride + frame] = lambda[j];
    if (part > 0) return;
    rho_of_frame[frame] = rho;
    n_iter[frame] = iterations;
    converged[frame] = closing || met;
}

// With v = H⁻¹ M (∂s/∂u · grad): to_mel = v, to_weight = −ρ λ v, to_prior = ∂s/∂z · (grad − Mᵀ v).
extern "C" __global__ void __launch_bounds__(LANES* PARTS) newton_vjp(
    const float4* __restrict__ rows, const int* __restrict__ parts, const float* __restrict__ prior,
    const float* __restrict__ weight, const float* __restrict__ rho_of_frame,
    const float* __restrict__ spectrum, const float* __restrict__ multiplier,
    const float* __restrict__ grad, float* __restrict__ to_mel, float* __restrict__ to_prior,
    float* __restrict__ to_weight, int n_freqs, int frames
) {
    const int lane = threadIdx.x % LANES, part = threadIdx.x / LANES;
    const bool exists = blockIdx.x * LANES + lane < frames;
    const size_t frame = exists ? blockIdx.x * LANES + lane : frames - 1, stride = frames;
    float* shared = (float*)dynamic_shared + lane;
    auto lane_of = [&](int slots) {
        float* first = shared;
        shared += slots * LANES;
        return Lane{first};
    };
    const Lane back = lane_of(N_MELS + 1), right = lane_of(N_MELS), diagonal = lane_of(N_MELS),
               coupling = lane_of(N_MELS);
    const Lane carries = lane_of(2 * PARTS), totals = lane_of(PARTS), ends = lane_of(6);
    const Part bins(rows, parts, part);
    const float rho = rho_of_frame[frame];

    auto load_both = [&](int bin) {
        return make_float2(spectrum[bin * stride + frame], grad[bin * stride + frame]);
    };
    Sums sums{right, diagonal, coupling, {&carries[2 * part]}};
    int band = bins.band;
    bins.for_each(
        load_both, [&] { sums.leave(band++); },
        [&](float4 row, float2 both, int) { sums.add(row, slope(both.x) * both.y, slope(both.x)); }
    );
    sums.end(band, bins.last_band);
    __syncthreads();
    float largest = 0;
    for (int j = bins.band; j < bins.last_band; j++) {
        float curve = diagonal[j];
        if (part > 0 && j == bins.band)
            right[j] += carries[2 * part - 2], curve += carries[2 * part - 1];
        largest = fmaxf(largest, curve);
        diagonal[j] = with_ridge(curve, rho * weight[j * stride + frame]);
    }
    totals[part] = largest;
    __syncthreads();
    for (int other = 0; other < PARTS; other++) largest = fmaxf(largest, totals[other]);
    if (part == 0) back[N_MELS] = 0;
    solve<1>(part, true, diagonal, coupling, right, back, ends, EPS * largest);
    __syncthreads();
    if (!exists) return;  // no barrier follows
    for (int j = bins.band; j < bins.last_band; j++) {
        to_mel[j * stride + frame] = back[j];
        to_weight[j * stride + frame] = -rho * multiplier[j * stride + frame] * back[j];
    }
    struct Bin {
        float prior, spectrum, grad;
    };
    auto load_all = [&](int bin) {
        const size_t at = bin * stride + frame;
        return Bin{prior[at], spectrum[at], grad[at]};
    };
    band = bins.band;
    Pair product([&](int j) { return back[j]; }, band);
    bins.for_each(
        load_all, [&] { product.go_to(++band); },
        [&](float4 row, Bin bin, int i) {
            if (i < bins.n_bins)
                to_prior[(bins.bin + i) * stride + frame] =
                    prior_slope(bin.prior, bin.spectrum) * (bin.grad - product(row));
        }
    );
    for_uncovered_bins(parts, part, n_freqs, [&](int at) {
        const Bin bin = load_all(at);
        to_prior[at * stride + frame] = prior_slope(bin.prior, bin.spectrum) * bin.grad;
    });
}
