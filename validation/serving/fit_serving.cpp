#include "validation/serving/fit_serving.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/core/error.hpp"
#include "validation/serving/client_clock.hpp"
#include "validation/serving/experiment.hpp"
#include "validation/serving/parallel.hpp"
#include "validation/serving/robust_fit.hpp"
#include "validation/serving/set_aside.hpp"

namespace foretoken::validation::serving {
namespace {

// Fewer requests than the runs had, for differences between parameters alone: there they show as
// well, while the burst at the start would weigh too much in a TTFT.
constexpr double kFewRequests = 4.0;
enum class Runs { whole, few };
// Not told apart from the factor on kernels of such steps.
constexpr double kHostPrefillUs = 500.0;
// Tokenise, HTTP and the way back: 19.7 to 21.1 ms where engines were fitted apart.
constexpr double kClientUs = 20000.0;
// Share of what attention alone takes above its least: fits leave nothing of it.
constexpr double kAttentionRest = 0.0;
constexpr double kTtftWeight = 0.1;  // of a row's TTFT against its TPOT

using Parameters = std::map<std::string, std::vector<double>>;  // by engine

struct Row {
  ServedRow row;
  models::serving::ServingSpec scenario;
  int fold = 0;
  std::size_t protocol = 0;
};

class Fitter {
 public:
  Fitter(const scenarios::loader::Catalogue& catalogue,
         std::shared_ptr<const models::kernels::Calibration> calibration, const FitOptions& options)
      : options_(options), reader_(catalogue, {}), laboratory_(std::move(calibration)) {
    const SetAside aside = read_set_aside(options.set_aside);
    for (auto& served : read_served_rows(options.data)) {
      if (aside.contains(served.id)) continue;
      try {
        Row row;
        row.scenario = reader_.scenario(served);
        row.fold = fold_of(served);
        row.row = std::move(served);
        rows_.push_back(std::move(row));
      } catch (const sim::core::InputError&) {  // validation reports it
      }
    }
    for (const auto& row : rows_) engines_[row.row.engine].push_back(&row - rows_.data());
  }

  ServingFit fit() {
    Parameters at;
    for (const auto& [engine, members] : engines_)
      for (const auto& p : fitted_parameters()) at[engine].push_back(p.start);
    choose_protocols(at);
    for (int i = 0; i < options_.iterations; ++i) {
      step(at, i);
      if (i == 0) choose_protocols(at);  // the first step moves most
    }
    ServingFit fit;
    const auto slopes = derivatives(at);
    const auto base = evaluate(at, Runs::whole);
    const auto candidates = all_protocols(at);
    fit.all = finish(at, base, candidates, -1);
    const auto clocks = clocks_of(fit.all);
    for (int fold = 0; fold < kFolds; ++fold) {
      say(fmt::format("fold {}", fold));
      Parameters own = at;
      for (const auto& [engine, members] : engines_)
        solve(engine, own[engine], base, slopes, clocks, fold);
      fit.folds[static_cast<std::size_t>(fold)] =
          finish(own, corrected(base, slopes, at, own), candidates, fold);
    }
    return fit;
  }

 private:
  using Values = std::vector<Observation>;

  void say(const std::string& words) const {
    if (options_.progress) options_.progress(words);
  }

  static Settings settings(const std::string& engine, const std::vector<double>& values) {
    Settings out = {{"kernel_slack", kernel_slack(engine)},
                    {"host_prefill_us", kHostPrefillUs},
                    {"client_us", kClientUs},
                    {"attention", kAttentionRest}};
    for (std::size_t k = 0; k < values.size(); ++k) out[fitted_parameters()[k].name] = values[k];
    return out;
  }

