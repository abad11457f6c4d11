#include "analysis/study/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "analysis/run_documents.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "sim/core/random.hpp"

namespace foretoken::analysis::study {
namespace {

using Json = nlohmann::json;
using sim::core::Diagnostic;
using sim::core::InputError;

// Points an adaptive sweep decides on before it looks at results again: a fixed number, so that
// the choice does not depend on threads.
constexpr std::size_t kRound = 16;
constexpr std::uint32_t kSpreadPurpose = 0x61647074;

std::string hash_of(const Scenario& scenario, const std::string& calibration) {
  return fmt::format("{:016x}", scenarios::loader::content_hash(
                                    calibration + fmt::format("\nsweep {}", kSweepFormatVersion),
                                    scenario_hash(scenario)));
}

// A point that cannot even be loaded has no resolved values; its assignments name it.
std::string hash_of(const Overrides& overrides, const std::string& scenario_text_hash) {
  std::string text = scenario_text_hash;
  for (const std::string& assignment : overrides) text += "\n" + assignment;
  return fmt::format("{:016x}", scenarios::loader::content_hash(text));
}

class Runner {
 public:
  Runner(const SweepSpec& spec, const Evaluator& evaluator, const SweepStore& store,
         const SweepOptions& options)
      : spec_(spec),
        evaluator_(evaluator),
        store_(store),
        options_(options),
        calibration_hash_(scenarios::loader::hash_file(evaluator.calibration_file())),
        scenario_hash_(scenarios::loader::hash_file(spec.scenario)) {}

  // Simulates the repeats of `points` and appends their rows.
  void add(const std::vector<Point>& points) {
    const std::size_t first = report_.rows.size();
    const std::size_t base = first == 0 ? 0 : report_.rows.back().number + 1;
    for (std::size_t i = 0; i < points.size(); ++i)
      for (int repeat = 0; repeat < spec_.repeats; ++repeat)
        report_.rows.push_back(
            {points[i], spec_.seed + static_cast<std::uint64_t>(repeat), base + i, {}});
    const std::size_t n = report_.rows.size() - first;
    const auto take = [&](std::size_t i) {
      if (shared() && !store_.claim(first + i)) return;
      SweepStore::Row& row = report_.rows[first + i];
      bool found = false;
      row.result = result_of(row, found);
      const std::lock_guard lock(mutex_);
      done_here_.push_back(first + i);
      report_.found += found ? 1 : 0;
      if (options_.progress) options_.progress(done_here_.size(), n);
    };
    std::exception_ptr failure;
    try {
      for_each_in_order(n, options_.threads, options_.interrupt, take);
    } catch (...) {
      if (!shared()) throw;
      failure = std::current_exception();  // the other ranks wait to hear of it
    }
    if (shared()) gather(n, failure);
    done_here_.clear();
  }

  [[nodiscard]] SweepReport finish() {
    report_.found += found_by_all_;
    for (const auto& row : report_.rows)
      ++(row.result.status == Status::ok ? report_.ok : report_.failed);
    return std::move(report_);
  }
  [[nodiscard]] const std::vector<SweepStore::Row>& rows() const { return report_.rows; }

 private:
  // Whether other ranks take points too.
  [[nodiscard]] bool shared() const {
    return options_.transport != nullptr && options_.transport->size() > 1;
  }

  PointResult result_of(const SweepStore::Row& row, bool& found) {
    const Overrides overrides = overrides_of(spec_, row.point, row.seed);
    std::optional<Scenario> scenario;
    std::string hash, error;
    try {
      scenario = evaluator_.load(overrides);
      hash = hash_of(*scenario, calibration_hash_);
    } catch (const InputError& problem) {
      hash = hash_of(overrides, scenario_hash_);
      error = problem.diagnostics().front().message;
    }
    if (auto known = store_.find(hash)) {
      found = true;
      return *known;
    }
    PointResult result{Status::bad_input, error, {}};
    if (scenario) {
      const Evaluation done = evaluator_.evaluate(std::move(*scenario), true, options_.interrupt);
      result.status = done.status;
      result.error = done.error;
      if (done.status == Status::ok) result.metrics = flat_numbers(done.summary);
    }
    store_.keep(hash, result);
    return result;
  }

