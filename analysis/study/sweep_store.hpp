#pragma once
// The folder of a sweep:
//   points/HASH.json   one simulated point, named by the hash of everything its result depends on
//   sweep.h5           all points: parameters, metrics, means over repeats with their intervals
//   sweep.csv          the same, a row a point
//   sweep.yaml         the sweep file as it was
//   .claims/ROW        while ranks share a sweep: rows that one of them has taken
// Files appear whole or not at all, so a sweep that was killed goes on with --resume and ends with
// the same bytes as one that was not.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analysis/study/aggregate.hpp"
#include "analysis/study/evaluate.hpp"
#include "analysis/study/sweep_spec.hpp"

namespace foretoken::analysis::study {

inline constexpr int kSweepFormatVersion = 1;

// Numbers of summary.json by path, "slo.attainment.value", without what differs between equal
// runs. Booleans are 0 and 1.
std::map<std::string, double> flat_numbers(const std::string& summary);

struct PointResult {
  Status status = Status::ok;
  std::string error;
  std::map<std::string, double> metrics;  // empty unless ok
};

// As kept in a file, and back; `name` is told in the InputError where the text is no such thing.
std::string text_of(const PointResult& result);
PointResult result_of(const std::string& text, const std::string& name);

// Owner of the folder; one program at a time.
class SweepStore {
 public:
  // Creates it, or with `resume` goes on in it. InputError when it holds a sweep and resume is not
  // asked for, when another sweep runs in it, or when its points are of another format version.
  // `owner`: false for the ranks beside rank 0, which share the folder that rank 0 has locked.
  SweepStore(std::filesystem::path folder, bool resume, bool owner = true);
  ~SweepStore();
  SweepStore(const SweepStore&) = delete;
  SweepStore& operator=(const SweepStore&) = delete;

  [[nodiscard]] std::optional<PointResult> find(const std::string& hash) const;
  void keep(const std::string& hash, const PointResult& result) const;
  // Whether the caller is the first of all programs on the folder to ask for this row.
  [[nodiscard]] bool claim(std::size_t row) const;

  struct Row {
    Point point;
    std::uint64_t seed = 0;
    std::size_t number = 0;  // of the point; repeats share it
    PointResult result;
  };
  // Writes sweep.h5, sweep.csv and sweep.yaml.
  void finish(const SweepSpec& spec, const std::vector<Row>& rows) const;
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  int lock_ = -1;
};

}  // namespace foretoken::analysis::study
