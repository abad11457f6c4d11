#include "analysis/run_tables.hpp"

#include <algorithm>
#include <cmath>

#include "analysis/network_results.hpp"
#include "analysis/results_store.hpp"
#include "scenarios/loader/hdf5_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

using models::serving::RequestOutcome;
using models::serving::RequestTable;
using scenarios::loader::Hdf5File;
using scenarios::loader::Hdf5Storage;

// Level 1 with shuffle takes off most of what compresses (integers, repeated exponents) at a
// fraction of the default's time.
constexpr Hdf5Storage kStorage{65536, 1};

constexpr int kBinsPerDecade = 20;
constexpr int kFirstDecade = -5, kLastDecade = 5;

template <typename T>
void put(Hdf5File& h5, const std::string& path, const std::vector<T>& column, const char* unit) {
  h5.write(path, column, kStorage);
  h5.set_attribute(path, "unit", unit);
}

void put_requests(Hdf5File& h5, const RequestTable& r) {
  h5.make_group("requests");
  h5.set_attribute("requests", "rows", "one request, in order of arrival");
  h5.set_attribute("requests", "one_in", r.one_in);
  if (!r.number.empty()) put(h5, "requests/number", r.number, "index");
  put(h5, "requests/arrival_s", r.arrival_s, "s");
  put(h5, "requests/scheduled_s", r.scheduled_s, "s");
  put(h5, "requests/first_token_s", r.first_token_s, "s");
  put(h5, "requests/last_token_s", r.last_token_s, "s");
  put(h5, "requests/input_tokens", r.input_tokens, "token");
  put(h5, "requests/output_tokens", r.output_tokens, "token");
  put(h5, "requests/preemptions", r.preemptions, "1");
  put(h5, "requests/replica", r.replica, "index");
  if (!r.tenant.empty()) put(h5, "requests/tenant", r.tenant, "index");
  if (!r.priority.empty()) put(h5, "requests/priority", r.priority, "1");
  if (!r.deadline_s.empty()) put(h5, "requests/deadline_s", r.deadline_s, "s");
  std::vector<std::uint8_t> outcome(r.outcome.size());
  std::transform(r.outcome.begin(), r.outcome.end(), outcome.begin(),
                 [](RequestOutcome o) { return static_cast<std::uint8_t>(o); });
  put(h5, "requests/outcome", outcome, "code");
  h5.set_attribute("requests/outcome", "codes",
                   "0 completed, 1 rejected, 2 unfinished, 3 timed out, 4 failed");
}

void put_iterations(Hdf5File& h5, const models::serving::StepTable& s) {
  h5.make_group("iterations");
  h5.set_attribute("iterations", "rows", "one engine step, oldest first");
  h5.set_attribute("iterations", "kept_every", s.kept_every);
  put(h5, "iterations/start_s", s.start_s, "s");
  put(h5, "iterations/duration_s", s.duration_s, "s");
  put(h5, "iterations/replica", s.replica, "index");
  put(h5, "iterations/prefill_tokens", s.prefill_tokens, "token");
  put(h5, "iterations/decode_sequences", s.decode_sequences, "sequence");
  put(h5, "iterations/kv_blocks", s.kv_blocks, "block");
  put(h5, "iterations/prefill_sequences", s.prefill_sequences, "sequence");
  put(h5, "iterations/waiting", s.waiting, "request");
  put(h5, "iterations/swapped_blocks", s.swapped_blocks, "block");
}

