#pragma once
// What measured rows teach: for each category of them, and each variant (kernel) of it, a field of
// ln(measured / physical model).
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "models/kernels/machine.hpp"
#include "models/kernels/operator_tables.hpp"
#include "models/kernels/physics.hpp"

namespace foretoken::models::kernels {

// A row with its place among the measurements and what the physical model makes of it.
struct PlacedRow {
  Row row;
  std::string category;
  Point place{};
  double physical_seconds = 0.0;
};
PlacedRow place_row(Row row, const Machine& machine, const PhysicalParameters& parameters);

class TableModel {
 public:
  using Keep = std::function<bool(std::size_t index)>;

  // `keep`: which rows are learned from; empty = all.
  explicit TableModel(const std::vector<PlacedRow>& rows, const Keep& keep = {});

  using Variants = std::map<std::string, Field>;
  [[nodiscard]] const std::map<std::string, Variants>& categories() const { return categories_; }

  // ln(measured / physical) expected of a row; where its category was not learned, the nearest one
  // of the same kind lends its own. nullopt where there is none.
  [[nodiscard]] std::optional<double> correction(const PlacedRow& row) const;
  // The same, as if the row were of that category.
  [[nodiscard]] double correction(const PlacedRow& row, const std::string& category) const;

 private:
  std::map<std::string, Variants> categories_;
};

// The variant with most measurements: kernels that an engine picks rarely have few.
const TableModel::Variants::value_type& main_variant(const TableModel::Variants& variants);

// Of the names of the same kind ("gemm/...") the one equal to `category`, or else the one that
// shares the longest beginning with it; names.end() where there is none.
template <class Map>
typename Map::const_iterator nearest_category(const Map& names, const std::string& category) {
  if (const auto exact = names.find(category); exact != names.end()) return exact;
  const std::string kind = category.substr(0, category.find('/') + 1);
  auto best = names.end();
  std::size_t most = 0;
  for (auto at = names.lower_bound(kind); at != names.end() && at->first.starts_with(kind); ++at) {
    std::size_t shared = kind.size();
    while (shared < at->first.size() && shared < category.size() &&
           at->first[shared] == category[shared])
      ++shared;
    if (best != names.end() && shared <= most) continue;
    best = at;
    most = shared;
  }
  return best;
}

// From tables of other GPUs, the nearest first. Where a farther one has the row's own category and
// the nearest has not, what separates the two categories there is added to the nearest's.
std::optional<double> borrowed_correction(const std::vector<const TableModel*>& tables,
                                          const PlacedRow& row);

// The categories that the rows of a table fall into.
std::vector<std::string> categories_of(const Table& table, const Machine& machine);

}  // namespace foretoken::models::kernels