  Values evaluate(const Parameters& at, Runs runs, std::optional<std::size_t> protocol = {}) {
    Values out(rows_.size());
    in_parallel(rows_.size(), options_.threads, [&](std::size_t i) {
      const Row& row = rows_[i];
      if (protocol && *protocol > 0 && !protocol_may_hold(*protocol, row.row)) return;
      auto spec = row.scenario;
      Settings all = settings(row.row.engine, at.at(row.row.engine));
      for (const auto& [name, value] : protocols()[protocol.value_or(row.protocol)].settings)
        all[name] = value;
      if (runs == Runs::few) all["requests_per_client"] = kFewRequests;
      apply_settings(all, spec);
      reader_.add_version_host(row.row, spec.deployment.engine);
      try {
        const auto p = laboratory_.run(spec);
        out[i] = {p.ttft_s, p.tpot_s, row.row.ttft_s, row.row.tpot_s};
      } catch (const std::exception&) {  // does not fit: no part in the fit
      }
    });
    return out;
  }

  std::vector<Values> all_protocols(const Parameters& at) {
    std::vector<Values> all;
    for (std::size_t p = 0; p < protocols().size(); ++p)
      all.push_back(evaluate(at, Runs::whole, p));
    return all;
  }

  void choose_protocols(const Parameters& at) {
    const auto candidates = all_protocols(at);
    FitSet set;
    choose(set, candidates, -1);
    for (auto& row : rows_) row.protocol = set.protocol_of(row.row);
  }

  // For each family the protocol whose error over the rows outside `fold` is least.
  void choose(FitSet& set, const std::vector<Values>& candidates, int fold) const {
    std::map<std::string, std::vector<std::size_t>> families;
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (rows_[i].fold != fold && candidates[0][i].known())
        for (const auto& family : protocol_families(rows_[i].row)) families[family].push_back(i);
    for (const auto& [family, members] : families) {
      double least = 1e300;
      for (std::size_t p = 0; p < candidates.size(); ++p) {
        Values values;
        for (const std::size_t i : members)
          if (protocol_may_hold(p, rows_[i].row) && candidates[p][i].known())
            values.push_back(candidates[p][i]);
        if (values.size() < members.size()) continue;
        const double error = protocol_error(values);
        if (error < least) {
          least = error;
          set.protocol[family] = p;
        }
      }
    }
  }

