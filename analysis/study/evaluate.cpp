#include "analysis/study/evaluate.hpp"

#include <algorithm>
#include <exception>
#include <thread>

#include "analysis/summary.hpp"
#include "models/serving/serving.hpp"
#include "scenarios/loader/calibration_file.hpp"

namespace foretoken::analysis::study {

std::shared_ptr<const models::kernels::Calibration> read_calibration_of(
    const std::filesystem::path& product_file, const Scenario& scenario) {
  namespace loader = scenarios::loader;
  const auto& gpu = scenario.serving.deployment.node.gpu;
  if (scenario.calibration.empty()) return loader::read_calibration(product_file, gpu.tables);
  // The product may have no table of this GPU: then those of its relatives serve where the own
  // measurements do not reach.
  const auto own = loader::read_calibration(scenario.calibration, gpu.tables);
  if (own->tables.empty())
    throw sim::core::InputError(scenario.calibration.string() + ": no measurement of " +
                                gpu.tables + " in it; it has to be made with --gpu " + gpu.name);
  auto product = loader::read_calibration(product_file, gpu.tables);
  if (product->tables.empty()) product = loader::read_calibration(product_file);
  return std::make_shared<const models::kernels::Calibration>(
      models::kernels::merged(*product, *own));
}

std::shared_ptr<const models::kernels::Calibration> CalibrationStore::of(const Scenario& scenario) {
  const std::lock_guard lock(mutex_);
  auto& calibration =
      known_[scenario.calibration.string() + "\n" + scenario.serving.deployment.node.gpu.tables];
  if (!calibration) calibration = read_calibration_of(file_, scenario);
  return calibration;
}

std::string_view to_string(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::infeasible:
      return "infeasible";
    case Status::bad_input:
      return "bad input";
    case Status::nothing_completed:
      return "nothing completed";
  }
  return "?";
}

Scenario Evaluator::load(const Overrides& overrides) const {
  return scenarios::loader::load_scenario(file_, catalogue_, overrides);
}

Evaluation Evaluator::evaluate(const Overrides& overrides, bool with_summary,
                               const std::atomic<bool>* interrupt) const {
  try {
    return evaluate(load(overrides), with_summary, interrupt);
  } catch (const sim::core::InputError& error) {
    return {Status::bad_input, error.diagnostics().front().message, {}, {}, {}};
  } catch (const sim::core::InfeasibleError& error) {
    return {Status::infeasible, error.what(), {}, {}, {}};
  }
}

Evaluation Evaluator::evaluate(Scenario scenario, bool with_summary,
                               const std::atomic<bool>* interrupt) const {
  Evaluation done;
  try {
    sim::engine::RunOptions options;
    options.executor = sim::engine::ExecutorKind::serial;
    options.interrupt = interrupt;
    const ServingResult result =
        models::serving::simulate(scenario.serving, calibrations_.of(scenario), options);
    if (result.run.reason == sim::engine::StopReason::interrupted) throw Interrupted();
    if (!result.conservation_errors.empty())
      throw std::logic_error("conservation check failed: " + result.conservation_errors.front());
    done.metrics = summarise(scenario, result);
    if (result.completed == 0) {
      done.status = Status::nothing_completed;
      done.error = "no request completed";
    }
    if (with_summary) done.summary = summary_json(scenario, result, *done.metrics, {});
  } catch (const sim::core::InfeasibleError& error) {
    done.status = Status::infeasible;
    done.error = error.what();
  }
  done.scenario = std::move(scenario);
  return done;
}

void for_each_in_order(std::size_t n, int threads, const std::atomic<bool>* interrupt,
                       const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto loop = [&] {
    while (!stop) {
      if (interrupt != nullptr && *interrupt) break;
      const std::size_t i = next++;
      if (i >= n) return;
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
        stop = true;
      }
    }
  };
  {
    std::vector<std::jthread> others;
    const auto wanted = std::min(static_cast<std::size_t>(std::max(threads, 1)), n);
    for (std::size_t t = 1; t < wanted; ++t) others.emplace_back(loop);
    loop();
  }
  if (failure) std::rethrow_exception(failure);
  if (next < n) throw Interrupted();
}

}  // namespace foretoken::analysis::study
