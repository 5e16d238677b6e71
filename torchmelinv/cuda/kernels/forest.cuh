// Borůvka's algorithm by one block on its part of a graph; the block has every edge that touches
// one of its nodes.
//
// In a round each tree takes the heaviest edge that leaves it and attaches to the tree at the other
// end; then every node follows the chain from the old root of its tree to the new one. Weights are
// the upper half of keys that are all different. The only atomic, a maximum, therefore has one
// result in any order, and exactly one thread finds that its key is the best of a tree. Angles are
// integers, 2³² to a turn: sums wrap by themselves, are exact, and do not depend on the order.
#pragma once
#include "device.cuh"

typedef unsigned long long Key;  // 0: none
typedef unsigned Turn;           // an angle
enum { TOP, BOTTOM, LEFT, RIGHT };

__device__ __forceinline__ Turn turn_of(float radians) {
    const float high = radians * 0.15915494f;  // 1 / 2π in two floats
    const float low = fmaf(radians, 0.15915494f, -high) + radians * 6.4206383e-9f;
    return (Turn)(long long)((high - rintf(high)) * 4294967296.f) +
           (Turn)(long long)rintf(low * 4294967296.f);
}
__device__ __forceinline__ float radians_of(Turn turn) {
    return (float)turn * (6.283185307179586f / 4294967296.f);
}

// The grid of one item.
struct Grid {
    const float *weight, *down, *right;
    int rows, columns;
    __device__ Grid(
        const float* weights, const float* downs, const float* rights, int rows, int columns,
        int item
    )
        : weight(weights + (long long)item * rows * columns),
          down(downs + (long long)item * (rows - 1) * columns),
          right(rights + (long long)item * rows * (columns - 1)),
          rows(rows),
          columns(columns) {}
    // The key of the edge from a bin to the next, or to the bin below: its weight, low² · high,
    // then its number.
    __device__ Key key(int bin, int side) const {
        const float a = weight[bin], b = weight[side == RIGHT ? bin + 1 : bin + columns];
        const float low = fminf(a, b), size = low * low * fmaxf(a, b);
        const unsigned number = side == RIGHT ? (unsigned)(rows * columns) + bin : bin;
        return size > 0.f ? (Key)(__float_as_uint(size) & ~0xFFFu) << 32 | number : 0;
    }
    // The angle difference along the edge with this key.
    __device__ Turn rise(Key key) const {
        const unsigned number = (unsigned)key, bins = rows * columns;
        return turn_of(
            number < bins ? down[number] : right[number - bins - (number - bins) / columns]
        );
    }
};

struct Nodes {
    Key* best;     // of a root: the heaviest edge that leaves its tree
    int* label;    // the root of the node's tree
    Turn* turn;    // the node's angle minus its root's
    int* parent;   // of a root: the root that its tree attaches to, or itself
    Turn* offset;  // of a root: its angle minus its parent's
    // Of the root of a tree with an edge out of the part of the block: the slot where the tree
    // continues; otherwise −1.
    int* slot;
};

// Rectangles that cover the grid. Each has a slot for every bin of each side, where an edge may
// leave it: a gate. A tree whose heaviest edge leaves through this gate continues in the same slot.
struct Level {
    int first, height, width, rows, columns;  // its first slot; bins of a rectangle; rectangles
    __device__ Level(int first, int height, int width, int n_rows, int n_columns)
        : first(first),
          height(height),
          width(width),
          rows((n_rows + height - 1) / height),
          columns((n_columns + width - 1) / width) {}
    __device__ int slots() const { return 2 * (height + width); }
    __device__ int first_of(int row, int column) const {
        return first + (row * columns + column) * slots();
    }
    __device__ int gate(int side, int place) const {
        return (side < 2 ? side * width : 2 * width + (side - 2) * height) + place;
    }
    __device__ int side(int gate) const {
        return gate < 2 * width ? gate >= width : LEFT + (gate - 2 * width >= height);
    }
    __device__ int place(int gate) const { return gate - this->gate(side(gate), 0); }
};

// The contents of the slots of all levels of one item.
struct Slots {
    Key* gate_key;    // the edge through the gate
    int* gate_node;   // the slot of the tree that the edge leaves
    Turn* gate_turn;  // the angle of the bin that it leaves minus that of the tree
    Key* link_key;    // an edge between trees of the rectangle, of their own spanning forest
    int *link_from, *link_to;
    Turn* link_rise;
    Key* loud;        // the first loudest bin of a tree; 0: no tree continues here
    Turn* loud_turn;  // the angle of that bin minus that of the tree
    int* up;          // the slot of the next level where the tree continues; −1: it is complete
    Turn* up_turn;    // its angle minus that of this slot, or minus that of the loudest bin of all
    Nodes nodes;
    __device__ Slots(Key* keys, int* words, long long each, int item, int n_slots) {
        auto key = [&](int field) { return keys + field * each + (long long)item * n_slots; };
        auto word = [&](int field) { return words + field * each + (long long)item * n_slots; };
        auto turn = [&](int field) { return (Turn*)word(field); };
        gate_key = key(0), link_key = key(1), loud = key(2);
        gate_node = word(0), link_from = word(1), link_to = word(2), up = word(3);
        gate_turn = turn(4), link_rise = turn(5), loud_turn = turn(6), up_turn = turn(7);
        nodes = {key(3), word(8), turn(9), word(10), turn(11), word(12)};
    }
};

