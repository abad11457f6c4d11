#include "analysis/app/session.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "analysis/study/evaluate.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::app {
namespace {

namespace loader = scenarios::loader;
namespace fs = std::filesystem;

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

loader::Scenario load_with_warnings(const fs::path& file, const fs::path& home,
                                    const std::vector<std::string>& overrides) {
  loader::Scenario scenario = loader::load_scenario(file, loader::Catalogue(home), overrides);
  for (const auto& warning : scenario.warnings) {
    fmt::print(stderr, "{}\n", sim::core::to_string(warning));
  }
  return scenario;
}

fs::path calibration_file(const fs::path& home) {
  return home / "validation" / "calibrate" / "calibration.h5";
}

std::shared_ptr<const models::kernels::Calibration> load_calibration(
    const fs::path& home, const loader::Scenario& scenario) {
  return study::read_calibration_of(calibration_file(home), scenario);
}

double machine_memory() {
  double bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  double limit = 0;  // the file says "max" where there is none
  if (std::ifstream group("/sys/fs/cgroup/memory.max"); group >> limit && limit > 0)
    bytes = std::min(bytes, limit);
  return bytes;
}

ResourceUse resource_use() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {seconds(usage.ru_utime) + seconds(usage.ru_stime),
          static_cast<double>(usage.ru_maxrss) / 1024.0};
}

void log_to_stderr(bool verbose) {
  auto logger = std::make_shared<spdlog::logger>(
      "foretoken", std::make_shared<spdlog::sinks::stderr_color_sink_st>());
  logger->set_pattern("%^%l%$: %v");
  logger->set_level(verbose ? spdlog::level::info : spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
}

void log_info(const std::string& text) { spdlog::info(text); }

void silence_output() {
  for (std::FILE* stream : {stdout, stderr})
    if (std::freopen("/dev/null", "w", stream) == nullptr) std::fclose(stream);
}

std::string shell_quoted(const std::vector<std::string>& argv) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  std::string line;
  for (const std::string& word : argv) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

}  // namespace foretoken::analysis::app
