#include "analysis/results_store.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "analysis/run_documents.hpp"
#include "analysis/run_tables.hpp"
#include "fixture.hpp"
#include "scenarios/loader/hdf5_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

namespace fs = std::filesystem;
using sim::core::InputError;
using test::content_of;
using test::small_result;
using test::small_scenario;
using test::TemporaryFolder;

void write_small(const fs::path& directory, const Scenario& s, const RunInfo& info = {}) {
  const ServingResult r = small_result();
  write_run(directory, s, r, summarise(s, r), info);
}

TEST_CASE("store: all files, nothing else, and equal bytes for equal runs") {
  TemporaryFolder tmp;
  const RunInfo info{"0.1.0", "foretoken run three.yaml", 1, 0.5, 0.4, 50};
  write_small(tmp.path() / "deep" / "a", small_scenario(), info);
  write_small(tmp.path() / "deep" / "b", small_scenario(), info);
  for (const char* name :
       {"summary.json", "run.h5", "report.html", "config.resolved.yaml", "manifest.json"}) {
    INFO(name);
    const std::string a = content_of(tmp.path() / "deep" / "a" / name);
    CHECK_FALSE(a.empty());
    CHECK(a == content_of(tmp.path() / "deep" / "b" / name));
  }
  CHECK(std::distance(fs::directory_iterator(tmp.path() / "deep"), {}) == 2);
}

TEST_CASE("store: tables come back as they were") {
  TemporaryFolder tmp;
  write_small(tmp.path() / "run", small_scenario());
  const ServingResult back = read_run_tables(tmp.path() / "run" / "run.h5");
  const ServingResult r = small_result();
  CHECK(back.requests.first_token_s == r.requests.first_token_s);
  CHECK(back.requests.output_tokens == r.requests.output_tokens);
  CHECK(back.requests.outcome == r.requests.outcome);
  CHECK(back.steps.duration_s == r.steps.duration_s);
  CHECK(back.steps.kept_every == r.steps.kept_every);
  CHECK(back.steps.waiting == r.steps.waiting);
  CHECK(back.steps.swapped_blocks == r.steps.swapped_blocks);
  CHECK(back.series.bin_s == r.series.bin_s);
  CHECK(back.series.gpu_watts == r.series.gpu_watts);
}

std::string output_of(const std::string& command) {
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  INFO(text);
  REQUIRE(::pclose(pipe) == 0);
  return text;
}

TEST_CASE("store: h5py and pandas read run.h5 as it is, and NumPy agrees with every metric") {
  TemporaryFolder tmp;
  const Scenario s = small_scenario();
  const ServingResult r = test::large_result(5000);
  write_run(tmp.path() / "run", s, r, summarise(s, r), {});
  const auto read = nlohmann::json::parse(output_of("/usr/bin/python3 " FORETOKEN_SOURCE_DIR
                                                    "/tests/unit/analysis/read_run.py " +
                                                    (tmp.path() / "run" / "run.h5").string()));
  const auto summary = nlohmann::json::parse(content_of(tmp.path() / "run" / "summary.json"));
  CHECK(read["format_version"] == kRunFormatVersion);
  CHECK(read["name"] == "Three requests");
  CHECK(read["groups"] == nlohmann::json({"histograms", "iterations", "requests", "timeseries"}));
  CHECK(read["units"]["arrival_s"] == "s");
  CHECK(read["units"]["input_tokens"] == "token");
  for (const char* key : {"completed", "total_output_tokens"}) CHECK(read[key] == summary[key]);
  for (const char* key : {"mean_ttft_ms", "p99_ttft_ms", "std_tpot_ms", "p90_tpot_ms"}) {
    INFO(key);
    CHECK(read[key].get<double>() == Approx(summary[key].get<double>()).epsilon(1e-12));
  }
  CHECK(read["iterations"] == r.steps.start_s.size());
  CHECK(read["series"] == r.series.running.size());
  CHECK(read["histogram_total"] == 5000);
  CHECK(read["histogram_fits"] == true);
}

TEST_CASE("store: a file from another version or of another kind is refused") {
  TemporaryFolder tmp;
  const fs::path file = tmp.path() / "run.h5";
  {
    auto h5 = scenarios::loader::Hdf5File::create(file);
    h5.set_attribute("/", "format", "foretoken run");
    h5.set_attribute("/", "format_version", std::int64_t{kRunFormatVersion + 1});
    h5.close();
  }
  CHECK_THROWS_WITH(read_run_tables(file),
                    Catch::Contains("run format 3") && Catch::Contains("reads format 2"));
  auto h5 = scenarios::loader::Hdf5File::create(file);
  h5.close();
  CHECK_THROWS_WITH(read_run_tables(file), Catch::Contains("not the run.h5 of a run"));
  CHECK_THROWS_AS(read_run_tables(tmp.path() / "absent.h5"), InputError);
}

TEST_CASE("store: columns of different length are damage") {
  TemporaryFolder tmp;
  ServingResult r = small_result();
  r.series.gpu_watts.pop_back();
  const fs::path file = tmp.path() / "run.h5";
  write_run_tables(file, small_scenario(), r, summarise(small_scenario(), small_result()));
  CHECK_THROWS_WITH(read_run_tables(file), Catch::Contains("columns of timeseries differ"));
}

