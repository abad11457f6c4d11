#include "models/kernels/calibration.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace foretoken::models::kernels {
namespace {

auto name_of(const Table& table) {
  return std::tie(table.gpu, table.op, table.engine, table.version);
}

// Labels of both tables for a column, and the places that the second one's take among them.
std::vector<float> joined_labels(std::vector<std::string>& labels,
                                 const std::vector<std::string>& more) {
  std::vector<float> places;
  for (const std::string& label : more) {
    auto found = std::find(labels.begin(), labels.end(), label);
    if (found == labels.end()) found = labels.insert(labels.end(), label);
    places.push_back(static_cast<float>(found - labels.begin()));
  }
  return places;
}

// A column of `own` as `base` would write it: labels by their place there. Columns that only one
// has, or that are labels in one and numbers in the other, do not match.
bool column_of(const Table& own, const std::string& name, Table& base, std::vector<float>& out) {
  const auto at = std::find(own.columns.begin(), own.columns.end(), name);
  if (at == own.columns.end()) return false;
  out = own.values[static_cast<std::size_t>(at - own.columns.begin())];
  const auto labels = own.labels.find(name);
  const auto known = base.labels.find(name);
  if ((labels == own.labels.end()) != (known == base.labels.end())) return false;
  if (labels == own.labels.end()) return true;
  const auto places = joined_labels(known->second, labels->second);
  for (float& value : out) value = places.at(static_cast<std::size_t>(value));
  return true;
}

// Adds the rows of `own` to `base`; false where their columns differ.
bool add_rows(Table& base, const Table& own) {
  if (base.columns.size() != own.columns.size()) return false;
  Table joined = base;
  std::vector<std::vector<float>> columns(base.columns.size());
  for (std::size_t c = 0; c < base.columns.size(); ++c)
    if (!column_of(own, base.columns[c], joined, columns[c])) return false;
  std::vector<bool> replaced(base.seconds.size());
  for (std::size_t i = 0; i < base.seconds.size(); ++i)
    for (std::size_t j = 0; j < own.seconds.size() && !replaced[i]; ++j) {
      bool same = true;
      for (std::size_t c = 0; c < columns.size() && same; ++c)
        same = base.values[c][i] == columns[c][j];
      replaced[i] = same;
    }
  const auto join = [&](std::vector<float>& values, const std::vector<float>& more) {
    std::vector<float> left;
    for (std::size_t i = 0; i < values.size(); ++i)
      if (!replaced[i]) left.push_back(values[i]);
    left.insert(left.end(), more.begin(), more.end());
    values = std::move(left);
  };
  for (std::size_t c = 0; c < columns.size(); ++c) join(joined.values[c], columns[c]);
  join(joined.seconds, own.seconds);
  joined.own_rows = own.seconds.size();
  base = std::move(joined);
  return true;
}

}  // namespace

Calibration merged(const Calibration& base, const Calibration& own) {
  Calibration result = base;
  for (const Table& table : own.tables) {
    const auto found = std::find_if(result.tables.begin(), result.tables.end(),
                                    [&](const Table& t) { return name_of(t) == name_of(table); });
    if (found == result.tables.end() || !add_rows(*found, table)) {
      result.tables.push_back(table);
      result.tables.back().own_rows = table.seconds.size();
    }
  }
  // What is known of the product's own GPUs and errors stays; own GPUs are added.
  result.parameters.insert(own.parameters.begin(), own.parameters.end());
  result.source_hash += "+" + own.source_hash;
  return result;
}

}  // namespace foretoken::models::kernels
