#pragma once
// Times of operators and messages on one cluster, remembered by shape: rows of a validation, or
// layouts of a plan, ask for the same few shapes again and again.
#include <map>
#include <memory>
#include <tuple>

#include "models/kernels/kernel_model.hpp"
#include "models/training/spec.hpp"

namespace foretoken::models::training {

// A group of `ranks` GPUs that lie `stride` apart in the order of ranks.
struct Group {
  int ranks = 1;
  int stride = 1;
};

class MachineTimes {
 public:
  // `network`: byte/s per node in one direction; 0 = as the card's NICs add up.
  MachineTimes(const hardware::NodeSpec& node, double network,
               std::shared_ptr<const kernels::Calibration> calibration);

  [[nodiscard]] const hardware::NodeSpec& node() const { return node_; }

  // A matrix product C[m,n] = A[m,k] B[k,n]; quantised formats include quantising the input.
  double gemm(std::int64_t m, std::int64_t n, std::int64_t k, Arithmetic arithmetic) const;
  // Causal fused attention, forward, of `batch` sequences; see attention_backward_work().
  double attention(std::int64_t batch, std::int64_t tokens, int heads, int kv_heads, int head_dim,
                   int window) const;
  // One pass over `bytes` of memory, read and written, without a launch.
  [[nodiscard]] double memory(double bytes) const;
  [[nodiscard]] double arithmetic_peak(Arithmetic arithmetic) const;

  // `bytes`: of the whole buffer on one GPU (all-gather: the gathered total; all-to-all and
  // send-receive: what one GPU sends).
  double message(llm::CollectiveKind kind, double bytes, const Group& group) const;
  // One GPU to its neighbour `stride` away.
  double send(double bytes, int stride) const;
  // Members of a group that share a node.
  [[nodiscard]] int members_in_node(const Group& group) const;
  // Byte/s that one GPU gets of its node's network.
  [[nodiscard]] double network_per_gpu() const;
  [[nodiscard]] double relative_error() const { return error_; }  // of a matrix product

 private:
  double across_nodes(llm::CollectiveKind kind, double bytes, const Group& group) const;

  hardware::NodeSpec node_;
  double network_;
  kernels::KernelModel kernels_, attention_;
  double error_ = 0;
  using Key = std::tuple<int, std::int64_t, std::int64_t, std::int64_t, int, int, int>;
  mutable std::map<Key, double> known_;
  mutable std::map<std::tuple<int, double, int, int>, double> messages_;
};

}  // namespace foretoken::models::training