  static std::string words_of(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const Interrupted&) {
      return {};
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  // Every rank gets the rows of all, or fails with the one that did.
  void gather(std::size_t n, const std::exception_ptr& failure) {
    Json mine = {{"found", report_.found}, {"rows", Json::array()}};
    for (const std::size_t row : done_here_)
      mine["rows"].push_back({row, text_of(report_.rows[row].result)});
    if (failure) mine["failure"] = words_of(failure);
    const std::string text = mine.dump(-1, ' ', false, Json::error_handler_t::replace);
    std::size_t rows = 0;
    std::optional<std::string> failed;
    report_.found = 0;
    for (const auto& bytes : options_.transport->all_gather(std::as_bytes(std::span(text)))) {
      const Json theirs = Json::parse(reinterpret_cast<const char*>(bytes.data()),
                                      reinterpret_cast<const char*>(bytes.data() + bytes.size()));
      if (theirs.contains("failure") && !failed) failed = theirs["failure"].get<std::string>();
      found_by_all_ += theirs["found"].get<std::size_t>();
      for (const Json& row : theirs["rows"]) {
        report_.rows.at(row[0].get<std::size_t>()).result =
            study::result_of(row[1].get<std::string>(), store_.folder().string());
        ++rows;
      }
    }
    if (failure) std::rethrow_exception(failure);
    if (failed && failed->empty()) throw Interrupted();
    if (failed) throw InputError(*failed);
    if (rows != n)
      throw InputError(store_.folder().string() +
                       " is not shared between the machines of this run; put the sweep's folder on "
                       "a file system that all of them see");
  }

  const SweepSpec& spec_;
  const Evaluator& evaluator_;
  const SweepStore& store_;
  const SweepOptions& options_;
  std::string calibration_hash_, scenario_hash_;
  std::mutex mutex_;
  std::vector<std::size_t> done_here_;  // rows of this round, by this program
  std::size_t found_by_all_ = 0;        // of several ranks
  SweepReport report_;
};

Point point_at(const std::vector<Axis>& axes, const Position& position) {
  Point point;
  for (std::size_t i = 0; i < axes.size(); ++i)
    point.push_back({axes[i].path, axes[i].values[position[i]]});
  return point;
}

// Objective values of the points from row `first` on, means over repeats.
std::vector<std::vector<double>> objective_values(const std::vector<SweepStore::Row>& rows,
                                                  std::size_t first, std::size_t repeats,
                                                  const std::vector<Objective>& objectives) {
  std::vector<std::vector<double>> values;
  for (std::size_t i = first; i < rows.size(); i += repeats) {
    std::vector<double> point;
    for (const Objective& objective : objectives) {
      std::vector<double> over;
      for (std::size_t r = i; r < i + repeats; ++r) {
        const auto found = rows[r].result.metrics.find(objective.metric);
        over.push_back(found == rows[r].result.metrics.end() ? kMissing : found->second);
      }
      point.push_back(aggregate(over).mean);
    }
    values.push_back(std::move(point));
  }
  return values;
}

void run_adaptive(const SweepSpec& spec, Runner& runner) {
  const Adaptive& adaptive = *spec.adaptive;
  const std::size_t first = runner.rows().size();
  std::vector<Position> known, front;
  while (known.size() < adaptive.points) {
    const std::size_t most = std::min(kRound, adaptive.points - known.size());
    const auto next = next_positions(adaptive.axes, known, front, most, spec.seed);
    if (next.empty()) break;  // the whole grid is done
    std::vector<Point> points;
    for (const Position& position : next) points.push_back(point_at(adaptive.axes, position));
    runner.add(points);
    known.insert(known.end(), next.begin(), next.end());
    const auto values = objective_values(
        runner.rows(), first, static_cast<std::size_t>(spec.repeats), adaptive.objectives);
    front.clear();
    for (const std::size_t i : pareto_front(values, adaptive.objectives)) front.push_back(known[i]);
  }
}

}  // namespace

Overrides overrides_of(const SweepSpec& spec, const Point& point, std::uint64_t seed) {
  Overrides overrides;
  for (const Point* part : {&spec.fixed, &point})
    for (const auto& [path, value] : *part) overrides.push_back(path + "=" + value);
  overrides.push_back(fmt::format("seed={}", seed));
  return overrides;
}

void check_paths(const SweepSpec& spec, const Evaluator& evaluator) {
  std::vector<Diagnostic> unknown;
  std::set<std::string> looked_at;
  const auto look = [&](const Point& point) {
    for (const auto& [path, value] : point) {
      if (!looked_at.insert(path).second) continue;
      try {
        (void)evaluator.load({path + "=" + value});
      } catch (const InputError& error) {
        // Values may be wrong for this scenario alone and right with the point's others; a path
        // that the scenario does not know is wrong everywhere.
        for (const Diagnostic& problem : error.diagnostics())
          if (problem.file == "--set" && problem.message.find("unknown key") != std::string::npos)
            unknown.push_back(
                {spec.file.string(),
                 0,
                 0,
                 "'" + path + "' is no path of " + spec.scenario.string() + ": " + problem.message,
                 {},
                 false});
          else if (problem.file != "--set")
            throw;
      }
    }
  };
  look(spec.fixed);
  for (const Point& point : spec.points) look(point);
  if (spec.adaptive)
    for (const Axis& axis : spec.adaptive->axes) look({{axis.path, axis.values.front()}});
  if (!unknown.empty()) throw InputError(std::move(unknown));
}

SweepReport run_sweep(const SweepSpec& spec, const Evaluator& evaluator, const SweepStore& store,
                      const SweepOptions& options) {
  Runner runner(spec, evaluator, store, options);
  runner.add(spec.points);
  if (spec.adaptive) run_adaptive(spec, runner);
  SweepReport report = runner.finish();
  if (options.transport == nullptr || options.transport->rank() == 0)
    store.finish(spec, report.rows);
  return report;
}

std::vector<std::size_t> pareto_front(const std::vector<std::vector<double>>& values,
                                      const std::vector<Objective>& objectives) {
  const auto better_or_equal = [&](std::size_t a, std::size_t b) {
    bool better = false;
    for (std::size_t k = 0; k < objectives.size(); ++k) {
      const double difference =
          objectives[k].maximise ? values[a][k] - values[b][k] : values[b][k] - values[a][k];
      if (difference < 0) return false;
      better |= difference > 0;
    }
    return better;
  };
  const auto known = [&](std::size_t i) {
    return std::none_of(values[i].begin(), values[i].end(), [](double v) { return std::isnan(v); });
  };
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!known(i)) continue;
    bool beaten = false;
    for (std::size_t j = 0; j < values.size() && !beaten; ++j)
      beaten = j != i && known(j) && better_or_equal(j, i);
    if (!beaten) front.push_back(i);
  }
  return front;
}

