#include "models/kernels/table_model.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace foretoken::models::kernels {
namespace {

struct Gathered {
  std::vector<Point> points;
  std::vector<float> values;
  FieldShape shape;
};

// Collectives of an engine differ in how they are launched only: one field, told apart by a
// coordinate.
const std::string& field_name(const Row& row) {
  static const std::string kNone;
  return std::holds_alternative<llm::CollectiveOp>(row.shape) ? kNone : row.variant;
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

TableModel::TableModel(const std::vector<PlacedRow>& rows, const Keep& keep) {
  std::map<std::string, std::map<std::string, Gathered>> gathered;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (keep && !keep(i)) continue;
    const PlacedRow& placed = rows[i];
    Gathered& group = gathered[placed.category][field_name(placed.row)];
    if (group.points.empty()) group.shape = field_shape_of(placed.row.shape);
    group.points.push_back(placed.place);
    group.values.push_back(
        static_cast<float>(std::log(placed.row.seconds / placed.physical_seconds)));
  }
  for (auto& [category, variants] : gathered)
    for (auto& [variant, group] : variants)
      categories_[category].emplace(variant, Field(group.shape, group.points, group.values));
}

std::optional<double> TableModel::correction(const PlacedRow& placed) const {
  const auto category = nearest_category(categories_, placed.category);
  if (category == categories_.end()) return std::nullopt;
  return correction(placed, category->first);
}

double TableModel::correction(const PlacedRow& placed, const std::string& category) const {
  const Variants& variants = categories_.at(category);
  const auto same = variants.find(field_name(placed.row));
  const Field& field = same != variants.end() ? same->second : main_variant(variants).second;
  return field.at(placed.place).value;
}

const TableModel::Variants::value_type& main_variant(const TableModel::Variants& variants) {
  return *std::max_element(variants.begin(), variants.end(), [](const auto& a, const auto& b) {
    return a.second.size() < b.second.size();
  });
}

namespace {
// How much of a difference between two categories carries over to another GPU, found by leaving out
// the L40S: 0.25 is best for attention, 1 for matrix products.
constexpr double kCarried = 0.35;
}  // namespace

std::optional<double> borrowed_correction(const std::vector<const TableModel*>& tables,
                                          const PlacedRow& row) {
  const TableModel* nearest = nullptr;
  const TableModel* exact = nullptr;
  for (const TableModel* table : tables) {
    const auto& categories = table->categories();
    if (nearest == nullptr && nearest_category(categories, row.category) != categories.end())
      nearest = table;
    if (exact == nullptr && categories.contains(row.category)) exact = table;
  }
  if (nearest == nullptr) return std::nullopt;
  if (exact == nullptr || exact == nearest) return nearest->correction(row);
  const std::string base = nearest_category(nearest->categories(), row.category)->first;
  const double own = exact->correction(row, row.category);
  if (!exact->categories().contains(base)) return own;
  return nearest->correction(row, base) + kCarried * (own - exact->correction(row, base));
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
    if (key == last || !seen.insert(key).second) continue;
    last = key;
    if (const auto row = reader.row(i))
      found.insert(category_of(row->shape, row->variant, machine));
  }
  return {found.begin(), found.end()};
}

}  // namespace foretoken::models::kernels
