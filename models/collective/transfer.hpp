#pragma once
// Bulk transfers that are no collectives: KV caches from prefill to decode, prefix-cache fetches
// from host memory, weights and checkpoints to and from storage.
#include "models/collective/analytic.hpp"
#include "models/collective/schedule.hpp"

namespace foretoken::models::collective {

struct BulkTransfer {
  double bytes = 0.0;  // all together
  int senders = 1;     // GPUs that hold an equal part each
  int receivers = 1;
  bool same_node = false;  // over NVLink or PCIe
  double messages = 1.0;   // that each sender posts one after the other (layers, blocks)
};

struct TransferParameters {
  double launch_s = 10e-6;        // of the transfer, e.g. the library's handshake
  double message_s = 1.0e-6;      // posting one more
  double rdma_efficiency = 0.89;  // as in ExchangeParameters
  double scale_up_efficiency = 0.79;
};

// One phase; its bytes are those of the busiest sender or receiver.
Plan transfer_plan(const BulkTransfer&, const Wire&, const TransferParameters& = {});

// The same over a fabric: sender i to receiver i, or to those whose parts it holds where the
// numbers differ (one a multiple of the other; InputError otherwise).
sim::net::Job transfer_job(const BulkTransfer&, const Plan&, const Fabric&,
                           const std::vector<NodeId>& from, const std::vector<NodeId>& to);

}  // namespace foretoken::models::collective
