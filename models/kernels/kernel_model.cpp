#include "models/kernels/kernel_model.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "models/kernels/machine.hpp"
#include "models/kernels/operator_tables.hpp"
#include "models/kernels/physics.hpp"
#include "models/kernels/relatives.hpp"
#include "models/kernels/table_model.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::kernels {
namespace {

using sim::core::Provenance;

// Times asked for before, by the shape's numbers. A deployment asks for the same few hundred.
class Memory {
 public:
  using Key = std::array<double, 16>;

  [[nodiscard]] std::optional<OperatorTime> find(const Key& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = times_.find(key);
    if (found == times_.end()) return std::nullopt;
    return found->second;
  }
  void keep(const Key& key, const OperatorTime& time) const {
    constexpr std::size_t kMost = 100'000;
    const std::lock_guard lock(mutex_);
    if (times_.size() < kMost) times_.emplace(key, time);
  }

 private:
  struct Hash {
    std::size_t operator()(const Key& key) const {
      std::uint64_t hash = 0xcbf29ce484222325U;
      for (const double part : key)
        hash = (hash ^ std::bit_cast<std::uint64_t>(part)) * 0x9e3779b97f4a7c15U,
        hash ^= hash >> 29;
      return hash;
    }
  };
  mutable std::mutex mutex_;
  mutable std::unordered_map<Key, OperatorTime, Hash> times_;
};

struct Keys {
  double kind = 0;
  template <class... Numbers>
  Memory::Key of(Numbers... numbers) const {
    static_assert(sizeof...(numbers) < 16);
    return {kind, static_cast<double>(numbers)...};
  }
  Memory::Key operator()(const llm::GemmOp& o) const { return of(o.m, o.n, o.k, o.format); }
  Memory::Key operator()(const llm::PrefillAttentionOp& o) const {
    return of(o.batch, o.tokens, o.context, o.heads, o.kv_heads, o.head_dim, o.window, o.kv);
  }
  Memory::Key operator()(const llm::DecodeAttentionOp& o) const {
    return of(o.batch, o.context, o.heads, o.kv_heads, o.head_dim, o.window, o.kv);
  }
  Memory::Key operator()(const llm::MlaPrefillOp& o) const {
    return with(of(o.batch, o.tokens, o.context, o.heads, o.kv), o.dims);
  }
  Memory::Key operator()(const llm::MlaDecodeOp& o) const {
    return with(of(o.batch, o.context, o.heads, o.kv), o.dims);
  }
  Memory::Key operator()(const llm::MlaBmmOp& o) const {
    return with(of(o.tokens, o.heads, o.post, o.format), o.dims);
  }
  Memory::Key operator()(const llm::MlaBlockOp& o) const {
    return with(of(o.prefill, o.batch, o.tokens, o.context, o.hidden, o.heads, o.format, o.kv),
                o.dims);
  }
  Memory::Key operator()(const llm::MoeOp& o) const {
    return of(o.tokens, o.hidden, o.intermediate, o.top_k, o.experts, o.tensor, o.expert, o.format,
              o.skew, o.input, o.slots, o.rebalanced);
  }
  Memory::Key operator()(const llm::CollectiveOp& o) const {
    return of(o.kind, o.bytes, o.gpus, o.dtype, o.inter_node);
  }
  Memory::Key operator()(const llm::ExpertExchangeOp& o) const {
    return of(o.combine, o.low_latency, o.tokens, o.hidden, o.top_k, o.experts, o.ranks,
              o.group_limit, o.sms, o.payload);
  }
  Memory::Key operator()(const llm::ElementwiseOp& o) const { return of(o.bytes, o.kernels); }

  static Memory::Key with(Memory::Key key, const llm::MlaSpec& dims) {
    key[11] = dims.q_lora_rank;
    key[12] = dims.kv_lora_rank;
    key[13] = dims.qk_nope_head_dim;
    key[14] = dims.qk_rope_head_dim;
    key[15] = dims.v_head_dim;
    return key;
  }
};

}  // namespace

struct KernelModel::Impl {
  Machine machine;
  PhysicalParameters parameters;
  std::shared_ptr<const Calibration> calibration;
  Lenders lenders;
  Memory memory;

