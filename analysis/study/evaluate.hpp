#pragma once
// One scenario file, simulated many times with other values: what sweep, capacity, compare and
// plan have in common.
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "analysis/statistics.hpp"
#include "models/kernels/calibration.hpp"

namespace foretoken::analysis::study {

using Overrides = std::vector<std::string>;  // "deployment.replicas=2", as given to --set

// The product's calibration, only the tables of the scenario's GPU, and over it the user's own
// where the scenario names a file of such. InputError where that file has none of the GPU.
std::shared_ptr<const models::kernels::Calibration> read_calibration_of(
    const std::filesystem::path& product, const Scenario& scenario);

// Calibrations by GPU, each read once. Safe to share between threads.
class CalibrationStore {
 public:
  explicit CalibrationStore(std::filesystem::path file) : file_(std::move(file)) {}
  std::shared_ptr<const models::kernels::Calibration> of(const Scenario& scenario);
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const models::kernels::Calibration>> known_;
};

// What became of one point. Bad input and a model that does not fit are outcomes here, not ends:
// the other points go on.
enum class Status { ok, infeasible, bad_input, nothing_completed };
std::string_view to_string(Status status);

struct Evaluation {
  Status status = Status::ok;
  std::string error;  // empty if ok
  std::optional<Scenario> scenario;
  std::optional<Metrics> metrics;
  std::string summary;  // summary.json, if asked for
};

class Evaluator {
 public:
  Evaluator(std::filesystem::path file, const scenarios::loader::Catalogue& catalogue,
            CalibrationStore& calibrations)
      : file_(std::move(file)), catalogue_(catalogue), calibrations_(calibrations) {}

  // Throws InputError.
  [[nodiscard]] Scenario load(const Overrides& overrides) const;
  // Simulates on the calling thread. Throws std::logic_error when a conservation check fails: that
  // is a bug and no result. `interrupt`: as in engine::RunOptions.
  [[nodiscard]] Evaluation evaluate(const Overrides& overrides, bool with_summary,
                                    const std::atomic<bool>* interrupt) const;
  [[nodiscard]] Evaluation evaluate(Scenario scenario, bool with_summary,
                                    const std::atomic<bool>* interrupt) const;
  [[nodiscard]] const std::filesystem::path& calibration_file() const {
    return calibrations_.file();
  }

 private:
  std::filesystem::path file_;
  const scenarios::loader::Catalogue& catalogue_;
  CalibrationStore& calibrations_;
};

// Thrown where work ends early on Ctrl-C; what is on disk by then stays valid.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

// Calls work(i) for i in [0, n), begun in this order, on up to `threads` threads. After the first
// exception nothing new begins; it is rethrown when all threads have ended. Interrupted is thrown
// if `interrupt` was set before the last item had begun.
void for_each_in_order(std::size_t n, int threads, const std::atomic<bool>* interrupt,
                       const std::function<void(std::size_t)>& work);

}  // namespace foretoken::analysis::study
