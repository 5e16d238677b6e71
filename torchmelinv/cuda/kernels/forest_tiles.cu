// The edges of the maximum spanning forest of every small rectangle of a grid
// (cuda/spanning_forest_cuda.py) that are certain without the rest of the grid, in shared memory.
// Keys, turns, slots and gates: forest.cuh. forest_joins.cu continues.
#include "forest.cuh"

// A rectangle of bins; edges leave it through the gates of its own level.
struct Tile {
    struct Edge {
        const Grid& grid;
        int from, to;
        int first, direction;  // its upper or left bin; RIGHT or BOTTOM
        bool ahead;
        __device__ Key key() const { return grid.key(first, direction); }
        __device__ Turn rise() const {
            if (to < 0) return 0;
            const Turn rise = grid.rise(key());
            return ahead ? rise : 0u - rise;
        }
    };
    const Grid& grid;
    const Level& level;
    int top, left, height, width, first_slot;
    int* bin_up;
    Turn* bin_turn;
    // Of each bin, in shared memory: the directions (side + 1) of its edges that may join trees,
    // the heaviest first.
    unsigned short* sides;

    __device__ int bin(int node) const {
        return (top + node / TILE_COLUMNS) * grid.columns + left + node % TILE_COLUMNS;
    }
    // The edge of a bin on one side.
    __device__ __forceinline__ Edge edge(int node, int side) const {
        const int row = node / TILE_COLUMNS, column = node % TILE_COLUMNS, index = bin(node),
                  vertical = side >= LEFT;
        const int last = vertical ? width - 1 : height - 1, at = vertical ? column : row,
                  ahead = side & 1;
        const bool inside = ahead ? at < last : at > 0;
        const int to = node + (ahead ? 1 : -1) * (vertical ? 1 : TILE_COLUMNS);
        const int gate = -1 - first_slot - level.gate(side, vertical ? row : column);
        return {grid,
                node,
                inside ? to : gate,
                ahead ? index : index - (vertical ? 1 : grid.columns),
                side | 1,
                ahead == 1};
    }
    __device__ __forceinline__ bool exists(int node, int side) const {
        const int vertical = side >= LEFT,
                  at = vertical ? left + node % TILE_COLUMNS : top + node / TILE_COLUMNS;
        return side & 1 ? at < (vertical ? grid.columns : grid.rows) - 1 : at > 0;
    }
    template <class F>
    __device__ __forceinline__ void nodes(F f) const {
        for (int node = threadIdx.x; node < height * TILE_COLUMNS; node += blockDim.x)
            if (node % TILE_COLUMNS < width) f(node);
    }
    // Only the heaviest edge of a bin can be that of its tree.
    template <class F>
    __device__ __forceinline__ void edges(F f) const {
        nodes([&](int node) {
            const unsigned all = sides[node];
            unsigned left = all;
            while (left && !f(edge(node, (left & 15) - 1))) left >>= 4;
            if (left != all) sides[node] = left;
        });
    }
    template <class F>
    __device__ __forceinline__ void gates(F f) const {
        for (int gate = threadIdx.x; gate < level.slots(); gate += blockDim.x) {
            const int side = level.side(gate), place = level.place(gate);
            if (place >= (side < LEFT ? width : height)) continue;
            const int row = side == TOP ? 0 : side == BOTTOM ? height - 1 : place;
            const int column = side == LEFT    ? 0
                               : side == RIGHT ? width - 1
                                               : place,
                      node = row * TILE_COLUMNS + column;
            if (!exists(node, side)) continue;
            const Edge out = edge(node, side);
            if (out.key()) f(out);
        }
    }
    // Sorts the edges of every bin.
    __device__ void start() const {
        nodes([&](int node) {
            Key key[4];
            unsigned order = 0;
#pragma unroll
            for (int side = 0; side < 4; side++)
                key[side] = exists(node, side) ? edge(node, side).key() : 0;
#pragma unroll
            for (int side = 0; side < 4; side++) {
                int before = 0;  // heavier edges
#pragma unroll
                for (int other = 0; other < 4; other++) before += key[other] > key[side];
                if (key[side]) order |= (side + 1) << 4 * before;
            }
            sides[node] = order;
        });
    }
    __device__ Key loud(int node) const {
        const float size = grid.weight[bin(node)];
        return size > 0.f ? (Key)__float_as_uint(size) << 32 | ~(unsigned)bin(node) : 0;
    }
    __device__ Turn loud_turn(int) const { return 0; }
    __device__ int& up(int node) const { return bin_up[bin(node)]; }
    __device__ Turn& up_turn(int node) const { return bin_turn[bin(node)]; }
};

// Grid: rectangles of all items. Shared memory: the nodes.
extern "C" __global__ void __launch_bounds__(TILE_THREADS, 3) tile_forests(
    const float* __restrict__ weight,  // (items, n_rows, n_columns)
    const float* __restrict__ down,    // (items, n_rows − 1, n_columns)
    const float* __restrict__ right,   // (items, n_rows, n_columns − 1)
    // Like the weight: the slot of the tree of a bin, or −1, and its angle minus that of the tree.
    int* bin_up, int* bin_turn, Key* keys, int* words, int n_items, int n_rows, int n_columns,
    int n_slots, int height
) {
    const Level level(0, height, TILE_COLUMNS, n_rows, n_columns);
    const int tiles = level.rows * level.columns, item = blockIdx.x / tiles,
              tile = blockIdx.x % tiles;
    const int top = tile / level.columns * height, left = tile % level.columns * TILE_COLUMNS;
    const long long first_bin = (long long)item * n_rows * n_columns;
    const Grid grid(weight, down, right, n_rows, n_columns, item);
    const Slots slots(keys, words, (long long)n_items * n_slots, item, n_slots);
    const int first_slot = level.first_of(tile / level.columns, tile % level.columns);
    const int n = height * TILE_COLUMNS;
    Key* const best = (Key*)dynamic_shared;
    int* const word = (int*)(best + n);
    const Tile graph{
        grid,
        level,
        top,
        left,
        min(height, n_rows - top),
        min(TILE_COLUMNS, n_columns - left),
        first_slot,
        bin_up + first_bin,
        (Turn*)bin_turn + first_bin,
        (unsigned short*)(word + 5 * n)
    };
    const Nodes nodes{best, word, (Turn*)word + n, word + 2 * n, (Turn*)word + 3 * n, word + 4 * n};
    graph.start();
    forest_of_part(graph, nodes, slots, level, first_slot);
}
