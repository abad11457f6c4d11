#pragma once
// Tokens to their experts and back over an expert-parallel group, as DeepEP does it.
//
// Normal kernels: a token crosses to each node that holds one of its experts once, over the rail of
// its GPU, and is forwarded by NVLink to each GPU there that holds one (both at the same time).
// Low-latency kernels: each (token, expert) goes on its own, straight to the expert's GPU: RDMA
// between nodes, NVLink inside. Source: deepseek-ai/DeepEP dd758ca, README.md, docs/legacy.md.
#include "models/collective/analytic.hpp"
#include "models/collective/schedule.hpp"

namespace foretoken::models::collective {

enum class ExchangeMode { normal, low_latency };

struct ExpertExchange {
  ExchangeMode mode = ExchangeMode::normal;
  double tokens = 0.0;  // of one GPU
  int hidden = 0;
  int top_k = 1;
  int node_limit = 0;  // most nodes that a token's experts are on (DeepSeek-V3: 4); 0 = no limit
  double dispatch_bytes_per_element = 1.0;  // FP8
  double scale_bytes_per_token = 0.0;       // e.g. hidden / 128 x 4
  double combine_bytes_per_element = 2.0;   // BF16
  int sms = 20;                             // that the kernels run on (normal mode)
  double imbalance = 1.0;                   // bytes of the busiest GPU over the mean
  Group group;                              // all expert-parallel ranks
};

// How many different nodes and GPUs a token goes to, its own counted; experts drawn at random, at
// first the nodes where they are limited.
struct Fanout {
  double nodes = 1.0;
  double remote_nodes = 0.0;
  double gpus = 1.0;            // different GPUs, over all nodes
  double remote_experts = 0.0;  // of top_k, on other nodes
};
Fanout fanout_of(const ExpertExchange& exchange);

// Fitted on the one-node tables of H100, H200 and B200 (ai-dynamo/aiconfigurator, 2026-08), all
// three alike; the RDMA share and the network's steps, which one node cannot tell, on DeepEP's
// published internode tables.
struct ExchangeParameters {
  // launch = fixed + steps x latency of a scale-up step + hidden x per element
  struct Kernel {
    double launch_s;
    double launch_steps;
    double launch_per_element_s;
    double message_s;        // of one SM (normal) or of all (low latency), for each message
    double sm_bytes_per_s;   // that one SM moves (normal mode)
    double link_efficiency;  // of the NVLink rate
  };
  Kernel dispatch{15.5e-6, 12.7, 0.24e-9, 142e-9, 19.8e9, 0.79};
  Kernel combine{15.6e-6, 12.6, 3.0e-9, 23e-9, 16.1e9, 0.70};
  Kernel fast_dispatch{0.2e-6, 12.2, 0.24e-9, 0.92e-9, 0.0, 0.587};
  Kernel fast_combine{3.9e-6, 8.6, 0.09e-9, 0.0, 0.0, 0.506};
  double sharpness = 4.0;         // of the limits of SMs and link against each other
  double rdma_efficiency = 0.89;  // of the NIC's rate
  double network_steps = 2.5;     // round trips between nodes before and after the data
};

// Plans of both ways, to be priced or scheduled as those of collectives are.
Plan dispatch_plan(const ExpertExchange&, const Wire&, const ExchangeParameters& = {});
Plan combine_plan(const ExpertExchange&, const Wire&, const ExchangeParameters& = {});

}  // namespace foretoken::models::collective
