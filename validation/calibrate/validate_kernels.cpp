#include "validation/calibrate/validate_kernels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

#include "models/kernels/kernel_model.hpp"
#include "models/kernels/relatives.hpp"
#include "models/kernels/table_model.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "sim/core/error.hpp"
#include "validation/calibrate/table_words.hpp"

namespace foretoken::validation::calibrate {
namespace {

using models::kernels::Calibration;
using models::kernels::Family;
using models::kernels::Lenders;
using models::kernels::Machine;
using models::kernels::PhysicalParameters;
using models::kernels::PlacedRow;
using models::kernels::RowReader;
using models::kernels::Table;
using models::kernels::TableModel;
using models::kernels::TableSource;

// The same on every machine and in every release.
int fold_of(const std::string& key) {
  return static_cast<int>(scenarios::loader::content_hash(key) % kFolds);
}

struct Sample {
  PlacedRow placed;
  std::size_t table_row = 0;
  int key_fold = 0;  // of its key
  int row_fold = 0;  // of the row itself
  bool predict = true;
};

struct Outcome {
  const Table* table = nullptr;
  std::size_t table_row = 0;
  Family family = Family::gemm;
  bool gated = true;
  double measured = 0.0, predicted = 0.0;
  bool extrapolated = true;
};

std::string row_name(const PlacedRow& placed) {
  std::string name = placed.category + "/" + placed.row.variant;
  for (const float x : placed.place) name += fmt::format(" {:.4f}", x);
  return name;
}

// L40S has no link between GPUs: its larger groups say more about that one host than about the
// model, and are reported apart.
bool is_gated(const PlacedRow& placed, const Machine& machine) {
  const auto* op = std::get_if<models::llm::CollectiveOp>(&placed.row.shape);
  return op == nullptr || machine.scale_up > 0 || op->gpus <= 2;
}

// Passes through memory are predicted by the physical model alone: nothing is learned from them.
bool is_elementwise(const PlacedRow& placed) {
  return std::holds_alternative<models::llm::ElementwiseOp>(placed.row.shape);
}

double correction_of(const PlacedRow& placed, const Lenders& lenders) {
  if (is_elementwise(placed)) return 0.0;
  const auto lent = lenders.ask(placed);
  return lent ? lent->correction : 0.0;
}

bool same_table(const Table& a, const Table& b) {
  return a.gpu == b.gpu && a.op == b.op && a.engine == b.engine && a.version == b.version;
}

std::vector<Sample> samples_of(const Table& table, const Machine& machine,
                               const PhysicalParameters& parameters) {
  std::vector<Sample> samples;
  const RowReader reader(table);
  for (std::size_t i = 0; i < reader.size(); ++i) {
    auto row = reader.row(i);
    if (!row) continue;
    Sample sample;
    sample.placed = models::kernels::place_row(std::move(*row), machine, parameters);
    sample.table_row = i;
    sample.key_fold = fold_of(fold_key_of(sample.placed.row));
    sample.row_fold = fold_of(row_name(sample.placed));
    samples.push_back(std::move(sample));
  }
  return samples;
}

// Rows of the same table in the shipped calibration that the data do not hold: learned from, not
// predicted.
void add_known(std::vector<Sample>& samples, const Table& table, const Calibration& known,
               const Machine& machine, const PhysicalParameters& parameters) {
  for (const Table& other : known.tables) {
    if (!same_table(other, table) || &other == &table) continue;
    std::set<std::string> held;
    for (const Sample& sample : samples) held.insert(row_name(sample.placed));
    for (Sample& sample : samples_of(other, machine, parameters)) {
      if (held.contains(row_name(sample.placed))) continue;
      sample.predict = false;
      samples.push_back(std::move(sample));
    }
  }
}

double predicted_seconds(const PlacedRow& placed, double correction, const Machine& machine) {
  return std::max(placed.physical_seconds * std::exp(correction),
                  models::kernels::least_seconds(placed.row.shape, placed.row.variant, machine));
}

class Runner {
 public:
  Runner(const Calibration& data, const Calibration& known, const KernelValidationOptions& options)
      : data_(data),
        known_(known),
        options_(options),
        parameters_(PhysicalParameters::from(known.parameters)) {}

