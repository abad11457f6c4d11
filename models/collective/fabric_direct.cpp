// Networks that are no trees: dragonfly+ (Shpiner et al., HiPINEB 2017) and the 3D torus.
#include <algorithm>
#include <array>
#include <cmath>

#include "models/collective/fabric_parts.hpp"

namespace foretoken::models::collective {

namespace {

int ceil_div(int a, int b) { return (a + b - 1) / b; }

struct Group {
  std::vector<NodeId> leaves, spines;
};

// Leaves and spines of one group, every leaf joined to every spine.
Group add_group(Parts& parts, int g, int first, int last, int per_leaf) {
  Fabric& fabric = parts.fabric;
  Group group;
  const std::string prefix = "group" + std::to_string(g) + ".";
  for (int s = first; s < last; ++s) {
    if ((s - first) % per_leaf == 0)
      group.leaves.push_back(
          add_switch(fabric, prefix + "leaf" + std::to_string((s - first) / per_leaf)));
    for (const NodeId nic : parts.nics[static_cast<std::size_t>(s)])
      fabric.topology.connect(nic, group.leaves.back(), nic_link(fabric));
  }
  const int down = std::min(per_leaf, last - first) * fabric.server.nics;
  const int spines =
      std::max(1, static_cast<int>(std::ceil(down / fabric.network.oversubscription - 1e-9)));
  for (int p = 0; p < spines; ++p) {
    group.spines.push_back(add_switch(fabric, prefix + "spine" + std::to_string(p)));
    for (const NodeId leaf : group.leaves)
      fabric.topology.connect(leaf, group.spines.back(), switch_link(fabric));
  }
  return group;
}

}  // namespace

void join_dragonfly(Parts& parts) {
  Fabric& fabric = parts.fabric;
  const int half_ports = fabric.network.ports / 2;
  const int per_leaf = half_ports / fabric.server.nics;
  if (per_leaf < 1)
    fail_if({"a leaf of " + std::to_string(fabric.network.ports) + " ports has too few for the " +
             std::to_string(fabric.server.nics) + " NICs of one server; more ports are needed"});
  const int most = per_leaf * half_ports;  // servers of a group: as many leaves as a spine has down
  const int groups = fabric.network.dragonfly_groups > 0 ? fabric.network.dragonfly_groups
                                                         : ceil_div(fabric.servers, most);
  const int per_group = ceil_div(fabric.servers, groups);
  if (per_group > most || (groups - 1) * per_group >= fabric.servers)
    fail_if({"layout larger than the fabric: " + std::to_string(fabric.servers) +
             " servers do not fit " + std::to_string(groups) + " dragonfly groups of at most " +
             std::to_string(most)});
  std::vector<Group> all;
  for (int g = 0; g < groups; ++g)
    all.push_back(add_group(parts, g, g * per_group, std::min(fabric.servers, (g + 1) * per_group),
                            per_leaf));
  if (groups < 2) return;
  // Global links: a group's NICs over the oversubscription, spread over the other groups.
  const int global =
      static_cast<int>(std::ceil(per_group * fabric.server.nics / fabric.network.oversubscription));
  const int each = std::max(1, global / (groups - 1));
  std::vector<std::size_t> next(all.size(), 0);
  for (std::size_t a = 0; a < all.size(); ++a)
    for (std::size_t b = a + 1; b < all.size(); ++b)
      for (int l = 0; l < each; ++l) {
        const NodeId from = all[a].spines[next[a]++ % all[a].spines.size()];
        const NodeId to = all[b].spines[next[b]++ % all[b].spines.size()];
        fabric.topology.connect(from, to, switch_link(fabric));
      }
}

void join_torus(Parts& parts) {
  Fabric& fabric = parts.fabric;
  const std::array<int, 3>& torus = fabric.network.torus;
  const int x_size = torus[0], y_size = torus[1], z_size = torus[2];
  if (x_size < 1 || y_size < 1 || z_size < 1 || x_size * y_size * z_size != fabric.servers)
    fail_if({"a torus of " + std::to_string(x_size) + " x " + std::to_string(y_size) + " x " +
             std::to_string(z_size) + " does not hold " + std::to_string(fabric.servers) +
             " servers; its sizes must multiply to their number"});
  std::vector<NodeId> routers;
  for (int s = 0; s < fabric.servers; ++s) {
    routers.push_back(add_switch(fabric, "router" + std::to_string(s)));
    for (const NodeId nic : parts.nics[static_cast<std::size_t>(s)])
      fabric.topology.connect(nic, routers.back(), nic_link(fabric));
  }
  const auto at = [&](int x, int y, int z) {
    return routers[static_cast<std::size_t>((z % z_size * y_size + y % y_size) * x_size +
                                            x % x_size)];
  };
  const auto join = [&](NodeId a, NodeId b) { fabric.topology.connect(a, b, switch_link(fabric)); };
  for (int z = 0; z < z_size; ++z)
    for (int y = 0; y < y_size; ++y)
      for (int x = 0; x < x_size; ++x) {
        // A ring of two is one link, not two; a ring of one is none.
        if (x_size > 2 || x + 1 < x_size) join(at(x, y, z), at(x + 1, y, z));
        if (y_size > 2 || y + 1 < y_size) join(at(x, y, z), at(x, y + 1, z));
        if (z_size > 2 || z + 1 < z_size) join(at(x, y, z), at(x, y, z + 1));
      }
}

}  // namespace foretoken::models::collective