std::vector<Position> next_positions(const std::vector<Axis>& axes,
                                     const std::vector<Position>& known,
                                     const std::vector<Position>& front, std::size_t most,
                                     std::uint64_t seed) {
  std::set<Position> taken(known.begin(), known.end());
  std::vector<Position> next;
  const auto take = [&](const Position& position) {
    if (next.size() < most && taken.insert(position).second) next.push_back(position);
  };
  for (const Position& centre : front)
    for (std::size_t k = 0; k < axes.size(); ++k)
      for (const int step : {-1, 1}) {
        Position position = centre;
        if (step < 0 && position[k] == 0) continue;
        if (step > 0 && position[k] + 1 >= axes[k].values.size()) continue;
        position[k] += static_cast<std::size_t>(step);
        take(position);
      }
  if (!next.empty()) return next;
  double size = 1.0;
  for (const Axis& axis : axes) size *= static_cast<double>(axis.values.size());
  // Draws find free cells quickly until the grid is nearly full; then the first free ones in order.
  for (std::uint32_t draw = 0; draw < 64 * most && next.size() < most; ++draw) {
    sim::core::Random random(seed, static_cast<std::uint32_t>(known.size()) + draw, kSpreadPurpose);
    Position position;
    for (const Axis& axis : axes) position.push_back(random.below(axis.values.size()));
    take(position);
  }
  Position position(axes.size(), 0);
  for (double i = 0; i < size && next.size() < most; ++i) {
    take(position);
    for (std::size_t k = 0; k < axes.size() && ++position[k] == axes[k].values.size(); ++k)
      position[k] = 0;
  }
  return next;
}

}  // namespace foretoken::analysis::study