  std::vector<Outcome> run(std::vector<RefusedRows>& refused) {
    std::atomic<std::size_t> next{0};
    std::vector<std::vector<Outcome>> outcomes(data_.tables.size());
    std::vector<std::vector<RefusedRows>> refusals(data_.tables.size());
    const auto work = [&] {
      for (std::size_t i = next++; i < data_.tables.size(); i = next++)
        if (wanted(data_.tables[i])) table(data_.tables[i], outcomes[i], refusals[i]);
    };
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < std::max(1U, options_.threads); ++i) threads.emplace_back(work);
    work();
    threads.clear();
    std::vector<Outcome> all;
    for (auto& part : outcomes) all.insert(all.end(), part.begin(), part.end());
    for (auto& part : refusals) refused.insert(refused.end(), part.begin(), part.end());
    return all;
  }

 private:
  [[nodiscard]] bool wanted(const Table& table) const {
    if (!options_.leave_out_gpu.empty() && table.gpu != options_.leave_out_gpu) return false;
    if (options_.only.empty() || table.op == options_.only) return true;
    const RowReader reader(table);
    for (std::size_t i = 0; reader.understood() && i < reader.size(); ++i)
      if (const auto row = reader.row(i))
        return to_string(models::kernels::family_of(row->shape)) == options_.only;
    return false;
  }

  [[nodiscard]] bool machine_of(const std::string& gpu, Machine& machine) const {
    return load_machine(gpu, data_.parameters, machine) ||
           load_machine(gpu, known_.parameters, machine);
  }

  void table(const Table& table, std::vector<Outcome>& out, std::vector<RefusedRows>& refused) {
    const std::string id = table_name(table);
    Machine machine;
    const RowReader reader(table);
    if (!reader.understood()) {
      refused.push_back({id, "no operator of the models has this shape", table.seconds.size()});
      return;
    }
    if (!machine_of(table.gpu, machine)) {
      refused.push_back({id, "no card describes this GPU", table.seconds.size()});
      return;
    }
    std::vector<Sample> samples = samples_of(table, machine, parameters_);
    if (samples.size() < table.seconds.size())
      refused.push_back(
          {id, "formats or distributions without a model", table.seconds.size() - samples.size()});
    if (!options_.leave_out_gpu.empty()) {
      left_out(table, samples, machine, out);
      return;
    }
    if (&data_ != &known_) add_known(samples, table, known_, machine, parameters_);
    folds(table, samples, machine, true, out);
    if (!samples.empty() && !is_elementwise(samples[0].placed))
      folds(table, samples, machine, false, out);
  }

  void record(const Table& table, const Sample& sample, double correction, const Machine& machine,
              bool extrapolated, std::vector<Outcome>& out) const {
    Outcome outcome;
    outcome.table = &table;
    outcome.table_row = sample.table_row;
    outcome.family = models::kernels::family_of(sample.placed.row.shape);
    outcome.gated = is_gated(sample.placed, machine);
    outcome.measured = sample.placed.row.seconds;
    outcome.predicted = predicted_seconds(sample.placed, correction, machine);
    outcome.extrapolated = extrapolated;
    out.push_back(outcome);
  }

  // The table itself without the fold, and behind it what a run would fall back on, without it too.
  void folds(const Table& table, const std::vector<Sample>& samples, const Machine& machine,
             bool by_key, std::vector<Outcome>& out) {
    auto rows = std::make_shared<std::vector<PlacedRow>>();
    rows->reserve(samples.size());
    for (const Sample& sample : samples) {
      rows->push_back(sample.placed);
      rows->back().tag = by_key ? sample.key_fold : sample.row_fold;
    }
    const auto sources =
        models::kernels::table_sources(machine, table.gpu, {table.engine, table.version}, known_);
    std::size_t seen = 0;
    for (int fold = 0; fold < kFolds; ++fold) {
      Lenders lenders;
      lenders.add(std::make_shared<const TableModel>(
          TableSource{&table, machine, true, true}, rows,
          [fold](const PlacedRow& row) { return row.tag != fold; }));
      for (const TableSource& source : sources)
        if (!same_table(*source.table, table)) lenders.add(pooled(source, by_key ? 1 : 2, fold));
      for (std::size_t i = 0; i < samples.size(); ++i) {
        if (!samples[i].predict || (*rows)[i].tag != fold || seen++ % options_.stride != 0)
          continue;
        record(table, samples[i], correction_of((*rows)[i], lenders), machine, by_key, out);
      }
    }
  }