void put_timeseries(Hdf5File& h5, const models::serving::TimeSeries& s) {
  h5.make_group("timeseries");
  h5.set_attribute("timeseries", "rows", "one bin of simulated time; values are means over it");
  h5.set_attribute("timeseries", "bin_s", s.bin_s);
  std::vector<double> time_s(s.running.size());
  for (std::size_t i = 0; i < time_s.size(); ++i) time_s[i] = static_cast<double>(i) * s.bin_s;
  put(h5, "timeseries/time_s", time_s, "s");
  put(h5, "timeseries/running", s.running, "request");
  put(h5, "timeseries/waiting", s.waiting, "request");
  put(h5, "timeseries/kv_used_fraction", s.kv_used_fraction, "1");
  put(h5, "timeseries/batch_tokens", s.batch_tokens, "token");
  put(h5, "timeseries/gpu_watts", s.gpu_watts, "W");
  put(h5, "timeseries/output_tokens_per_s", s.output_tokens_per_s, "token/s");
}

void put_histogram(Hdf5File& h5, const std::string& name, const Distribution& d) {
  const std::string group = "histograms/" + name;
  h5.make_group(group);
  put(h5, group + "/edges", histogram_edges_s(), "s");
  put(h5, group + "/counts", histogram_counts(d.ascending), "request");
}

void take_requests(const Hdf5File& h5, RequestTable& r) {
  r.arrival_s = h5.read<double>("requests/arrival_s");
  r.scheduled_s = h5.read<double>("requests/scheduled_s");
  r.first_token_s = h5.read<double>("requests/first_token_s");
  r.last_token_s = h5.read<double>("requests/last_token_s");
  r.input_tokens = h5.read<std::int32_t>("requests/input_tokens");
  r.output_tokens = h5.read<std::int32_t>("requests/output_tokens");
  r.preemptions = h5.read<std::int32_t>("requests/preemptions");
  r.replica = h5.read<std::int32_t>("requests/replica");
  for (const std::uint8_t code : h5.read<std::uint8_t>("requests/outcome"))
    r.outcome.push_back(static_cast<RequestOutcome>(code));
  if (h5.has_attribute("requests", "one_in")) r.one_in = h5.int_attribute("requests", "one_in");
  if (h5.exists("requests/number")) r.number = h5.read<std::int64_t>("requests/number");
  if (h5.exists("requests/tenant")) r.tenant = h5.read<std::int32_t>("requests/tenant");
  if (h5.exists("requests/priority")) r.priority = h5.read<std::int32_t>("requests/priority");
  if (h5.exists("requests/deadline_s")) r.deadline_s = h5.read<double>("requests/deadline_s");
}

void take_iterations(const Hdf5File& h5, models::serving::StepTable& s) {
  s.kept_every = h5.int_attribute("iterations", "kept_every");
  s.start_s = h5.read<double>("iterations/start_s");
  s.duration_s = h5.read<double>("iterations/duration_s");
  s.replica = h5.read<std::int32_t>("iterations/replica");
  s.prefill_tokens = h5.read<std::int32_t>("iterations/prefill_tokens");
  s.decode_sequences = h5.read<std::int32_t>("iterations/decode_sequences");
  s.kv_blocks = h5.read<std::int32_t>("iterations/kv_blocks");
  s.prefill_sequences = h5.read<std::int32_t>("iterations/prefill_sequences");
  s.waiting = h5.read<std::int32_t>("iterations/waiting");
  s.swapped_blocks = h5.read<std::int32_t>("iterations/swapped_blocks");
}

void take_timeseries(const Hdf5File& h5, models::serving::TimeSeries& s) {
  s.bin_s = h5.double_attribute("timeseries", "bin_s");
  s.running = h5.read<double>("timeseries/running");
  s.waiting = h5.read<double>("timeseries/waiting");
  s.kv_used_fraction = h5.read<double>("timeseries/kv_used_fraction");
  s.batch_tokens = h5.read<double>("timeseries/batch_tokens");
  s.gpu_watts = h5.read<double>("timeseries/gpu_watts");
  s.output_tokens_per_s = h5.read<double>("timeseries/output_tokens_per_s");
}

