#include "validation/serving/validate_serving.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "sim/core/error.hpp"
#include "validation/serving/assumptions.hpp"
#include "validation/serving/parallel.hpp"
#include "validation/serving/set_aside.hpp"

namespace foretoken::validation::serving {
namespace {

using sim::core::InfeasibleError;
using sim::core::InputError;

std::string first_line(const char* text) {
  const std::string words = text;
  return words.substr(0, words.find('\n'));
}

void predict_row(PredictedRow& out, const RowReader& reader, const FitSet& set,
                 const Assumptions& assumptions, Laboratory& laboratory, bool parts) {
  try {
    auto spec = reader.scenario(out.row);
    const Settings fitted = settings_of(set, out.row);
    apply_settings(fitted, spec);
    if (fitted.contains("host_step_us")) reader.add_version_host(out.row, spec.deployment.engine);
    apply_settings(assumptions.of(out.row), spec);
    out.protocol = protocols()[set.protocol_of(out.row)].name;
    if (parts) out.parts = laboratory.parts(spec);
    out.prediction = laboratory.run(spec);
    const ClientClock clock = set.clock_of(out.row);
    out.prediction->ttft_s += clock.seconds + clock.tokens * out.prediction->tpot_s;
  } catch (const InputError& error) {
    out.refused = first_line(error.what());
  } catch (const InfeasibleError& error) {
    out.refused = first_line(error.what());
  } catch (const std::exception& error) {  // a defect, but the other rows count
    out.refused = std::string("internal error: ") + first_line(error.what());
  }
}

Errors errors_of(const std::vector<const PredictedRow*>& rows) {
  std::vector<double> ttft, tpot;
  for (const auto* r : rows) {
    ttft.push_back(r->prediction->ttft_s / r->row.ttft_s - 1);
    tpot.push_back(r->prediction->tpot_s / r->row.tpot_s - 1);
  }
  return {calibrate::error_figures(std::move(ttft)), calibrate::error_figures(std::move(tpot))};
}

std::optional<Errors> peer_errors_of(const std::vector<const PredictedRow*>& rows) {
  std::vector<double> ttft, tpot;
  for (const auto* r : rows) {
    if (r->row.peer_ttft_s) ttft.push_back(*r->row.peer_ttft_s / r->row.ttft_s - 1);
    if (r->row.peer_tpot_s) tpot.push_back(*r->row.peer_tpot_s / r->row.tpot_s - 1);
  }
  if (ttft.empty() || tpot.empty()) return std::nullopt;
  return Errors{calibrate::error_figures(std::move(ttft)),
                calibrate::error_figures(std::move(tpot))};
}

using Key = std::map<std::string, std::string>;

void group_by(ServingValidation& v, const std::vector<const PredictedRow*>& rows,
              const std::vector<std::pair<std::string, std::string (*)(const ServedRow&)>>& parts) {
  std::map<Key, std::vector<const PredictedRow*>> groups;
  for (const auto* row : rows) {
    Key key;
    for (const auto& [name, read] : parts) key[name] = read(row->row);
    groups[key].push_back(row);
  }
  for (const auto& [key, members] : groups)
    v.groups.push_back({key, members.size(), errors_of(members), peer_errors_of(members)});
}

std::string version_of(const ServedRow& r) {
  return r.engine_version.empty() ? r.engine : r.engine + "-" + r.engine_version;
}

void summarise(ServingValidation& v) {
  std::vector<const PredictedRow*> rows;
  for (const auto& row : v.rows)
    if (row.prediction && row.set_aside.empty()) rows.push_back(&row);
  v.predicted = rows.size();
  if (rows.empty()) return;
  v.own = errors_of(rows);
  v.peer = peer_errors_of(rows);
  const auto engine = [](const ServedRow& r) { return r.engine; };
  const auto gpu = [](const ServedRow& r) { return r.gpu; };
  const auto model = [](const ServedRow& r) { return r.model; };
  const auto source = [](const ServedRow& r) { return r.source; };
  const auto precision = [](const ServedRow& r) { return r.precision; };
  const auto curve = [](const ServedRow& r) { return r.curve_key(); };
  group_by(v, rows, {{"engine", engine}});
  group_by(v, rows, {{"gpu", gpu}});
  group_by(v, rows, {{"model", model}});
  group_by(v, rows, {{"source", source}});
  group_by(v, rows,
           {{"engine", version_of},
            {"gpu", gpu},
            {"model", model},
            {"precision", precision},
            {"source", source}});
  group_by(v, rows, {{"curve", curve}});
}

}  // namespace

ServingValidation validate_serving(const scenarios::loader::Catalogue& catalogue,
                                   std::shared_ptr<const models::kernels::Calibration> calibration,
                                   const ServingOptions& options) {
  ServingValidation v;
  v.dataset = options.data.string();
  const SetAside aside = read_set_aside(options.set_aside);
  for (auto& row : read_served_rows(options.data)) {
    if (!options.only.empty() && row.curve_key().find(options.only) == std::string::npos) continue;
    PredictedRow predicted;
    predicted.fold = fold_of(row);
    if (const auto why = aside.find(row.id); why != aside.end()) predicted.set_aside = why->second;
    predicted.row = std::move(row);
    v.rows.push_back(std::move(predicted));
  }
  const RowReader reader(catalogue, options.config_dir);
  Assumptions assumptions;
  if (!options.assumptions.empty()) assumptions = read_assumptions(options.assumptions);
  const ServingFit fit = options.fit.empty() ? ServingFit{} : read_serving_fit(options.fit);
  // Rows that the fit has seen are predicted by the fold that has not; any other file by all.
  const bool own_rows = !options.fit.empty() && file_hash(options.data) == fit.rows_hash;
  Laboratory laboratory(std::move(calibration));
  std::vector<std::size_t> order(v.rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto work = [](const ServedRow& r) {
      return std::int64_t{r.concurrency} * r.output_tokens;
    };
    return work(v.rows[a].row) > work(v.rows[b].row);
  });
  in_parallel(order.size(), options.threads, [&](std::size_t i) {
    PredictedRow& row = v.rows[order[i]];
    const FitSet& set = own_rows ? fit.folds[static_cast<std::size_t>(row.fold)] : fit.all;
    predict_row(row, reader, set, assumptions, laboratory, options.parts);
  });
  summarise(v);
  return v;
}