TEST_CASE("store: a run is replaced, other files never are") {
  TemporaryFolder tmp;
  const fs::path at = tmp.path() / "run";
  write_small(at, small_scenario());
  Scenario renamed = small_scenario();
  renamed.name = "second";
  write_small(at, renamed);
  CHECK(nlohmann::json::parse(content_of(at / "summary.json"))["name"] == "second");
  CHECK(tmp.entries() == 1);  // no staging folder stays

  write_file_atomically(at / "notes.txt", "mine");
  CHECK_THROWS_WITH(check_writable(at), Catch::Contains("notes.txt"));
  CHECK_THROWS_AS(write_small(at, small_scenario()), InputError);
  CHECK(content_of(at / "notes.txt") == "mine");
}

TEST_CASE("store: refuses what it cannot write, before the work") {
  TemporaryFolder tmp;
  write_file_atomically(tmp.path() / "file", "x");
  CHECK_THROWS_WITH(check_writable(tmp.path() / "file"), Catch::Contains("is a file"));
  CHECK_THROWS_WITH(check_writable(tmp.path() / "file" / "sub"), Catch::Contains("not a folder"));
  CHECK_THROWS_AS(check_writable("/proc/foretoken/run"), InputError);
  CHECK_THROWS_AS(check_writable(""), InputError);
  CHECK_NOTHROW(check_writable(tmp.path() / "new" / "deeper"));
  CHECK(tmp.entries() == 1);  // the check leaves nothing behind
}

TEST_CASE("store: a staging folder of a killed process is cleared away, a live one is not") {
  TemporaryFolder tmp;
  const fs::path dead = tmp.path() / ".run.writing-999999999";
  const fs::path alive = tmp.path() / (".run.writing-" + std::to_string(::getppid()));
  fs::create_directory(dead);
  fs::create_directory(alive);
  write_small(tmp.path() / "run", small_scenario());
  CHECK_FALSE(fs::exists(dead));
  CHECK(fs::exists(alive));
}

// Files end at `bytes`, as on a full disk (but with EFBIG for ENOSPC).
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_CASE("store: a full disk is one clear error, and the earlier run stays whole") {
  TemporaryFolder tmp;
  const fs::path at = tmp.path() / "run";
  write_small(at, small_scenario());
  const std::string before = content_of(at / "summary.json");
  Scenario renamed = small_scenario();
  renamed.name = "second";
  for (const rlim_t bytes :
       {rlim_t{100}, rlim_t{20'000}, rlim_t{100'000}}) {  // summary.json, run.h5, report.html fail
    INFO(bytes);
    const ServingResult r = test::large_result(20'000);
    const Metrics m = summarise(renamed, r);
    std::string message;
    {
      const SmallDisk disk(bytes);
      try {
        write_run(at, renamed, r, m, {});
      } catch (const InputError& error) {
        message = error.what();
      }
    }
    CHECK_FALSE(message.empty());
    CHECK(tmp.entries() == 1);
    CHECK(content_of(at / "summary.json") == before);
    CHECK_NOTHROW(read_run_tables(at / "run.h5"));
  }
}

TEST_CASE("store: the default folder is named after the scenario and what it hashes to") {
  Scenario s = small_scenario();
  const std::string a = default_run_directory(s).string();
  CHECK(a.rfind("runs/three-requests-", 0) == 0);
  CHECK(a.size() == std::string("runs/three-requests-").size() + 8);
  CHECK(default_run_directory(s) == a);
  s.serving.seed = 2;
  CHECK(default_run_directory(s) != a);
  s = small_scenario();
  s.resolved[4].value = "2";
  CHECK(default_run_directory(s) != a);
  s.name = "../../etc/passwd";
  CHECK(default_run_directory(s).string().rfind("runs/etc-passwd-", 0) == 0);
  s.name = "///";
  CHECK(default_run_directory(s).string().rfind("runs/run-", 0) == 0);
}

TEST_CASE("resolved configuration: nested, lists as lists, origin beside each value") {
  const std::string text = resolved_yaml(small_scenario());
  INFO(text);
  CHECK(text.find("name: \"Three requests\"") != std::string::npos);
  CHECK(text.find("# three.yaml:2\n") != std::string::npos);
  CHECK(text.find("deployment:\n  parallel:\n    tensor: 2 ") != std::string::npos);
  CHECK(text.find("  replicas: 1 ") != std::string::npos);
  CHECK(text.find("# default\n") != std::string::npos);
  CHECK(text.find("slo:\n  - \"ttft.p90 <= 2s\"") != std::string::npos);
  CHECK(text.find("  # layers: 2  (card tiny)\n") != std::string::npos);
}

TEST_CASE("histogram: every value in one bin, the ends take the rest") {
  const auto edges = histogram_edges_s();
  CHECK(edges.size() == 201);
  CHECK(edges.front() == Approx(1e-5));
  CHECK(edges.back() == Approx(1e5));
  const std::vector<double> values{0, 1e-9, 0.5, 0.5, 1e9};
  const auto counts = histogram_counts(values);
  CHECK(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}) == 5);
  CHECK(counts.front() == 2);
  CHECK(counts.back() == 1);
}

TEST_CASE("manifest: inputs, seed, build and the command that replays it") {
  const auto j = nlohmann::json::parse(manifest_json(
      small_scenario(), small_result(), {"0.1.0", "foretoken run three.yaml", 2, 1.5, 1, 50}));
  CHECK(j["inputs"]["three.yaml"] == "fnv1a64:0000000000000001, 10 bytes");
  CHECK(j["seed"] == 1);
  CHECK(j["replay"] == "foretoken run three.yaml");
  CHECK_FALSE(j["build"].get<std::string>().empty());
  CHECK(j["run"]["wall_s"] == 1.5);
  CHECK(j["event_hash"] == "0000000000abcdef");
}

}  // namespace
}  // namespace foretoken::analysis