// Columns of one table have one length, or a reader would pair wrong rows.
void check_lengths(const std::filesystem::path& file, const char* table,
                   const std::vector<std::size_t>& lengths) {
  if (std::adjacent_find(lengths.begin(), lengths.end(), std::not_equal_to<>()) != lengths.end())
    throw sim::core::InputError(file.string() + ": the columns of " + table +
                                " differ in length; the file is damaged, run again");
}

}  // namespace

std::vector<double> histogram_edges_s() {
  std::vector<double> edges;
  for (int i = kFirstDecade * kBinsPerDecade; i <= kLastDecade * kBinsPerDecade; ++i)
    edges.push_back(std::pow(10.0, static_cast<double>(i) / kBinsPerDecade));
  return edges;
}

std::vector<std::int64_t> histogram_counts(std::span<const double> ascending) {
  const std::vector<double> edges = histogram_edges_s();
  std::vector<std::int64_t> counts(edges.size() - 1, 0);
  std::size_t bin = 0;
  for (const double v : ascending) {
    while (bin + 1 < counts.size() && v >= edges[bin + 1]) ++bin;
    ++counts[bin];
  }
  return counts;
}

void write_run_tables(const std::filesystem::path& file, const Scenario& scenario,
                      const ServingResult& result, const Metrics& metrics) {
  Hdf5File h5 = Hdf5File::create(file);
  h5.set_attribute("/", "format", "foretoken run");
  h5.set_attribute("/", "format_version", std::int64_t{kRunFormatVersion});
  h5.set_attribute("/", "name", scenario.name);
  h5.set_attribute("/", "seed", static_cast<std::int64_t>(scenario.serving.seed));
  put_requests(h5, result.requests);
  put_iterations(h5, result.steps);
  put_timeseries(h5, result.series);
  write_network(h5, result);
  put_histogram(h5, "ttft_s", metrics.ttft);
  put_histogram(h5, "tpot_s", metrics.tpot);
  put_histogram(h5, "e2el_s", metrics.e2el);
  h5.close();
}

ServingResult read_run_tables(const std::filesystem::path& file) {
  const Hdf5File h5 = Hdf5File::open(file);
  if (!h5.has_attribute("/", "format_version") || !h5.has_attribute("/", "format") ||
      h5.string_attribute("/", "format") != "foretoken run")
    throw sim::core::InputError(file.string() +
                                " is not the run.h5 of a run: no format_version of one");
  const std::int64_t version = h5.int_attribute("/", "format_version");
  if (version != kRunFormatVersion)
    throw sim::core::InputError(file.string() + " has run format " + std::to_string(version) +
                                "; this program reads format " + std::to_string(kRunFormatVersion) +
                                ": run the scenario again with it");
  ServingResult result;
  take_requests(h5, result.requests);
  take_iterations(h5, result.steps);
  take_timeseries(h5, result.series);
  const auto& r = result.requests;
  check_lengths(
      file, "requests",
      {r.arrival_s.size(), r.scheduled_s.size(), r.first_token_s.size(), r.last_token_s.size(),
       r.input_tokens.size(), r.output_tokens.size(), r.preemptions.size(), r.replica.size(),
       r.outcome.size(), r.tenant.empty() ? r.size() : r.tenant.size(),
       r.priority.empty() ? r.size() : r.priority.size(),
       r.deadline_s.empty() ? r.size() : r.deadline_s.size()});
  const auto& s = result.steps;
  check_lengths(file, "iterations",
                {s.start_s.size(), s.duration_s.size(), s.replica.size(), s.prefill_tokens.size(),
                 s.decode_sequences.size(), s.kv_blocks.size(), s.prefill_sequences.size(),
                 s.waiting.size(), s.swapped_blocks.size()});
  const auto& t = result.series;
  check_lengths(file, "timeseries",
                {t.running.size(), t.waiting.size(), t.kv_used_fraction.size(),
                 t.batch_tokens.size(), t.gpu_watts.size(), t.output_tokens_per_s.size()});
  return result;
}

}  // namespace foretoken::analysis