void write_predictions(const ServingValidation& v, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const auto file = folder / "predictions.csv";
  std::ofstream out(file);
  out << "id,predicted_ttft_ms,predicted_tpot_ms,measured_ttft_ms,measured_tpot_ms,fold,refused\n";
  for (const auto& r : v.rows) {
    if (r.prediction) {
      out << fmt::format("{},{:.4f},{:.5f},{:.6g},{:.6g},{},\n", r.row.id,
                         r.prediction->ttft_s * 1e3, r.prediction->tpot_s * 1e3, r.row.ttft_s * 1e3,
                         r.row.tpot_s * 1e3, r.fold);
    } else {
      std::string reason = r.refused;
      std::replace(reason.begin(), reason.end(), '"', '\'');
      out << fmt::format("{},,,{:.6g},{:.6g},{},\"{}\"\n", r.row.id, r.row.ttft_s * 1e3,
                         r.row.tpot_s * 1e3, r.fold, reason);
    }
  }
  out.close();
  if (!out) throw InputError(file.string() + ": cannot be written");
  const bool parts =
      std::any_of(v.rows.begin(), v.rows.end(), [](const auto& r) { return r.parts.has_value(); });
  if (!parts) return;
  std::ofstream table(folder / "parts.csv");
  table << "id";
  for (const char* step : {"d", "p"})
    for (const char* name :
         {"gemm", "gemm_least", "attention", "attention_least", "experts", "experts_least",
          "communication", "wire", "elementwise", "kernels", "elementwise_kernels", "collectives",
          "tensor", "memory", "link", "network", "network_wire", "network_bytes"})
      table << ',' << step << '_' << name;
  table << ",ttft_median_ms,tpot_median_ms\n";
  for (const auto& r : v.rows) {
    if (!r.parts || !r.prediction) continue;
    table << r.row.id;
    for (const auto* cell : {&r.parts->decode, &r.parts->prefill})
      for (const double value : cell->v) table << fmt::format(",{:.6g}", value);
    table << fmt::format(",{:.6g},{:.6g}\n", r.prediction->ttft_median_s * 1e3,
                         r.prediction->tpot_median_s * 1e3);
  }
}

}  // namespace foretoken::validation::serving
