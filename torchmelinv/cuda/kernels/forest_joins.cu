// Joins rectangles of a grid to larger ones (cuda/spanning_forest_cuda.py, forest.cuh). The nodes
// are the trees that are not complete in the smaller rectangles; the edges are few. Finally every
// bin adds up the angles from its first tree to the last.
#include "forest.cuh"

// A rectangle of smaller ones; the nodes are the slots of these.
struct Joined {
    struct Edge {
        const Grid& grid;
        const Slots& slots;
        int from, to;
        int slot, across;  // it passes the gates of `slot` and `across`, or is the link of `slot`
        bool is_link, ahead;
        Key through;
        __device__ Key key() const { return through; }
        __device__ Turn rise() const {
            if (!is_link && to < 0) return slots.gate_turn[slot];
            const Turn rise = is_link ? slots.link_rise[slot] : grid.rise(through),
                       step = ahead ? rise : 0u - rise;
            return is_link ? step : slots.gate_turn[slot] + step - slots.gate_turn[across];
        }
    };
    const Grid& grid;
    const Slots& slots;
    const Level &level, &next;
    int top, left, height, width;  // in rectangles of `level`
    int first_slot;

    template <class F>
    __device__ __forceinline__ void places(F f) const {
        const int n_slots_each = level.slots();
        for (int n = threadIdx.x; n < height * width * n_slots_each; n += blockDim.x)
            f(n / n_slots_each / width, n / n_slots_each % width, n % n_slots_each);
    }
    template <class F>
    __device__ __forceinline__ void nodes(F f) const {
        places([&](int row, int column, int gate) {
            f(level.first_of(top + row, left + column) + gate);
        });
    }
    template <class F>
    __device__ __forceinline__ void edges(F f) const {
        places([&](int row, int column, int gate) {
            const int slot = level.first_of(top + row, left + column) + gate;
            if (const Key through = slots.gate_key[slot]) {
                const int side = level.side(gate), place = level.place(gate),
                          direction = side % 2 ? 1 : -1;
                const bool vertical = side >= LEFT;
                const int beyond_row = vertical ? row : row + direction,
                          beyond_column = vertical ? column + direction : column;
                const bool inside = beyond_row >= 0 && beyond_row < height && beyond_column >= 0 &&
                                    beyond_column < width;
                int across = 0, to;
                if (inside) {
                    across = level.first_of(top + beyond_row, left + beyond_column) +
                             level.gate(side ^ 1, place);
                    to = slots.gate_node[across];
                } else {
                    to = -1 - first_slot -
                         next.gate(
                             side,
                             vertical ? row * level.height + place : column * level.width + place
                         );
                }
                const bool keep =
                    f(Edge{
                        grid, slots, slots.gate_node[slot], to, slot, across, false, direction > 0,
                        through
                    });
                if (!keep) slots.gate_key[slot] = 0;
            }
            if (const Key link = slots.link_key[slot]) {
                const int from = slots.link_from[slot], to = slots.link_to[slot];
                const bool keep = f(Edge{grid, slots, from, to, slot, 0, true, true, link});
                f(Edge{grid, slots, to, from, slot, 0, true, false, link});
                if (!keep) slots.link_key[slot] = 0;
            }
        });
    }
    template <class F>
    __device__ __forceinline__ void gates(F f) const {
        edges([&](const Edge& edge) {
            if (edge.to < 0) f(edge);
            return true;
        });
    }
    __device__ Key loud(int node) const { return slots.loud[node]; }
    __device__ Turn loud_turn(int node) const { return slots.loud_turn[node]; }
    __device__ int& up(int node) const { return slots.up[node]; }
    __device__ Turn& up_turn(int node) const { return slots.up_turn[node]; }
};

// Grid: rectangles of the next level of all items.
extern "C" __global__ void __launch_bounds__(JOIN_THREADS) join_forests(
    const float* __restrict__ weight, const float* __restrict__ down,
    const float* __restrict__ right, Key* keys, int* words, int n_items, int n_rows, int n_columns,
    int n_slots, int first, int height, int width, int next_first, int next_height, int next_width
) {
    const Level level(first, height, width, n_rows, n_columns),
        next(next_first, next_height, next_width, n_rows, n_columns);
    const int parts = next.rows * next.columns, item = blockIdx.x / parts,
              part = blockIdx.x % parts;
    const int row = part / next.columns, column = part % next.columns;
    const int max_rows = (next_height + height - 1) / height,
              max_columns = (next_width + width - 1) / width;
    const int top = row * max_rows, left = column * max_columns;
    const Grid grid(weight, down, right, n_rows, n_columns, item);
    const Slots slots(keys, words, (long long)n_items * n_slots, item, n_slots);
    const int first_slot = next.first_of(row, column);
    const Joined graph{
        grid,
        slots,
        level,
        next,
        top,
        left,
        min(max_rows, level.rows - top),
        min(max_columns, level.columns - left),
        first_slot
    };
    forest_of_part(graph, slots.nodes, slots, next, first_slot);
}

// Grid: bins of all items.
extern "C" __global__ void __launch_bounds__(BIN_THREADS) angles_of_bins(
    const float* __restrict__ weight, const int* __restrict__ bin_up,
    const int* __restrict__ bin_turn, Key* keys, int* words, float* __restrict__ angles,
    int n_items, int n_bins, int n_slots
) {
    const int blocks = (n_bins + BIN_THREADS - 1) / BIN_THREADS, item = blockIdx.x / blocks;
    const int bin = blockIdx.x % blocks * BIN_THREADS + threadIdx.x;
    if (bin >= n_bins) return;
    const long long index = (long long)item * n_bins + bin;
    const Slots slots(keys, words, (long long)n_items * n_slots, item, n_slots);
    float angle = 0.f;
    if (weight[index] > 0.f) {
        Turn turn = bin_turn[index];
        for (int slot = bin_up[index]; slot >= 0; slot = slots.up[slot])
            turn += slots.up_turn[slot];
        angle = radians_of(turn);
    }
    angles[index] = angle;
}
