#include "validation/training/validate_training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "models/training/memory.hpp"

namespace foretoken::validation::training {
namespace {

namespace job = models::training;

// Sets how much is recomputed where the source does not say: the least that fits. Where the host
// hangs on a fast link (Grace: NVLink-C2C), activations wait there sooner than they are recomputed
// in full. Where nothing fits, the parameters must have been sharded.
void choose_recompute(job::TrainingSpec& spec, const job::MachineTimes& machine) {
  const auto order = job::pipeline_order(spec);
  const auto given = spec.layout.sharding;
  constexpr double kFastHostLink = 100e9;  // byte/s; PCIe 5 gives 64
  const bool fast = spec.node.gpu.pcie_bandwidth.value() > kFastHostLink;
  const auto fits = [&] {
    const auto account = job::account_step(spec, machine);
    return job::account_memory(spec, account, order).fits();
  };
  for (const auto sharding : {given, job::Sharding::parameters}) {
    spec.layout.sharding = sharding;
    for (const job::Recompute recompute :
         {job::Recompute::none, job::Recompute::selective, job::Recompute::full}) {
      spec.recompute = recompute;
      if (fits()) return;
      spec.offload_activations = fast && recompute == job::Recompute::selective;
      if (spec.offload_activations && fits()) return;
      spec.offload_activations = false;
    }
  }
  spec.layout.sharding = given;
}

double ape(double predicted, double measured) { return predicted / measured - 1; }

// Mean of ln(step x MFU) over rows: the constant MFU that fits them.
double mean_log_mfu(const std::vector<const Sample*>& samples) {
  double sum = 0;
  for (const Sample* s : samples)
    sum += std::log(s->account.model_flops /
                    (s->row->step_s * s->spec.layout.gpus() * s->account.peak_flops));
  return samples.empty() ? std::log(0.4) : sum / static_cast<double>(samples.size());
}

}  // namespace

TrainingStudy::TrainingStudy(Dataset data,
                             std::shared_ptr<const models::kernels::Calibration> calibration)
    : data_(std::move(data)) {
  std::map<std::string, job::MachineTimes> machines;
  for (const Row& row : data_.rows) {
    if (!row.refused.empty()) {
      refused_.emplace_back(row.id, row.refused);
      continue;
    }
    const std::string key =
        fmt::format("{} {} {}", row.spec.node.name, row.spec.node.gpus, row.spec.software.network);
    auto found = machines.find(key);
    if (found == machines.end())
      found =
          machines
              .emplace(std::piecewise_construct, std::forward_as_tuple(key),
                       std::forward_as_tuple(row.spec.node, row.spec.software.network, calibration))
              .first;
    try {
      Sample sample;
      sample.row = &row;
      sample.spec = row.spec;
      if (row.recompute_unknown) choose_recompute(sample.spec, found->second);
      sample.account = job::account_step(sample.spec, found->second);
      sample.peak_bytes =
          job::account_memory(sample.spec, sample.account, job::pipeline_order(sample.spec))
              .total();
      samples_.push_back(std::move(sample));
    } catch (const sim::core::InputError& error) {
      refused_.emplace_back(row.id, error.what());
    }
  }
}

void write_text(const std::filesystem::path& file, const std::string& text) {
  std::error_code status;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), status);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw sim::core::InputError(fmt::format("cannot write {}", file.string()));
}

std::vector<const Sample*> TrainingStudy::of_software(const std::string& name, int without) const {
  std::vector<const Sample*> out;
  for (const Sample& s : samples_)
    if (s.row->software == name && s.row->fold != without) out.push_back(&s);
  return out;
}

TrainingStudy::Fitted TrainingStudy::fit(const std::string& software) const {
  const auto& card = data_.software.at(software);
  // The card's own constants, without what an earlier fit laid over them.
  Constants base = card.software.constants;
  for (const auto& c : card.fitted)
    for (auto at = base.begin(); at != base.end();)
      at = at->first == c.name || at->first.starts_with(c.name + "/") ? base.erase(at)
                                                                      : std::next(at);
  Fitted out;
  const auto fit_without = [&](int fold) {
    const Constants all = fit_constants(of_software(software, fold), base, card.fitted);
    Constants moved;
    for (const auto& [key, value] : all)
      if (!base.contains(key)) moved[key] = std::stod(fmt::format("{:.5g}", value));
    return moved;
  };
  out.full = fit_without(-1);
  for (int fold = 0; fold < kFolds; ++fold) out.folds.push_back(fit_without(fold));
  std::vector<double> errors, memory;
  for (const Sample* s : of_software(software, -1)) {
    Constants constants = base;
    for (const auto& [key, value] : out.folds[static_cast<std::size_t>(s->row->fold)])
      constants[key] = value;
    errors.push_back(ape(predict(*s, constants), s->row->step_s));
    if (s->row->peak_bytes) memory.push_back(ape(s->peak_bytes, *s->row->peak_bytes));
  }
  out.error["step_time"] = calibrate::error_figures(errors).mape / 100;
  if (!memory.empty()) out.error["peak_memory"] = calibrate::error_figures(memory).mape / 100;
  return out;
}