  [[nodiscard]] bool is_measured(const llm::OperatorShape& shape) const;
  [[nodiscard]] std::string variant_of(const llm::OperatorShape& shape) const;
  [[nodiscard]] OperatorTime time(const llm::OperatorShape& shape) const;
  [[nodiscard]] double error_of(Family family, Provenance provenance) const;
};

// Tables hold no passes through memory alone, nothing between nodes, no pairs of pipeline stages.
bool KernelModel::Impl::is_measured(const llm::OperatorShape& shape) const {
  if (std::holds_alternative<llm::ElementwiseOp>(shape)) return false;
  const auto inside = [&](int gpus) { return machine.node_gpus <= 0 || gpus <= machine.node_gpus; };
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape))
    return !op->inter_node && inside(op->gpus) && op->kind != llm::CollectiveKind::send_recv;
  if (const auto* op = std::get_if<llm::ExpertExchangeOp>(&shape)) return inside(op->ranks);
  return true;
}

// Inside a node the engine's own all-reduce is used where there is one, otherwise NCCL.
std::string KernelModel::Impl::variant_of(const llm::OperatorShape& shape) const {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape)) {
    const bool own = op->kind == llm::CollectiveKind::all_reduce &&
                     lenders.holds(category_of(shape, "", machine));
    return own || !lenders.holds(category_of(shape, "nccl", machine)) ? "" : "nccl";
  }
  return lenders.variant_of(category_of(shape, "", machine));
}

// "error/FAMILY/PROVENANCE": a share, found by validation over whole keys (or GPUs) left out;
// where the calibration has none it is unknown: 1.
double KernelModel::Impl::error_of(Family family, Provenance provenance) const {
  const std::string key = "error/" + std::string(to_string(family)) + "/" +
                          std::string(sim::core::to_string(provenance));
  const auto found = calibration->parameters.find(key);
  return found == calibration->parameters.end() ? 1.0 : found->second;
}

KernelModel::KernelModel(const hardware::NodeSpec& node, const EngineVersion& engine,
                         std::shared_ptr<const Calibration> calibration)
    : impl_(std::make_unique<Impl>()) {
  SIM_ASSERT(calibration != nullptr, "a kernel model needs a calibration, if an empty one");
  impl_->machine = machine_of(node);
  impl_->parameters = PhysicalParameters::from(calibration->parameters);
  impl_->calibration = std::move(calibration);
  for (const TableSource& source :
       table_sources(impl_->machine, node.gpu.tables, engine, *impl_->calibration))
    impl_->lenders.add(std::make_shared<const TableModel>(source, impl_->parameters));
}

KernelModel::~KernelModel() = default;
KernelModel::KernelModel(KernelModel&&) noexcept = default;

OperatorTime KernelModel::time(const llm::OperatorShape& shape) const {
  const Memory::Key key = std::visit(Keys{static_cast<double>(shape.index())}, shape);
  if (const auto known = impl_->memory.find(key)) return *known;
  const OperatorTime time = impl_->time(shape);
  impl_->memory.keep(key, time);
  return time;
}

OperatorTime KernelModel::Impl::time(const llm::OperatorShape& shape) const {
  OperatorTime result;
  result.source = "physical model";
  const bool measured = is_measured(shape);
  PlacedRow placed =
      place_row({shape, measured ? variant_of(shape) : std::string{}, 0.0}, machine, parameters);
  result.seconds = placed.physical_seconds;
  if (const auto lent = measured && result.seconds > 0 ? lenders.ask(placed) : std::nullopt) {
    const TableSource& source = lent->table->source();
    const Table& table = *source.table;
    result.seconds *= std::exp(lent->correction);
    result.source = table.gpu + "/" + table.op + "." + table.engine + "-" + table.version;
    if (source.same_gpu)
      result.provenance = lent->exact && source.same_engine && !lent->outside
                              ? Provenance::measured
                              : Provenance::calibrated;
  }
  const std::string& variant = placed.row.variant;
  result.seconds = std::max({result.seconds, least_seconds(shape, variant, machine),
                             least_weight_seconds(shape, variant, machine)});
  result.relative_error = error_of(family_of(shape), result.provenance);
  return result;
}

}  // namespace foretoken::models::kernels
