// CUDA threads on the host, for tests: every thread of a block is a coroutine that yields at
// barriers.
//
// Blocks run one after the other. A seed selects the order of the threads between two barriers, so
// that a kernel without a needed barrier gives different results for different seeds. Shared memory
// is NaN when a block starts.
#pragma once
#undef _FORTIFY_SOURCE  // it forbids jumps between stacks
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <memory>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

#define HOST_EMULATION 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __constant__ static const
// Blocks run one at a time, so static storage belongs to the current block. It has its own section,
// to be filled before each block.
#define __shared__ static __attribute__((section("cuda_shared")))

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static dim3 threadIdx, blockIdx, blockDim, gridDim;
static constexpr int warpSize = 32;
static constexpr size_t DYNAMIC_SHARED = 227 * 1024;
alignas(16) static unsigned char dynamic_shared[DYNAMIC_SHARED];
__attribute__((section("cuda_shared"), used)) static float cuda_shared_is_never_empty;
extern "C" unsigned char __start_cuda_shared[], __stop_cuda_shared[];

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float a) { return 1.0f / a; }
static inline float __ldg(const float* p) { return *p; }
static inline float2 __ldg(const float2* p) { return *p; }
static inline float4 __ldg(const float4* p) { return *p; }
static inline int4 __ldg(const int4* p) { return *p; }
static inline int __ldg(const int* p) { return *p; }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline int __clz(int bits) { return bits ? __builtin_clz((unsigned)bits) : 32; }
static inline int __ffs(int bits) { return __builtin_ffs(bits); }
static inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}
static inline unsigned long long atomicMax(unsigned long long* at, unsigned long long value) {
    const unsigned long long old = *at;
    if (value > old) *at = value;
    return old;
}

namespace host {
enum Waiting { READY, AT_BLOCK, AT_WARP, DONE };
constexpr size_t STACK = 256 * 1024;
struct Fiber {
    ucontext_t context;  // for the start; later jumps need no system call
    jmp_buf place;
    bool started = false;
    Waiting waiting = READY;
    std::unique_ptr<char[]> stack{new char[STACK]};
};
static jmp_buf scheduler;
static std::vector<Fiber>* fibers;
static unsigned current;
static double slots[1024];  // of one warp operation, by thread
static int failures;

static void fail(const char* why) {
    if (!failures++) fprintf(stderr, "host_cuda: %s (block %u, %u)\n", why, blockIdx.x, blockIdx.y);
}
static void wait(Waiting what) {
    Fiber& fiber = (*fibers)[current];
    fiber.waiting = what;
    if (!_setjmp(fiber.place)) _longjmp(scheduler, 1);
}
static void run(Fiber& fiber) {
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.place, 1);
    fiber.started = true;
    setcontext(&fiber.context);
}
template <class T>
static T from_lane(T value, int lane) {
    static_assert(sizeof(T) <= sizeof(double), "shuffles of at most 8 bytes");
    memcpy(&slots[current], &value, sizeof(T));
    unsigned source = current / 32 * 32 + (unsigned)lane % 32;
    wait(AT_WARP);
    T result = value;
    if (source < fibers->size()) memcpy(&result, &slots[source], sizeof(T));
    wait(AT_WARP);
    return result;
}
}  // namespace host

static inline void __syncthreads() { host::wait(host::AT_BLOCK); }
static inline void __syncwarp(unsigned = 0xffffffff) { host::wait(host::AT_WARP); }
template <class T>
static T __shfl_sync(unsigned, T value, int lane, int = 32) {
    return host::from_lane(value, lane);
}
template <class T>
static T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
    return host::from_lane(value, (host::current % 32) ^ mask);
}
template <class T>
static T __shfl_down_sync(unsigned, T value, int delta, int = 32) {
    int lane = host::current % 32 + delta;
    return host::from_lane(value, lane < 32 ? lane : host::current % 32);
}
template <class T>
static T __shfl_up_sync(unsigned, T value, int delta, int = 32) {
    int lane = (int)(host::current % 32) - delta;
    return host::from_lane(value, lane >= 0 ? lane : host::current % 32);
}
static inline int __any_sync(unsigned, int predicate) {
    int any = 0;
    for (int lane = 0; lane < 32; lane++) {
        unsigned base = host::current / 32 * 32;
        int one = host::from_lane(predicate, lane);
        any |= base + lane < host::fibers->size() && one;
    }
    return any;
}
static inline int __all_sync(unsigned mask, int predicate) { return !__any_sync(mask, !predicate); }
static inline unsigned __ballot_sync(unsigned, int predicate) {
    const unsigned base = host::current / 32 * 32;
    host::slots[host::current] = predicate != 0;
    host::wait(host::AT_WARP);
    unsigned ballot = 0;
    for (unsigned lane = 0; lane < 32 && base + lane < host::fibers->size(); lane++)
        if (host::slots[base + lane] != 0) ballot |= 1u << lane;
    host::wait(host::AT_WARP);
    return ballot;
}
static inline int __syncthreads_or(int predicate) {
    host::slots[host::current] = predicate;
    host::wait(host::AT_BLOCK);
    int any = 0;
    for (size_t thread = 0; thread < host::fibers->size(); thread++)
        any |= host::slots[thread] != 0;
    host::wait(host::AT_BLOCK);
    return any;
}