SourceResult TrainingStudy::summarise(const std::vector<const PredictedRow*>& rows) const {
  SourceResult out;
  std::vector<double> time, memory, baseline;
  std::map<std::string, std::vector<const PredictedRow*>> families;
  for (const PredictedRow* r : rows) {
    time.push_back(ape(r->predicted_s, r->measured_s));
    baseline.push_back(ape(r->baseline_s, r->measured_s));
    if (r->measured_bytes) memory.push_back(ape(*r->predicted_bytes, *r->measured_bytes));
    families[r->family].push_back(r);
  }
  out.n = rows.size();
  out.step_time = calibrate::error_figures(time);
  out.baseline_mape = calibrate::error_figures(baseline).mape;
  if (!memory.empty()) out.peak_memory = calibrate::error_figures(memory);
  constexpr double kApart = 1.10;  // pairs closer than this are no test of order
  double pairs = 0, right = 0, regret = 0;
  for (const auto& [name, family] : families) {
    // Time for a token, so that jobs of another batch compare.
    const auto each = [](const PredictedRow* r, double seconds) {
      return seconds / r->sample->spec.tokens_per_step();
    };
    const PredictedRow *chosen = nullptr, *best = nullptr;
    std::set<std::string> layouts;
    for (std::size_t i = 0; i < family.size(); ++i) {
      const PredictedRow* a = family[i];
      layouts.insert(a->id.substr(a->id.find(' ')));
      if (!chosen || each(a, a->predicted_s) < each(chosen, chosen->predicted_s)) chosen = a;
      if (!best || each(a, a->measured_s) < each(best, best->measured_s)) best = a;
      for (std::size_t j = 0; j < i; ++j) {
        const PredictedRow* b = family[j];
        const double measured = each(a, a->measured_s) / each(b, b->measured_s);
        if (measured < kApart && measured > 1 / kApart) continue;
        pairs += 1;
        right += (measured > 1) == (each(a, a->predicted_s) > each(b, b->predicted_s)) ? 1 : 0;
      }
    }
    if (layouts.size() > 1 && chosen != nullptr && best != nullptr)
      regret =
          std::max(regret, each(chosen, chosen->measured_s) / each(best, best->measured_s) - 1);
  }
  if (pairs > 0) {
    out.pairs_right = right / pairs;
    out.regret_pct = 100 * regret;
  }
  return out;
}

TrainingValidation TrainingStudy::validate() const {
  TrainingValidation out;
  out.rows = data_.rows.size();
  out.refused = refused_;
  std::map<std::string, std::vector<const Sample*>> by_source;
  for (const Sample& s : samples_) by_source[s.row->source].push_back(&s);
  for (const auto& [source, samples] : by_source)
    for (const Sample* s : samples) {
      const auto& card = data_.software.at(s->row->software);
      const auto fold = static_cast<std::size_t>(s->row->fold);
      PredictedRow row;
      row.sample = s;
      row.source = source;
      row.id = s->row->id;
      row.family = s->row->family;
      row.experts = s->row->experts;
      row.measured_s = s->row->step_s;
      s->spec.software.constants =
          fold < card.folds.size() ? card.folds[fold] : card.software.constants;
      row.step = job::estimate_step(s->spec, s->account);
      row.predicted_s = row.step.seconds;
      std::vector<const Sample*> others;
      for (const Sample* o : samples)
        if (o->row->fold != s->row->fold) others.push_back(o);
      row.baseline_s =
          s->account.model_flops / (std::exp(mean_log_mfu(others.empty() ? samples : others)) *
                                    s->spec.layout.gpus() * s->account.peak_flops);
      row.measured_bytes = s->row->peak_bytes;
      if (row.measured_bytes) row.predicted_bytes = s->peak_bytes;
      out.predicted.push_back(std::move(row));
    }
  std::map<std::string, std::vector<const PredictedRow*>> groups;
  std::vector<const PredictedRow*> all;
  for (const PredictedRow& r : out.predicted) {
    groups[r.source].push_back(&r);
    all.push_back(&r);
  }
  const SourceResult total = summarise(all);
  out.step_time = total.step_time;
  out.peak_memory = total.peak_memory;
  for (const auto& [source, rows] : groups) {
    SourceResult whole = summarise(rows);
    whole.key = {{"source", source}};
    out.sources.push_back(whole);
    std::vector<const PredictedRow*> parts[2];
    for (const PredictedRow* r : rows) parts[r->experts ? 1 : 0].push_back(r);
    if (parts[0].empty() || parts[1].empty()) continue;
    for (const bool experts : {false, true}) {
      SourceResult part = summarise(parts[experts ? 1 : 0]);
      part.key = {{"source", source}, {"model", experts ? "experts" : "dense"}};
      out.sources.push_back(part);
    }
  }
  return out;
}

}  // namespace foretoken::validation::training
