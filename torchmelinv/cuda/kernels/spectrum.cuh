// Two real frames in one complex transform; a projection and its backward on one bin.
//
// With Z the transform of a + i b, the spectra of the frames are
//     X_a = (Z[k] + conj Z[N − k]) / 2,    X_b = (Z[k] − conj Z[N − k]) / 2i,
// and Y_a, Y_b are joined as Y[k] = Y_a + i Y_b, Y[N − k] = conj(Y_a) + i conj(Y_b). The rounding
// error of both is that of the louder one, which is small for neighbors in time. Spectra are kept
// here at twice their size, which saves the division.
#pragma once
#include "device.cuh"

// Twice the spectra of the two frames at bin k, from Z at k and at its mirror image N − k.
__device__ __forceinline__ Complex first_twice(Complex at, Complex mirror) {
    return {at.re + mirror.re, at.im - mirror.im};
}
__device__ __forceinline__ Complex second_twice(Complex at, Complex mirror) {
    return {at.im + mirror.im, mirror.re - at.re};
}

// Y at both bins, from the spectra of the frames.
__device__ __forceinline__ void joined(
    Complex first, Complex second, Complex& at, Complex& mirror
) {
    at = {first.re - second.im, first.im + second.re};
    mirror = {first.re + second.im, second.re - first.im};
}

__device__ __forceinline__ float squared(Complex c) { return fmaf(c.re, c.re, c.im * c.im); }

// 1 / |2 X|, finite also for X = 0, as in phase/impose_magnitude.py.
__device__ __forceinline__ float inverse_modulus(Complex twice) {
    return rsqrtf(fmaf(twice.re, twice.re, fmaf(twice.im, twice.im, 8.f * TINY)));
}

// Imposes the target magnitudes of both frames: A X / |X|.
__device__ __forceinline__ void impose(Complex& at, Complex& mirror, float2 target) {
    const Complex first = first_twice(at, mirror), second = second_twice(at, mirror);
    joined(
        target.x * inverse_modulus(first) * first, target.y * inverse_modulus(second) * second, at,
        mirror
    );
}

// Multiplies the spectrum of each frame by its gain: g X.
__device__ __forceinline__ void amplify(Complex& at, Complex& mirror, float2 gain) {
    const float half = 0.5f * gain.x, same = fmaf(0.5f, gain.y, half),
                other = fmaf(-0.5f, gain.y, half);
    const Complex before = at;
    at = {fmaf(same, at.re, other * mirror.re), fmaf(same, at.im, -other * mirror.im)};
    mirror = {fmaf(same, mirror.re, other * before.re), fmaf(same, mirror.im, -other * before.im)};
}

// Backward of `impose` for one frame, from 2 X and the gradient 2 G, with u = X / |X|. Returns
// 2 Re(conj(u) G) and replaces 2 G by the gradient of X,
//     (A / |X|) (G − u Re(conj(u) G)) = (A / |X|) i u Im(conj(u) G),
// which is 0 where a bin has no angle. The second form has no component along u: A / |X| would
// amplify its rounding error in quiet bins.
__device__ __forceinline__ float impose_vjp(Complex x, Complex& g, float target) {
    // 2^61: 2 |X| is the root of four times the smallest normal number.
    constexpr float NO_ANGLE = 2305843009213693952.f;
    const float inverse = inverse_modulus(x);
    const Complex unit = inverse * x;
    const float across =
        (inverse > NO_ANGLE ? 0.f : target * inverse) * fmaf(unit.re, g.im, -unit.im * g.re);
    const float along = fmaf(unit.re, g.re, unit.im * g.im);
    g = {-across * unit.im, across * unit.re};
    return along;
}

// The same for both frames of a bin: overwrites `at` and `mirror` of the gradient.
__device__ __forceinline__ float2
impose_vjp(Complex at_x, Complex mirror_x, Complex& at, Complex& mirror, float2 target) {
    Complex first = first_twice(at, mirror), second = second_twice(at, mirror);
    const float along_first = impose_vjp(first_twice(at_x, mirror_x), first, target.x);
    const float along_second = impose_vjp(second_twice(at_x, mirror_x), second, target.y);
    joined(first, second, at, mirror);
    return make_float2(along_first, along_second);
}