  FitSet finish(const Parameters& at, const Values& base, const std::vector<Values>& candidates,
                int fold) const {
    FitSet set;
    for (const auto& [engine, values] : at) set.engines[engine] = settings(engine, values);
    choose(set, candidates, fold);
    std::map<std::string, Values> families;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].fold == fold) continue;
      // Where the fold's choice of a protocol is another one, its own prediction serves.
      const std::size_t own =
          candidates.size() > 1 ? set.protocol_of(rows_[i].row) : rows_[i].protocol;
      const Observation& value = own == rows_[i].protocol ? base[i] : candidates[own][i];
      if (!value.known()) continue;
      for (const auto& family : clock_families(rows_[i].row)) families[family].push_back(value);
    }
    for (const auto& [family, values] : families) set.clock[family] = fit_client_clock(values);
    return set;
  }

  // ln(changed / base) by parameter, for a relative change of each.
  std::vector<std::vector<Slope>> derivatives(const Parameters& at) {
    const Values base = evaluate(at, Runs::few);
    std::vector<std::vector<Slope>> slopes;
    for (std::size_t k = 0; k < fitted_parameters().size(); ++k) {
      Parameters moved = at;
      for (auto& [engine, values] : moved) values[k] += change(k);
      const Values changed = evaluate(moved, Runs::few);
      std::vector<Slope> column(rows_.size());
      for (std::size_t i = 0; i < rows_.size(); ++i)
        if (base[i].known() && changed[i].known())
          column[i] = {std::log(changed[i].ttft_s / base[i].ttft_s) / change(k),
                       std::log(changed[i].tpot_s / base[i].tpot_s) / change(k)};
      slopes.push_back(std::move(column));
    }
    return slopes;
  }
  static double change(std::size_t k) {
    return 0.05 * (fitted_parameters()[k].high - fitted_parameters()[k].low);
  }

  // What the clients of each row's family add, as inferred so far.
  std::vector<ClientClock> clocks_of(const FitSet& set) const {
    std::vector<ClientClock> clocks;
    for (const auto& row : rows_) clocks.push_back(set.clock_of(row.row));
    return clocks;
  }

  void solve(const std::string& engine, std::vector<double>& values, const Values& base,
             const std::vector<std::vector<Slope>>& slopes, const std::vector<ClientClock>& clocks,
             int fold) const {
    std::vector<Equation> equations;
    for (const auto index : engines_.at(engine)) {
      const auto i = static_cast<std::size_t>(index);
      if (rows_[i].fold == fold || !base[i].known()) continue;
      Equation tpot, ttft;
      tpot.residual = std::log(base[i].tpot_s / base[i].measured_tpot_s);
      const double seen_s = base[i].ttft_s + clocks[i].seconds + clocks[i].tokens * base[i].tpot_s;
      ttft.residual = std::log(seen_s / base[i].measured_ttft_s);
      ttft.weight = kTtftWeight;
      for (const auto& column : slopes) {
        tpot.slopes.push_back(column[i].tpot);
        ttft.slopes.push_back(
            (column[i].ttft * base[i].ttft_s + column[i].tpot * clocks[i].tokens * base[i].tpot_s) /
            seen_s);
      }
      equations.push_back(std::move(tpot));
      equations.push_back(std::move(ttft));
    }
    std::vector<Bound> bounds;
    for (const auto& p : fitted_parameters()) bounds.push_back({p.low, p.high, p.start});
    values = robust_step(equations, values, bounds);
  }

  // Of rows under parameters near those of `base`.
  Values corrected(const Values& base, const std::vector<std::vector<Slope>>& slopes,
                   const Parameters& from, const Parameters& to) const {
    Values out = base;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!base[i].known()) continue;
      const auto& a = from.at(rows_[i].row.engine);
      const auto& b = to.at(rows_[i].row.engine);
      double ttft = 0, tpot = 0;
      for (std::size_t k = 0; k < a.size(); ++k) {
        ttft += slopes[k][i].ttft * (b[k] - a[k]);
        tpot += slopes[k][i].tpot * (b[k] - a[k]);
      }
      out[i].ttft_s *= std::exp(ttft);
      out[i].tpot_s *= std::exp(tpot);
    }
    return out;
  }

  void step(Parameters& at, int number) {
    const auto base = evaluate(at, Runs::whole);
    report(base, fmt::format("step {}", number));
    const auto slopes = derivatives(at);
    const auto clocks = clocks_of(finish(at, base, {base}, -1));
    for (const auto& [engine, members] : engines_)
      solve(engine, at[engine], base, slopes, clocks, -1);
  }

  void report(const Values& values, const std::string& what) const {
    double tpot = 0, ttft = 0, n = 0;
    for (const auto& v : values) {
      if (!v.known()) continue;
      tpot += std::abs(v.tpot_s / v.measured_tpot_s - 1);
      ttft += std::abs(v.ttft_s / v.measured_ttft_s - 1);
      ++n;
    }
    say(fmt::format("{}: {} rows, TPOT {:.2f} %, TTFT before the client's clock {:.2f} %", what, n,
                    100 * tpot / n, 100 * ttft / n));
  }

  FitOptions options_;
  RowReader reader_;
  Laboratory laboratory_;
  std::vector<Row> rows_;
  std::map<std::string, std::vector<std::ptrdiff_t>> engines_;
};

}  // namespace

ServingFit fit_serving(const scenarios::loader::Catalogue& catalogue,
                       std::shared_ptr<const models::kernels::Calibration> calibration,
                       const FitOptions& options) {
  ServingFit fit = Fitter(catalogue, std::move(calibration), options).fit();
  fit.rows_hash = file_hash(options.data);
  return fit;
}

}  // namespace foretoken::validation::serving
