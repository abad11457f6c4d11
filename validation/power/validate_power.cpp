#include "validation/power/validate_power.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "sim/core/error.hpp"
#include "validation/power/power_fit.hpp"
#include "validation/power/utilisation.hpp"

namespace foretoken::validation::power {
namespace {

using models::power::PowerModel;

struct Known {
  PowerRow row;
  std::optional<Utilisation> use;
  std::string refused;
};

std::vector<Known> with_utilisation(const std::vector<PowerRow>& rows, UtilisationReader& reader) {
  std::vector<Known> out;
  for (const PowerRow& row : rows) {
    Known known{row, {}, {}};
    try {
      known.use = reader.of(row);
    } catch (const sim::core::InputError& error) {
      known.refused = error.diagnostics().front().message;
    } catch (const sim::core::InfeasibleError& error) {
      known.refused = error.what();
    }
    out.push_back(std::move(known));
  }
  return out;
}

// Coefficients by GPU from our own rows, with one fold left out.
class Fits {
 public:
  explicit Fits(const std::vector<Known>& own) {
    std::map<std::string, std::size_t> sizes;
    for (const Known& k : own)
      if (k.use) ++sizes[k.row.key()];
    for (const Known& k : own) {
      if (!k.use) continue;
      keys_.insert(k.row.key());
      PowerSample sample{*k.use, k.row.watts / k.row.gpus,
                         1.0 / static_cast<double>(sizes.at(k.row.key()))};
      samples_[k.use->gpu.name].push_back({k.row.key(), std::move(sample)});
    }
  }
  // Of a group that the fit knows: without its fold. Of one that it does not: all of them. Of a
  // GPU that was never measured: the card's.
  const PowerModel& of(const std::string& key, const Utilisation& use) {
    if (!samples_.contains(use.gpu.name)) return cards_[use.gpu.name] = use.card;
    const int fold = keys_.contains(key) ? fold_of(key) : kAll;
    const auto place = std::pair(use.gpu.name, fold);
    const auto known = fitted_.find(place);
    if (known != fitted_.end()) return known->second;
    std::vector<PowerSample> used;
    for (const auto& [name, sample] : samples_.at(use.gpu.name))
      if (fold == kAll || fold_of(name) != fold) used.push_back(sample);
    return fitted_[place] = fit_power(used, use.card);
  }
  [[nodiscard]] PowerModel whole(const std::string& gpu) {
    return of("", samples_.at(gpu).front().sample.use);
  }
  [[nodiscard]] std::vector<std::string> gpus() const {
    std::vector<std::string> names;
    for (const auto& [name, samples] : samples_) names.push_back(name);
    return names;
  }

 private:
  static constexpr int kAll = -1;
  struct Named {
    std::string key;
    PowerSample sample;
  };
  std::set<std::string> keys_;
  std::map<std::string, std::vector<Named>> samples_;
  std::map<std::pair<std::string, int>, PowerModel> fitted_;
  std::map<std::string, PowerModel> cards_;
};

PowerPrediction predict(const Known& known, const PowerModel& model) {
  const PowerRow& row = known.row;
  const Utilisation& use = *known.use;
  const auto watts = [&](const models::power::Activity& activity, double busy) {
    return row.gpus * models::power::gpu_power(use.gpu, model, activity, busy).value();
  };
  PowerPrediction p;
  p.watts = watts(use.activity, use.busy);
  p.tokens_per_s = use.tokens_per_s;
  p.joules_per_token = p.watts / row.tokens_per_s;
  p.end_to_end = p.watts / use.tokens_per_s;
  return p;
}

PowerErrors errors_of(const std::vector<const PowerRowResult*>& rows) {
  std::vector<double> watts, joules, end_to_end, tokens;
  for (const PowerRowResult* r : rows) {
    const auto& p = *r->prediction;
    watts.push_back(p.watts / r->row.watts - 1.0);
    joules.push_back(p.joules_per_token / r->row.joules_per_token - 1.0);
    end_to_end.push_back(p.end_to_end / r->row.joules_per_token - 1.0);
    tokens.push_back(p.tokens_per_s / r->row.tokens_per_s - 1.0);
  }
  return {figures_of(watts), figures_of(joules), figures_of(end_to_end), figures_of(tokens)};
}

void add_groups(PowerValidation& out, const std::string& name,
                const std::function<std::string(const PowerRow&)>& key_of) {
  std::map<std::string, std::vector<const PowerRowResult*>> rows;
  for (const auto& r : out.rows)
    if (r.prediction) rows[key_of(r.row)].push_back(&r);
  for (const auto& [key, list] : rows) out.groups.push_back({{{name, key}}, errors_of(list)});
}

}  // namespace

Figures figures_of(const std::vector<double>& errors) {
  Figures f;
  f.n = errors.size();
  if (errors.empty()) return f;
  std::vector<double> sizes;
  for (const double e : errors) {
    f.bias += 100.0 * e / static_cast<double>(f.n);
    sizes.push_back(100.0 * std::abs(e));
    f.mape += sizes.back() / static_cast<double>(f.n);
  }
  std::sort(sizes.begin(), sizes.end());
  const auto at = [&](double q) {
    const double place = q * static_cast<double>(sizes.size() - 1);
    const auto low = static_cast<std::size_t>(place);
    const std::size_t high = std::min(low + 1, sizes.size() - 1);
    return sizes[low] + (place - std::floor(place)) * (sizes[high] - sizes[low]);
  };
  f.median_ape = at(0.5);
  f.p95_ape = at(0.95);
  return f;
}

PowerValidation validate_power(const scenarios::loader::Catalogue& catalogue,
                               const PowerOptions& options) {
  UtilisationReader reader(catalogue, options.config_dir, options.calibration);
  const auto prompts = read_prompt_lengths(options.prompts);
  const auto own = with_utilisation(read_power_rows(options.own_data, prompts), reader);
  const bool same = options.data == options.own_data;
  const auto asked = same ? own : with_utilisation(read_power_rows(options.data, prompts), reader);
  Fits fits(own);
  PowerValidation out;
  out.dataset = options.data.filename().string();
  for (const Known& known : asked) {
    PowerRowResult result{known.row, {}, known.refused};
    if (known.use) result.prediction = predict(known, fits.of(known.row.key(), *known.use));
    out.predicted += result.prediction ? 1 : 0;
    out.rows.push_back(std::move(result));
  }
  std::vector<const PowerRowResult*> all;
  for (const auto& r : out.rows)
    if (r.prediction) all.push_back(&r);
  out.all = errors_of(all);
  add_groups(out, "accelerator", [](const PowerRow& r) { return r.accelerator; });
  add_groups(out, "group", [](const PowerRow& r) { return r.key(); });
  for (const auto& gpu : fits.gpus()) {
    PowerFit fit{gpu, fits.whole(gpu), 0, 0.0};
    for (const Known& known : own) {
      if (!known.use || known.use->gpu.name != gpu) continue;
      ++fit.rows;
      const auto p = predict(known, fits.of(known.row.key(), *known.use));
      fit.mean_error += std::abs(p.watts / known.row.watts - 1.0);
    }
    fit.mean_error /= static_cast<double>(std::max<std::size_t>(1, fit.rows));
    out.fits.push_back(std::move(fit));
  }
  return out;
}

}  // namespace foretoken::validation::power