  // From the tables of the other GPUs, and the card of this one, as a run on it would.
  void left_out(const Table& table, const std::vector<Sample>& samples, const Machine& machine,
                std::vector<Outcome>& out) {
    Lenders lenders;
    for (const TableSource& source :
         models::kernels::table_sources(machine, "", {table.engine, table.version}, known_))
      if (source.table->gpu != table.gpu) lenders.add(pooled(source, 0, 0));
    std::size_t seen = 0;
    for (const Sample& sample : samples) {
      if (seen++ % options_.stride != 0) continue;
      record(table, sample, correction_of(sample.placed, lenders), machine, true, out);
    }
  }

  // A table of the known ones: whole (mode 0), without a fold of keys (1), of rows (2).
  std::shared_ptr<const TableModel> pooled(const TableSource& source, int mode, int fold) {
    const std::lock_guard lock(mutex_);
    auto& model = pool_[{source.table, source.same_gpu, mode, fold}];
    if (model) return model;
    auto [names, added] = categories_.try_emplace(source.table);
    if (added) names->second = models::kernels::categories_of(*source.table, source.machine);
    TableModel::Keep keep;
    if (mode == 1)
      keep = [fold](const PlacedRow& row) { return fold_of(fold_key_of(row.row)) != fold; };
    if (mode == 2) keep = [fold](const PlacedRow& row) { return fold_of(row_name(row)) != fold; };
    model = std::make_shared<const TableModel>(source, parameters_, std::move(keep), names->second);
    return model;
  }

  const Calibration& data_;
  const Calibration& known_;
  const KernelValidationOptions& options_;
  PhysicalParameters parameters_;
  std::mutex mutex_;
  std::map<std::tuple<const Table*, bool, int, int>, std::shared_ptr<const TableModel>> pool_;
  std::map<const Table*, std::vector<std::string>> categories_;
};

using Key = std::map<std::string, std::string>;
struct Errors {
  std::vector<double> extrapolated, interpolated;
};

KernelGroup group_of(const Key& key, Errors errors) {
  KernelGroup group;
  group.key = key;
  group.n = errors.extrapolated.size();
  group.latency = error_figures(std::move(errors.extrapolated));
  if (!errors.interpolated.empty())
    group.latency_interpolate = error_figures(std::move(errors.interpolated));
  return group;
}

// Collectives: each table counts alike, however many rows it has.
ErrorFigures mean_figures(const std::vector<ErrorFigures>& parts) {
  ErrorFigures mean;
  for (const ErrorFigures& part : parts) {
    const double weight = 1.0 / static_cast<double>(parts.size());
    mean.n += part.n;
    mean.mape += weight * part.mape;
    mean.median_ape += weight * part.median_ape;
    mean.p95_ape += weight * part.p95_ape;
    mean.bias += weight * part.bias;
  }
  return mean;
}

void add_groups(const std::vector<Outcome>& outcomes, KernelValidation& result) {
  std::map<Key, Errors> families, tables, gpus;
  Errors all;
  for (const Outcome& outcome : outcomes) {
    const double error = outcome.predicted / outcome.measured - 1;
    const std::string family(to_string(outcome.family));
    const auto add = [&](Errors& errors) {
      (outcome.extrapolated ? errors.extrapolated : errors.interpolated).push_back(error);
    };
    Key table{{"operator", outcome.table->op},
              {"gpu", outcome.table->gpu},
              {"engine", outcome.table->engine + "-" + outcome.table->version}};
    Key gpu{{"operator", family}, {"gpu", outcome.table->gpu}};
    if (!outcome.gated) table["scope"] = gpu["scope"] = "more than 2 GPUs without a link";
    add(tables[table]);
    add(gpus[gpu]);
    if (!outcome.gated) continue;
    add(families[{{"operator", family}}]);
    add(all);
  }
  result.predicted = all.extrapolated.size();
  result.latency = error_figures(all.extrapolated);
  if (!all.interpolated.empty()) result.latency_interpolate = error_figures(all.interpolated);
  for (auto& [key, errors] : families) {
    KernelGroup group = group_of(key, std::move(errors));
    if (key.at("operator") == to_string(Family::collective)) {
      std::vector<ErrorFigures> extrapolated, interpolated;
      for (const auto& [name, part] : tables) {
        const bool collective =
            name.at("operator") == "nccl" || name.at("operator") == "custom_allreduce";
        if (!collective || name.contains("scope")) continue;
        extrapolated.push_back(error_figures(part.extrapolated));
        if (!part.interpolated.empty()) interpolated.push_back(error_figures(part.interpolated));
      }
      group.latency = mean_figures(extrapolated);
      if (!interpolated.empty()) group.latency_interpolate = mean_figures(interpolated);
    }
    result.groups.push_back(std::move(group));
  }
  for (auto& [key, errors] : gpus) result.groups.push_back(group_of(key, std::move(errors)));
  for (auto& [key, errors] : tables) result.groups.push_back(group_of(key, std::move(errors)));
}

void add_worst(const std::vector<Outcome>& outcomes, KernelValidation& result) {
  constexpr std::size_t kWorst = 10;
  std::vector<const Outcome*> order;
  for (const Outcome& outcome : outcomes)
    if (outcome.extrapolated && outcome.gated) order.push_back(&outcome);
  const auto size = [](const Outcome* o) { return std::abs(std::log(o->predicted / o->measured)); };
  const std::size_t n = std::min(kWorst, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    [&](const Outcome* a, const Outcome* b) {
                      return size(a) != size(b) ? size(a) > size(b) : a < b;
                    });
  for (std::size_t i = 0; i < n; ++i)
    result.worst.push_back({table_name(*order[i]->table),
                            row_in_words(*order[i]->table, order[i]->table_row), order[i]->measured,
                            order[i]->predicted});
}

}  // namespace