namespace host {
template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*(typename std::remove_reference<A>::type*)arguments[I]...);
}
template <class... A>
struct Job {
    static inline void (*kernel)(A...);
    static inline void** arguments;
    static void body() {
        call(kernel, arguments, std::index_sequence_for<A...>{});
        (*fibers)[current].waiting = DONE;
        _longjmp(scheduler, 1);
    }
};
// Releases every group whose unfinished threads all wait at its barrier; false if no group can
// continue.
static bool release(unsigned threads) {
    auto at = [&](unsigned first, unsigned last, Waiting what) {
        bool some = false;
        for (unsigned t = first; t < last; t++) {
            Waiting now = (*fibers)[t].waiting;
            if (now == DONE) continue;
            if (now != what) return false;
            some = true;
        }
        return some;
    };
    auto go = [&](unsigned first, unsigned last) {
        for (unsigned t = first; t < last; t++)
            if ((*fibers)[t].waiting != DONE) (*fibers)[t].waiting = READY;
            else fail("a thread ended before a barrier that others wait at");
    };
    if (at(0, threads, AT_BLOCK)) return go(0, threads), true;
    bool some = false;
    for (unsigned first = 0; first < threads; first += 32) {
        unsigned last = first + 32 < threads ? first + 32 : threads;
        if (at(first, last, AT_WARP)) go(first, last), some = true;
    }
    return some;
}
template <class... A>
static int launch(
    void (*kernel)(A...), dim3 grid, unsigned threads, size_t shared, unsigned seed,
    void** arguments
) {
    Job<A...>::kernel = kernel;
    Job<A...>::arguments = arguments;
    static std::vector<Fiber> all;
    all.resize(threads);
    fibers = &all;
    failures = 0;
    gridDim = grid;
    blockDim = {threads, 1, 1};
    std::mt19937 random(seed);
    if (shared > DYNAMIC_SHARED) {
        fail("more shared memory than a block can have");
        return failures;
    }
    std::vector<unsigned> order(threads);
    for (unsigned t = 0; t < threads; t++) order[t] = t;
    memset(dynamic_shared, 0xff, DYNAMIC_SHARED);
    for (unsigned y = 0; y < grid.y; y++)
        for (unsigned x = 0; x < grid.x; x++) {
            blockIdx = {x, y, 0};
            memset(__start_cuda_shared, 0xff, __stop_cuda_shared - __start_cuda_shared);
            memset(dynamic_shared, 0xff, shared);
            for (unsigned t = 0; t < threads; t++) {
                Fiber& fiber = all[t];
                getcontext(&fiber.context);
                fiber.context.uc_stack.ss_sp = fiber.stack.get();
                fiber.context.uc_stack.ss_size = STACK;
                fiber.context.uc_link = nullptr;
                fiber.waiting = READY, fiber.started = false;
                makecontext(&fiber.context, (void (*)())Job<A...>::body, 0);
            }
            for (unsigned done = 0; done < threads;) {
                if (seed)
                    for (unsigned t = threads - 1; t > 0; t--)
                        std::swap(order[t], order[random() % (t + 1)]);
                bool ran = false;
                for (unsigned t : order) {
                    if (all[t].waiting != READY) continue;
                    current = t;
                    threadIdx = {t, 0, 0};
                    ran = true;
                    run(all[t]);
                    done += all[t].waiting == DONE;
                }
                if (done < threads && !release(threads) && !ran) {
                    fail("threads wait at different barriers");
                    return failures;
                }
            }
        }
    for (size_t i = shared; i < DYNAMIC_SHARED; i++)
        if (dynamic_shared[i] != 0xff) {
            fail("shared memory written beyond what the launch asked for");
            break;
        }
    return failures;
}
}  // namespace host