// Keeps the larger key. Reading first saves most of the atomics and does not change the result.
__device__ __forceinline__ void offer(Key* best, Key key) {
    if (*(volatile Key*)best < key) atomicMax(best, key);
}

// The interface of a graph. `nodes(f)` calls f(node) for each node of this thread. `edges(f)` calls
// f(edge) for the edges of these nodes that may be the heaviest of a tree; f returns false to drop
// an edge for good. `gates(f)` calls f(edge) for each edge that leaves the part. An edge has the
// nodes `from` and `to`; rise() is the angle difference between them. With `to` < 0 it leaves the
// part through the gate −1 − to of the next level; rise() is then the angle of the bin at its start
// minus that of its node.

// Rounds until no tree has an edge to another one. With `leaving`, a tree whose heaviest edge
// leaves the part stops growing.
template <class Graph, class Record>
__device__ __forceinline__ void grow(
    const Graph& graph, const Nodes& nodes, bool leaving, Record record
) {
    typedef typename Graph::Edge Edge;
    while (true) {
        // Nothing that other threads wrote before is read until the barrier.
        graph.nodes([&](int node) {
            if (nodes.label[node] == node) nodes.best[node] = 0;
        });
        __syncthreads();
        graph.edges([&](const Edge& edge) {
            const int tree = nodes.label[edge.from];
            if (edge.to >= 0 ? nodes.label[edge.to] == tree : !leaving) return false;
            offer(nodes.best + tree, edge.key());
            return true;
        });
        __syncthreads();
        int attached = 0;
        graph.edges([&](const Edge& edge) {
            if (edge.to < 0) return true;
            const int tree = nodes.label[edge.from], other = nodes.label[edge.to];
            if (tree == other) return true;
            const Key key = edge.key();
            if (nodes.best[tree] != key) return true;
            if (nodes.best[other] == key && tree < other)
                return true;  // both took the same edge: the first one stays a root
            const Turn rise = edge.rise();
            nodes.parent[tree] = other;
            nodes.offset[tree] = nodes.turn[edge.to] - nodes.turn[edge.from] - rise;
            record(tree, edge.from, edge.to, key, rise);
            attached = 1;
            return true;
        });
        if (!__syncthreads_or(attached)) return;
        graph.nodes([&](int node) {
            int root = nodes.label[node];
            Turn turn = nodes.turn[node];
            for (int next; (next = nodes.parent[root]) != root; root = next)
                turn += nodes.offset[root];
            nodes.label[node] = root;
            nodes.turn[node] = turn;
        });
    }
}

// The forest of the part of a block: first the edges that are certainly in the forest of the grid,
// then those that may be in it.
template <class Graph>
__device__ __forceinline__ void forest_of_part(
    const Graph& graph, const Nodes& nodes, const Slots& slots, const Level& next, int first_slot
) {
    typedef typename Graph::Edge Edge;
    for (int slot = first_slot + threadIdx.x; slot < first_slot + next.slots(); slot += blockDim.x)
        slots.gate_key[slot] = slots.link_key[slot] = slots.loud[slot] = 0;
    graph.nodes([&](int node) {
        nodes.label[node] = nodes.parent[node] = node;
        nodes.turn[node] = nodes.offset[node] = 0;
        nodes.slot[node] = -1;
    });
    // The heaviest edge that leaves a tree is in the forest of the grid, so trees may grow until it
    // leaves the part.
    grow(graph, nodes, true, [](int, int, int, Key, Turn) {});
    graph.gates([&](const Edge& edge) {
        const int tree = nodes.label[edge.from];
        if (nodes.best[tree] == edge.key()) nodes.slot[tree] = -1 - edge.to;
    });
    __syncthreads();
    graph.gates([&](const Edge& edge) {
        const int gate = -1 - edge.to;
        slots.gate_key[gate] = edge.key();
        slots.gate_node[gate] = nodes.slot[nodes.label[edge.from]];
        slots.gate_turn[gate] = nodes.turn[edge.from] + edge.rise();
    });
    graph.nodes([&](int node) {
        if (nodes.label[node] == node) nodes.best[node] = 0;
    });
    __syncthreads();
    graph.nodes([&](int node) { offer(nodes.best + nodes.label[node], graph.loud(node)); });
    __syncthreads();
    graph.nodes([&](int node) {
        const int tree = nodes.label[node], slot = nodes.slot[tree];
        const Key loud = graph.loud(node);
        if (!loud || nodes.best[tree] != loud) return;
        const Turn turn = nodes.turn[node] + graph.loud_turn(node);
        if (slot >= 0) slots.loud[slot] = loud, slots.loud_turn[slot] = turn;
        else nodes.offset[tree] = turn;
    });
    __syncthreads();
    graph.nodes([&](int node) {
        const int tree = nodes.label[node], slot = nodes.slot[tree];
        graph.up(node) = slot;
        graph.up_turn(node) = nodes.turn[node] - (slot >= 0 ? 0 : nodes.offset[tree]);
    });
    if (next.rows * next.columns == 1) return;
    // An edge between two stopped trees that is the lightest of a cycle within the part is not in
    // the forest of the grid. The other edges form a forest of these trees, in which every tree but
    // one attaches once: each keeps its edge in its slot.
    grow(graph, nodes, false, [&](int tree, int from, int to, Key key, Turn rise) {
        const int slot = nodes.slot[tree];
        slots.link_key[slot] = key;
        slots.link_from[slot] = graph.up(from);
        slots.link_to[slot] = graph.up(to);
        slots.link_rise[slot] = rise + graph.up_turn(from) - graph.up_turn(to);
    });
}
