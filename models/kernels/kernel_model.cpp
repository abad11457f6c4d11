#include "models/kernels/kernel_model.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "models/kernels/machine.hpp"
#include "models/kernels/operator_tables.hpp"
#include "models/kernels/physics.hpp"
#include "models/kernels/relatives.hpp"
#include "models/kernels/table_model.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::kernels {
namespace {

using sim::core::Provenance;

// A category's measurements: whose they are, and the field through them, built when first asked
// for (a deployment uses few of the categories).
struct Measured {
  TableSource source;
  std::string name;  // of the table
  mutable std::once_flag once;
  mutable Field field;
  mutable std::string variant;

  void build(const std::string& category, const PhysicalParameters& parameters) const {
    std::call_once(once, [&] {
      const RowReader reader(*source.table);
      std::vector<PlacedRow> rows;
      for (std::size_t i = 0; i < reader.size(); ++i)
        if (auto row = reader.row(i);
            row && category_of(row->shape, row->variant, source.machine) == category)
          rows.push_back(place_row(std::move(*row), source.machine, parameters));
      const TableModel model(rows);
      const auto& [name_of_variant, best] = main_variant(model.categories().at(category));
      field = best;
      variant = name_of_variant;
    });
  }
};

}  // namespace

struct KernelModel::Impl {
  Machine machine;
  PhysicalParameters parameters;
  std::shared_ptr<const Calibration> calibration;
  std::map<std::string, Measured> measured;  // by category

  [[nodiscard]] std::map<std::string, Measured>::const_iterator find(
      const llm::OperatorShape& shape, bool& exact) const;
  [[nodiscard]] double error_of(Family family, Provenance provenance) const;
};

std::map<std::string, Measured>::const_iterator KernelModel::Impl::find(
    const llm::OperatorShape& shape, bool& exact) const {
  exact = true;
  if (std::holds_alternative<llm::ElementwiseOp>(shape)) return measured.end();
  // Inside a node the engine's own all-reduce is used where there is one, otherwise NCCL.
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape)) {
    const bool inside =
        !op->inter_node && (machine.node_gpus <= 0 || op->gpus <= machine.node_gpus);
    if (!inside || op->kind == llm::CollectiveKind::send_recv) return measured.end();
    const auto own = measured.find(category_of(shape, "", machine));
    if (op->kind == llm::CollectiveKind::all_reduce && own != measured.end()) return own;
    return measured.find(category_of(shape, "nccl", machine));
  }
  if (const auto* op = std::get_if<llm::ExpertExchangeOp>(&shape))
    if (machine.node_gpus > 0 && op->ranks > machine.node_gpus) return measured.end();
  const std::string category = category_of(shape, "", machine);
  const auto found = nearest_category(measured, category);
  exact = found != measured.end() && found->first == category;
  return found;
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
    for (const std::string& category : categories_of(*source.table, source.machine)) {
      const auto [entry, added] = impl_->measured.try_emplace(category);
      if (!added) continue;  // a better source gave it already
      const Table& table = *source.table;
      entry->second.source = source;
      entry->second.name = table.gpu + "/" + table.op + "." + table.engine + "-" + table.version;
    }
}

KernelModel::~KernelModel() = default;
KernelModel::KernelModel(KernelModel&&) noexcept = default;

OperatorTime KernelModel::time(const llm::OperatorShape& shape) const {
  OperatorTime result;
  bool exact = false;
  const auto measured = impl_->find(shape, exact);
  const bool any = measured != impl_->measured.end();
  std::string variant;
  if (any) {
    measured->second.build(measured->first, impl_->parameters);
    variant = measured->first.ends_with("/nccl") ? "nccl" : measured->second.variant;
  }
  result.seconds = physical_seconds(shape, variant, impl_->machine, impl_->parameters);
  result.source = "physical model";
  if (any && result.seconds > 0) {
    const FieldValue correction =
        measured->second.field.at(coordinates_of(shape, variant, impl_->machine));
    result.seconds *= std::exp(correction.value);
    result.source = measured->second.name;
    const TableSource& source = measured->second.source;
    if (source.same_gpu)
      result.provenance = exact && source.same_engine && !correction.outside
                              ? Provenance::measured
                              : Provenance::calibrated;
  }
  result.seconds = std::max({result.seconds, least_seconds(shape, variant, impl_->machine),
                             least_weight_seconds(shape, variant, impl_->machine)});
  result.relative_error = impl_->error_of(family_of(shape), result.provenance);
  return result;
}

}  // namespace foretoken::models::kernels
