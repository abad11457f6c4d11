#pragma once
// A plan of analytic.hpp as transfers over the links of a fabric: what runs at the same time on the
// same links then slows each other down.
#include <span>
#include <vector>

#include "models/collective/analytic.hpp"
#include "sim/net/traffic.hpp"

namespace foretoken::models::collective {

// GPUs of a group on a fabric, node by node, as many on each.
struct Members {
  std::vector<NodeId> gpus;
  Group group;
};

// `local` GPUs on each of `nodes` nodes, from node `first_node` and local GPU `first_gpu` on.
// Throws InputError if the fabric is smaller than that.
Members members_of(const Fabric& fabric, int first_node, int nodes, int first_gpu, int local);
// Any GPUs; sorted by node. Throws InputError if the nodes hold different numbers of them.
Members members_of(const Fabric& fabric, std::vector<NodeId> gpus);

// The job of a plan. Bytes on the links include what the protocol adds to the payload. What is left
// of a phase after the widest link of its GPU is a matter of the fabric.
sim::net::Job schedule(const Plan& plan, const Fabric& fabric, const Members& members);

// One call on an otherwise idle fabric, with flows: seconds.
double flow_seconds(const Call& call, const Fabric& fabric, const Members& members,
                    const Parameters& parameters = {});

}  // namespace foretoken::models::collective
