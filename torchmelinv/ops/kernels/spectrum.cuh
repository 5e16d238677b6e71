// Two real frames in one complex transform, and what a projection and its way back do to a bin.
//
// With Z the transform of a + i b, the frames' spectra are
//     X_a = (Z[k] + conj Z[N − k]) / 2,    X_b = (Z[k] − conj Z[N − k]) / 2i,
// and Y_a, Y_b are joined as Y[k] = Y_a + i Y_b, Y[N − k] = conj(Y_a) + i conj(Y_b). The two are as exact as the louder of them:
// for neighbours in time that is rounding. Here spectra stay twice as large, as they come without a division.
#pragma once
#include "device.cuh"

// Twice the spectra of the two frames at a bin k, from Z there and at its mirror image N − k.
__device__ __forceinline__ Complex first_twice(Complex at, Complex mirror) { return {at.re + mirror.re, at.im - mirror.im}; }
__device__ __forceinline__ Complex second_twice(Complex at, Complex mirror) { return {at.im + mirror.im, mirror.re - at.re}; }

// Y at both bins from the frames' spectra themselves.
__device__ __forceinline__ void joined(Complex first, Complex second, Complex& at, Complex& mirror) {
    at = {first.re - second.im, first.im + second.re};
    mirror = {first.re + second.im, second.re - first.im};
}

__device__ __forceinline__ float squared(Complex c) { return fmaf(c.re, c.re, c.im * c.im); }

// 1 / |2 X|, finite also where X is 0, as in ops/impose_magnitude.py.
__device__ __forceinline__ float inverse_modulus(Complex twice) {
    return rsqrtf(fmaf(twice.re, twice.re, fmaf(twice.im, twice.im, 8.f * TINY)));
}

// Both frames get what is wanted of them: A X / |X|.
__device__ __forceinline__ void impose(Complex& at, Complex& mirror, float2 wanted) {
    const Complex first = first_twice(at, mirror), second = second_twice(at, mirror);
    joined(wanted.x * inverse_modulus(first) * first, wanted.y * inverse_modulus(second) * second, at, mirror);
}

// Both frames get louder by a factor: g X.
__device__ __forceinline__ void amplify(Complex& at, Complex& mirror, float2 gain) {
    const float half = 0.5f * gain.x, same = fmaf(0.5f, gain.y, half), other = fmaf(-0.5f, gain.y, half);
    const Complex before = at;
    at = {fmaf(same, at.re, other * mirror.re), fmaf(same, at.im, -other * mirror.im)};
    mirror = {fmaf(same, mirror.re, other * before.re), fmaf(same, mirror.im, -other * before.im)};
}

// The way back through `impose` for one frame, from 2 X and the gradient's 2 G, with u = X / |X|: 2 Re(conj(u) G), and instead of
// 2 G the gradient by X,
//     (A / |X|) (G − u Re(conj(u) G)) = (A / |X|) i u Im(conj(u) G),
// 0 where a bin has no angle. The second form leaves nothing along u to rounding, which A / |X| would blow up in quiet bins.
__device__ __forceinline__ float turn(Complex x, Complex& g, float wanted) {
    constexpr float NO_ANGLE = 2305843009213693952.f;  // 2^61: 2 |X| is the root of the smallest normal number times 4
    const float inverse = inverse_modulus(x);
    const Complex unit = inverse * x;
    const float across = (inverse > NO_ANGLE ? 0.f : wanted * inverse) * fmaf(unit.re, g.im, -unit.im * g.re);
    const float along = fmaf(unit.re, g.re, unit.im * g.im);
    g = {-across * unit.im, across * unit.re};
    return along;
}

// Both frames of a bin: `at` and `mirror`, of the gradient, become those of the gradient by the spectra.
__device__ __forceinline__ float2 turn(Complex at_x, Complex mirror_x, Complex& at, Complex& mirror, float2 wanted) {
    Complex first = first_twice(at, mirror), second = second_twice(at, mirror);
    const float along_first = turn(first_twice(at_x, mirror_x), first, wanted.x);
    const float along_second = turn(second_twice(at_x, mirror_x), second, wanted.y);
    joined(first, second, at, mirror);
    return make_float2(along_first, along_second);
}
