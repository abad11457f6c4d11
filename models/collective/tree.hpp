#pragma once
// The double binary tree over nodes 0 .. n-1: two binary heaps, the second counted from the other
// end, each with half of the bytes, so that a node inside one is a leaf of the other (Sanders,
// Speck and Traeff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", 2009).
namespace foretoken::models::collective {

// Parent of a node in the first tree; -1 for its root. In the second: of n - 1 - node, mirrored.
constexpr int tree_parent(int node) { return node == 0 ? -1 : (node - 1) / 2; }

constexpr int tree_depth(int nodes) {
  int depth = 0;
  for (int node = nodes - 1; node > 0; node = tree_parent(node)) ++depth;
  return depth;
}

// Bytes that the busiest node sends in an all-reduce, over the message: half a message to its
// parent and half to each child, in both trees.
constexpr double tree_share(int nodes) {
  const auto links = [nodes](int node) {
    const int children = (2 * node + 1 < nodes ? 1 : 0) + (2 * node + 2 < nodes ? 1 : 0);
    return children + (node > 0 ? 1 : 0);
  };
  int most = 0;
  for (int node = 0; node < nodes; ++node) {
    const int both = links(node) + links(nodes - 1 - node);
    most = both > most ? both : most;
  }
  return most / 2.0;
}

}  // namespace foretoken::models::collective