ErrorFigures error_figures(std::vector<double> errors) {
  ErrorFigures figures;
  figures.n = errors.size();
  if (errors.empty()) return figures;
  const double count = static_cast<double>(errors.size());
  for (double& error : errors) {
    figures.bias += 100 * error / count;
    error = std::abs(error);
    figures.mape += 100 * error / count;
  }
  std::sort(errors.begin(), errors.end());
  const auto quantile = [&](double q) {
    const double at = q * (count - 1);
    const auto low = static_cast<std::size_t>(at);
    const std::size_t high = std::min(low + 1, errors.size() - 1);
    return errors[low] + (at - static_cast<double>(low)) * (errors[high] - errors[low]);
  };
  figures.median_ape = 100 * quantile(0.5);
  figures.p95_ape = 100 * quantile(0.95);
  return figures;
}

KernelValidation validate_kernels(const Calibration& data, const Calibration& known,
                                  const KernelValidationOptions& options) {
  KernelValidation result;
  Runner runner(data, known, options);
  const std::vector<Outcome> outcomes = runner.run(result.refused);
  for (const RefusedRows& refused : result.refused) result.rows += refused.rows;
  add_groups(outcomes, result);
  result.rows += result.predicted;
  add_worst(outcomes, result);
  return result;
}

std::string table_gpu(const std::string& name, const Calibration& data) {
  const auto plain = [](const std::string& text) {
    std::string letters;
    for (const char c : text)
      if (std::isalnum(static_cast<unsigned char>(c)) != 0)
        letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return letters;
  };
  std::set<std::string> gpus;
  for (const Table& table : data.tables) gpus.insert(table.gpu);
  std::string listed;
  for (const std::string& gpu : gpus) {
    if (plain(gpu) == plain(name)) return gpu;
    listed += (listed.empty() ? "" : ", ") + gpu;
  }
  for (const std::string& gpu : gpus)
    if (plain(gpu).starts_with(plain(name)) && !name.empty()) return gpu;
  throw sim::core::InputError("no measurements of a GPU '" + name + "'; there are " + listed);
}

}  // namespace foretoken::validation::calibrate
