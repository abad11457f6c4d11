#include "models/kernels/kernel_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "models/kernels/machine.hpp"
#include "models/kernels/operator_tables.hpp"
#include "models/kernels/physics.hpp"
#include "models/kernels/relatives.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::kernels {
namespace {

using sim::core::Provenance;

// Where a category's measurements come from, and the field through them.
struct Measured {
  Field field;
  std::string source;
  std::string variant;
  bool same_gpu = true;
  bool same_engine = true;
  bool same_category = true;
};

struct Gathered {
  std::vector<Point> points;
  std::vector<float> values;
  FieldShape shape;
};

}  // namespace

struct KernelModel::Impl {
  Machine machine;
  std::shared_ptr<const Calibration> calibration;
  std::unordered_map<std::string, Measured> measured;  // by category

  void add(const TableSource& source);
  [[nodiscard]] const Measured* find(const std::string& category) const;
  [[nodiscard]] double error_of(Family family, Provenance provenance) const;
};

// Adds the categories of this table that no better source has given yet.
void KernelModel::Impl::add(const TableSource& source) {
  const RowReader reader(*source.table);
  if (!reader.understood()) return;
  std::map<std::string, std::map<std::string, Gathered>> gathered;  // category, variant
  for (std::size_t i = 0; i < reader.size(); ++i) {
    const auto row = reader.row(i);
    if (!row) continue;
    std::string category = category_of(row->shape);
    if (measured.contains(category)) continue;
    Gathered& group = gathered[std::move(category)][row->variant];
    if (group.points.empty()) group.shape = field_shape_of(row->shape);
    group.points.push_back(coordinates_of(row->shape));
    group.values.push_back(static_cast<float>(
        std::log(row->seconds / physical_seconds(row->shape, row->variant, source.machine))));
  }
  for (auto& [category, variants] : gathered) {
    const auto most =
        std::max_element(variants.begin(), variants.end(), [](const auto& a, const auto& b) {
          return a.second.points.size() < b.second.points.size();
        });
    Gathered& group = most->second;
    Measured entry;
    entry.field = Field(group.shape, std::move(group.points), group.values);
    entry.source = source.table->gpu + "/" + source.table->op + "." + source.table->engine + "-" +
                   source.table->version;
    entry.variant = most->first;
    entry.same_gpu = source.same_gpu;
    entry.same_engine = source.same_engine;
    measured.emplace(category, std::move(entry));
  }
}

// The category itself, or the one that shares the most leading parts with it.
const Measured* KernelModel::Impl::find(const std::string& category) const {
  if (const auto exact = measured.find(category); exact != measured.end()) return &exact->second;
  const std::string kind = category.substr(0, category.find('/') + 1);
  const Measured* best = nullptr;
  const std::string* best_name = nullptr;
  std::size_t best_score = 0;
  for (const auto& [name, entry] : measured) {
    if (!name.starts_with(kind)) continue;
    std::size_t shared = 0;
    while (shared < name.size() && shared < category.size() && name[shared] == category[shared])
      ++shared;
    const bool better =
        best == nullptr || shared > best_score || (shared == best_score && name < *best_name);
    if (!better) continue;
    best = &entry;
    best_name = &name;
    best_score = shared;
  }
  return best;
}

// "error/FAMILY/PROVENANCE", found by validation over whole keys left out; where the calibration
// has none, unknown: 1.
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
  impl_->machine = machine_of(node.gpu);
  impl_->calibration = std::move(calibration);
  for (const TableSource& source : table_sources(node.gpu, engine, *impl_->calibration))
    impl_->add(source);
}

KernelModel::~KernelModel() = default;
KernelModel::KernelModel(KernelModel&&) noexcept = default;

OperatorTime KernelModel::time(const llm::OperatorShape& shape) const {
  OperatorTime result;
  const Family family = family_of(shape);
  const std::string category = category_of(shape);
  const Measured* measured = impl_->find(category);
  const std::string& variant = measured != nullptr ? measured->variant : std::string();
  result.seconds = physical_seconds(shape, variant, impl_->machine);
  result.source = "physical model";
  if (measured != nullptr && result.seconds > 0) {
    const FieldValue residual = measured->field.at(coordinates_of(shape));
    result.seconds *= std::exp(residual.value);
    const bool exact = measured->same_gpu && measured->same_engine && !residual.outside &&
                       impl_->measured.contains(category);
    result.provenance =
        exact ? Provenance::measured
              : (measured->same_gpu ? Provenance::calibrated : Provenance::analytical);
    result.source = measured->source;
  }
  result.seconds = std::max(result.seconds, least_seconds(shape, variant, impl_->machine));
  result.relative_error = impl_->error_of(family, result.provenance);
  return result;
}

}  // namespace foretoken::models::kernels
