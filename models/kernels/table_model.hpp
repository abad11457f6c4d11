#pragma once
// What measured rows teach: for each category of them, and each variant (kernel) of it, a field of
// ln(measured / physical model); and which of the tables that may serve says what. Validation and
// a run ask the same code: what is judged is what is used.
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "models/kernels/machine.hpp"
#include "models/kernels/operator_tables.hpp"
#include "models/kernels/physics.hpp"
#include "models/kernels/relatives.hpp"

namespace foretoken::models::kernels {

// A row with its place among the measurements and what the physical model makes of it.
struct PlacedRow {
  Row row;
  std::string category;
  Point place{};
  double physical_seconds = 0.0;
  int tag = -1;  // free for who placed it
};
PlacedRow place_row(Row row, const Machine& machine, const PhysicalParameters& parameters);

// The categories that the rows of a table fall into.
std::vector<std::string> categories_of(const Table& table, const Machine& machine);

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

// One table as a source of corrections. Fields are built when first asked for, from any thread.
class TableModel {
 public:
  using Keep = std::function<bool(const PlacedRow& row)>;

  // `keep`: which rows are learned from; empty = all.
  TableModel(const TableSource& source, const PhysicalParameters& parameters, Keep keep = {});
  // The same, its categories known.
  TableModel(const TableSource& source, const PhysicalParameters& parameters, Keep keep,
             const std::vector<std::string>& categories);
  // From rows placed already.
  TableModel(const TableSource& source, std::shared_ptr<const std::vector<PlacedRow>> rows,
             Keep keep = {});
  ~TableModel();

  using Variants = std::map<std::string, Field>;
  struct Lazy;
  [[nodiscard]] const TableSource& source() const { return source_; }
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Lazy>>& categories() const {
    return categories_;
  }
  // Empty where no row of the category is learned from.
  [[nodiscard]] const Variants& variants(const std::string& category) const;

 private:
  void build(const std::string& category, Variants& variants) const;

  TableSource source_;
  PhysicalParameters parameters_;
  std::shared_ptr<const std::vector<PlacedRow>> rows_;
  Keep keep_;
  std::map<std::string, std::unique_ptr<Lazy>> categories_;
};

// The variant with most measurements: kernels that an engine picks rarely have few.
const TableModel::Variants::value_type& main_variant(const TableModel::Variants& variants);

// What the tables say of a row.
struct Lent {
  double correction = 0.0;  // ln(measured / physical model)
  const TableModel* table = nullptr;
  bool exact = true;      // the row's own category
  bool outside = false;   // of what was measured of it
  std::string variant{};  // of the field asked
};

// The tables that may serve one GPU, the most trusted first.
class Lenders {
 public:
  void add(std::shared_ptr<const TableModel> table) { tables_.push_back(std::move(table)); }

  // The kernel that rows of this category mostly come from where they are taken from.
  [[nodiscard]] std::string variant_of(const std::string& category) const;
  [[nodiscard]] bool holds(const std::string& category) const;
  // From a table of this GPU that has the row's category; or else from the first table that has the
  // kind. Where a later one has the category itself, part of what separates the two categories
  // there is added.
  [[nodiscard]] std::optional<Lent> ask(const PlacedRow& row) const;

 private:
  struct Choice {
    const TableModel* nearest = nullptr;  // and the category it lends
    std::string base;
    const TableModel* exact = nullptr;
  };
  [[nodiscard]] Choice choose(const std::string& category) const;

  std::vector<std::shared_ptr<const TableModel>> tables_;
};

}  // namespace foretoken::models::kernels
