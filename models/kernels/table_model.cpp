#include "models/kernels/table_model.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>
#include <utility>

#include "sim/core/error.hpp"

namespace foretoken::models::kernels {
namespace {

struct Gathered {
  std::vector<Point> points;
  std::vector<float> values;
  std::vector<bool> believed;
  FieldShape shape;
};

// Collectives of an engine differ in how they are launched only: one field, told apart by a
// coordinate.
const std::string& field_name(const Row& row) {
  static const std::string kNone;
  return std::holds_alternative<llm::CollectiveOp>(row.shape) ? kNone : row.variant;
}

const TableModel::Variants::value_type& variant_for(const TableModel::Variants& variants,
                                                    const PlacedRow& row) {
  const auto same = variants.find(field_name(row.row));
  return same != variants.end() ? *same : main_variant(variants);
}

}  // namespace

PlacedRow place_row(Row row, const Machine& machine, const PhysicalParameters& parameters) {
  PlacedRow placed;
  placed.category = category_of(row.shape, row.variant, machine);
  placed.place = coordinates_of(row.shape, row.variant, machine);
  placed.physical_seconds = physical_seconds(row.shape, row.variant, machine, parameters);
  placed.row = std::move(row);
  return placed;
}

struct TableModel::Lazy {
  std::once_flag once;
  Variants variants;
};

TableModel::TableModel(const TableSource& source, const PhysicalParameters& parameters, Keep keep)
    : TableModel(source, parameters, std::move(keep),
                 categories_of(*source.table, source.machine)) {}

TableModel::TableModel(const TableSource& source, const PhysicalParameters& parameters, Keep keep,
                       const std::vector<std::string>& categories)
    : source_(source), parameters_(parameters), keep_(std::move(keep)) {
  for (const std::string& category : categories)
    categories_.emplace(category, std::make_unique<Lazy>());
}

TableModel::TableModel(const TableSource& source,
                       std::shared_ptr<const std::vector<PlacedRow>> rows, Keep keep)
    : source_(source), rows_(std::move(rows)), keep_(std::move(keep)) {
  for (const PlacedRow& row : *rows_)
    if (!categories_.contains(row.category))
      categories_.emplace(row.category, std::make_unique<Lazy>());
}

TableModel::~TableModel() = default;

const TableModel::Variants& TableModel::variants(const std::string& category) const {
  Lazy& lazy = *categories_.at(category);
  std::call_once(lazy.once, [&] { build(category, lazy.variants); });
  return lazy.variants;
}

void TableModel::build(const std::string& category, Variants& variants) const {
  std::map<std::string, Gathered> gathered;
  const auto learn = [&](const PlacedRow& placed) {
    if (placed.physical_seconds <= 0 || family_of(placed.row.shape) == Family::elementwise ||
        (keep_ && !keep_(placed)))
      return;
    Gathered& group = gathered[field_name(placed.row)];
    if (group.points.empty()) group.shape = field_shape_of(placed.row.shape);
    group.points.push_back(placed.place);
    group.believed.push_back(placed.row.own);
    group.values.push_back(
        static_cast<float>(std::log(placed.row.seconds / placed.physical_seconds)));
  };
  if (rows_) {
    for (const PlacedRow& placed : *rows_)
      if (placed.category == category) learn(placed);
  } else {
    const RowReader reader(*source_.table);
    for (std::size_t i = 0; i < reader.size(); ++i)
      if (auto row = reader.row(i);
          row && category_of(row->shape, row->variant, source_.machine) == category)
        learn(place_row(std::move(*row), source_.machine, parameters_));
  }
  for (auto& [variant, group] : gathered)
    variants.emplace(variant, Field(group.shape, group.points, group.values, group.believed));
}

const TableModel::Variants::value_type& main_variant(const TableModel::Variants& variants) {
  SIM_ASSERT(!variants.empty(), "a category without rows has no main variant");
  return *std::max_element(variants.begin(), variants.end(), [](const auto& a, const auto& b) {
    return a.second.size() < b.second.size();
  });
}

namespace {
// How much of a difference between two categories carries over to another GPU, found by leaving out
// the L40S: 0.25 is best for attention, 1 for matrix products.
constexpr double kCarried = 0.35;
}  // namespace

Lenders::Choice Lenders::choose(const std::string& category) const {
  const auto taught = [](const TableModel& table, const std::string& name) {
    return table.categories().contains(name) && !table.variants(name).empty();
  };
  Choice choice;
  for (const auto& table : tables_) {
    if (choice.exact == nullptr && taught(*table, category)) {
      choice.exact = table.get();
      if (table->source().same_gpu) {  // nothing is nearer than that
        choice.nearest = table.get();
        choice.base = category;
      }
    }
    if (choice.nearest == nullptr) {
      const auto base = nearest_category(table->categories(), category);
      if (base != table->categories().end() && taught(*table, base->first)) {
        choice.nearest = table.get();
        choice.base = base->first;
      }
    }
    if (choice.exact != nullptr && choice.nearest != nullptr) break;
  }
  // A table of this GPU with the category serves before one that only has the kind.
  if (choice.exact != nullptr && choice.exact->source().same_gpu) {
    choice.nearest = choice.exact;
    choice.base = category;
  }
  return choice;
}

std::string Lenders::variant_of(const std::string& category) const {
  const Choice choice = choose(category);
  if (choice.nearest == nullptr) return {};
  const TableModel& from = choice.exact != nullptr ? *choice.exact : *choice.nearest;
  return main_variant(from.variants(choice.exact != nullptr ? category : choice.base)).first;
}

bool Lenders::holds(const std::string& category) const {
  return std::any_of(tables_.begin(), tables_.end(),
                     [&](const auto& table) { return table->categories().contains(category); });
}

std::optional<Lent> Lenders::ask(const PlacedRow& row) const {
  const Choice choice = choose(row.category);
  if (choice.nearest == nullptr) return std::nullopt;
  const auto& [variant, field] = variant_for(choice.nearest->variants(choice.base), row);
  const FieldValue base = field.at(row.place);
  Lent lent{base.value, choice.nearest, choice.base == row.category, base.outside, variant};
  if (lent.exact || choice.exact == nullptr) return lent;
  const double own =
      variant_for(choice.exact->variants(row.category), row).second.at(row.place).value;
  if (!choice.exact->categories().contains(choice.base) ||
      choice.exact->variants(choice.base).empty()) {
    lent.correction = own;
    lent.table = choice.exact;
    return lent;
  }
  const double other =
      variant_for(choice.exact->variants(choice.base), row).second.at(row.place).value;
  lent.correction += kCarried * (own - other);
  return lent;
}

std::vector<std::string> categories_of(const Table& table, const Machine& machine) {
  const RowReader reader(table);
  if (!reader.understood()) return {};
  // One row of each combination of the columns that categories are made of.
  std::vector<std::size_t> columns;
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    if (table.labels.contains(table.columns[c]) || table.columns[c] == "head_dim" ||
        table.columns[c] == "num_gpus" || table.columns[c] == "window_size")
      columns.push_back(c);
  std::set<std::string> found;
  std::set<std::vector<float>> seen;
  std::vector<float> key(columns.size()), last;
  for (std::size_t i = 0; i < reader.size(); ++i) {
    for (std::size_t c = 0; c < columns.size(); ++c) key[c] = table.values[columns[c]][i];
    if (i > 0 && (key == last || !seen.insert(key).second)) continue;
    last = key;
    if (const auto row = reader.row(i))
      found.insert(category_of(row->shape, row->variant, machine));
  }
  return {found.begin(), found.end()};
}

}  // namespace foretoken::models::kernels
