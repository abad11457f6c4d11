// NCCL measured on servers that are known by their name and their measurements alone.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "models/kernels/table_model.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "sim/core/error.hpp"
#include "validation/calibrate/text_file.hpp"
#include "validation/calibrate/validate_exchange.hpp"

namespace foretoken::validation::calibrate {
namespace {

namespace fs = std::filesystem;
using models::collective::Call;
using models::collective::Operation;
using models::collective::Wire;
using models::kernels::PlacedRow;
using models::kernels::TableModel;
using models::llm::CollectiveKind;

struct HostRow {
  PlacedRow placed;
  int nodes = 1;
  int key_fold = 0, row_fold = 0;
};

struct Columns {
  std::size_t workers = 0, size = 0, per_node = 0, median = 0;
};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
  return cells;
}

Columns columns_of(const std::vector<std::string>& header, const std::string& operation,
                   const fs::path& file) {
  const auto find = [&](const std::string& name) {
    const auto at = std::find(header.begin(), header.end(), name);
    if (at == header.end())
      throw sim::core::InputError(file.string() + ":1: no column '" + name + "'");
    return static_cast<std::size_t>(at - header.begin());
  };
  return {find("num_workers"), find("size"), find("devices_per_node"),
          find("time_stats." + operation + ".median")};
}

// Groups that cross PCIe or nodes share no correction with those that do not.
std::string category(const Wire& wire, int local, int nodes) {
  if (nodes > 1) return "crossing/nccl";
  const bool linked = wire.scale_up == models::collective::ScaleUp::nvswitch || local <= 2;
  return linked ? "collective/nccl" : "unlinked/nccl";
}

// Nothing for a row that says nothing: no time, or one GPU alone.
std::optional<HostRow> row_of(const std::vector<std::string>& cells, const Columns& columns,
                              Operation operation, const Wire& wire) {
  const int workers = std::stoi(cells[columns.workers]);
  const int local = std::stoi(cells[columns.per_node]);
  HostRow row;
  row.nodes = std::max(1, workers / std::max(1, local));
  const double bytes = std::stod(cells[columns.size]);
  const double seconds = std::stod(cells[columns.median]) * 1e-3;
  if (!(seconds > 0.0) || workers < 2) return std::nullopt;
  const bool reduce = operation == Operation::all_reduce;
  models::llm::CollectiveOp op{reduce ? CollectiveKind::all_reduce : CollectiveKind::send_recv,
                               bytes, workers, models::hardware::DType::fp16, row.nodes > 1};
  row.placed.row = {op, "nccl", seconds};
  const Call call{
      operation, bytes, {workers, row.nodes}, models::collective::Algorithm::automatic, 1};
  row.placed.physical_seconds = price(call, wire).seconds;
  row.placed.category = category(wire, local, row.nodes);
  row.placed.place = models::kernels::coordinates_of(op, "nccl", {});
  row.key_fold = static_cast<int>(
      scenarios::loader::content_hash(fmt::format("{} {} {}", reduce, workers, row.nodes)) %
      kFolds);
  row.row_fold = static_cast<int>(
      scenarios::loader::content_hash(fmt::format("{} {} {} {}", reduce, workers, row.nodes,
                                                  static_cast<std::int64_t>(bytes))) %
      kFolds);
  return row;
}

std::vector<HostRow> read_rows(const fs::path& file, const std::string& name, const Wire& wire,
                               std::size_t& unjoined) {
  const Operation operation = name == "all_reduce" ? Operation::all_reduce : Operation::send_recv;
  std::istringstream in(read_text(file));
  std::string line;
  std::getline(in, line);
  const Columns columns = columns_of(cells_of(line), name, file);
  std::vector<HostRow> rows;
  while (std::getline(in, line)) {
    const auto cells = cells_of(line);
    if (cells.size() <= std::max({columns.workers, columns.size, columns.per_node, columns.median}))
      continue;
    const bool between = std::stoi(cells[columns.workers]) > std::stoi(cells[columns.per_node]);
    if (between && wire.nics < 1) {
      ++unjoined;
      continue;
    }
    if (auto row = row_of(cells, columns, operation, wire)) rows.push_back(std::move(*row));
  }
  return rows;
}

std::vector<double> errors_of(const std::vector<HostRow>& rows, bool by_key) {
  const auto placed = std::make_shared<std::vector<PlacedRow>>();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    placed->push_back(rows[i].placed);
    placed->back().tag = static_cast<int>(i);
  }
  std::vector<double> errors;
  for (int fold = 0; fold < kFolds; ++fold) {
    const auto out = [&](int i) {
      const HostRow& row = rows[static_cast<std::size_t>(i)];
      return (by_key ? row.key_fold : row.row_fold) == fold;
    };
    const TableModel model({}, placed, [&](const PlacedRow& row) { return !out(row.tag); });
    for (const PlacedRow& row : *placed) {
      if (!out(row.tag)) continue;
      // Another kind of path lends nothing: then the physical model stands alone.
      double correction = 0.0;
      if (model.categories().contains(row.category))
        if (const auto& variants = model.variants(row.category); !variants.empty())
          correction = main_variant(variants).second.at(row.place).value;
      errors.push_back(row.physical_seconds * std::exp(correction) / row.row.seconds - 1.0);
    }
  }
  return errors;
}

}  // namespace

void validate_hosts(const fs::path& folder, const Wires& hosts, KernelValidation& result) {
  if (!fs::is_directory(folder)) return;
  std::set<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().string().ends_with(".csv.gz"))
      files.insert(entry.path());
  std::vector<KernelGroup> tables;
  for (const fs::path& file : files) {
    const std::string host = file.parent_path().filename().string();
    const std::string name = file.stem().stem().string();
    const auto wire = hosts.find(host);
    if (wire == hosts.end()) {
      result.refused.push_back({host + "/" + name, "no card describes this host", 0});
      continue;
    }
    std::size_t unjoined = 0;
    const std::vector<HostRow> rows = read_rows(file, name, wire->second, unjoined);
    if (unjoined > 0)
      result.refused.push_back(
          {host + "/" + name, "between nodes, whose NICs are not known", unjoined});
    if (rows.empty()) continue;
    KernelGroup group;
    group.key = {{"operator", "network_" + name}, {"gpu", host}};
    group.latency = error_figures(errors_of(rows, true));
    group.latency_interpolate = error_figures(errors_of(rows, false));
    group.n = group.latency.n;
    tables.push_back(std::move(group));
  }
  if (tables.empty()) return;
  // Each table counts alike, as for the collectives of one node.
  KernelGroup all;
  all.key = {{"operator", "network"}};
  all.latency_interpolate.emplace();
  for (const KernelGroup& table : tables) {
    const double weight = 1.0 / static_cast<double>(tables.size());
    const auto add = [weight](ErrorFigures& sum, const ErrorFigures& part) {
      sum.n += part.n;
      sum.mape += weight * part.mape;
      sum.median_ape += weight * part.median_ape;
      sum.p95_ape += weight * part.p95_ape;
      sum.bias += weight * part.bias;
    };
    add(all.latency, table.latency);
    add(*all.latency_interpolate, *table.latency_interpolate);
  }
  all.n = all.latency.n;
  result.groups.push_back(std::move(all));
  for (KernelGroup& table : tables) result.groups.push_back(std::move(table));
}

}  // namespace foretoken::validation::calibrate
