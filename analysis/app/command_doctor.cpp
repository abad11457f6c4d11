// foretoken doctor: what is missing on this machine, and what to do about it.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/results_store.hpp"
#include "models/serving/serving.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;

enum class State { good, note, bad };

struct Finding {
  State state;
  std::string what, text;
};
using Findings = std::vector<Finding>;

constexpr double kGiB = 1073741824.0;

// Whether a program of that name is on the path.
bool has_program(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::string list = path == nullptr ? "" : path;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(':', at), list.size());
    std::error_code ignored;
    if (fs::exists(fs::path(list.substr(at, end - at)) / name, ignored)) return true;
    at = end + 1;
  }
  return false;
}

void look_at_data(Findings& out, const fs::path& home) {
  const scenarios::loader::Catalogue catalogue(home);
  std::string counts;
  for (const char* kind : {"models", "hardware", "engines", "workloads"}) {
    const std::size_t n = catalogue.list(kind).size();
    counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", n, kind);
    if (n == 0) out.push_back({State::bad, "catalogue", fmt::format("no {} in it", kind)});
  }
  out.push_back({State::good, "catalogue", home.string() + ": " + counts});
  try {
    const auto calibration = scenarios::loader::read_calibration(calibration_file(home));
    out.push_back({calibration->tables.empty() ? State::bad : State::good, "calibration",
                   fmt::format("{} tables of measurements", calibration->tables.size())});
  } catch (const sim::core::InputError& error) {
    out.push_back({State::bad, "calibration",
                   std::string(error.what()) + "; git checkout validation/calibrate restores it"});
  }
}

// A scenario from end to end, which takes well under a second.
void look_at_a_run(Findings& out, const fs::path& home) {
  const fs::path file = home / "scenarios" / "quickstart.yaml";
  try {
    const auto scenario = scenarios::loader::load_scenario(file, scenarios::loader::Catalogue(home),
                                                           {"workload.duration=60s"});
    const auto result =
        models::serving::simulate(scenario.serving, load_calibration(home, scenario), {});
    const bool good = result.conservation_errors.empty() && result.completed > 0;
    out.push_back({good ? State::good : State::bad, "a run",
                   fmt::format("{} requests of scenarios/quickstart.yaml in {:.2f} s",
                               result.completed, result.run.wall_s)});
  } catch (const sim::core::InputError& error) {
    out.push_back({State::bad, "a run", error.what()});
  }
}

void look_at_machine(Findings& out) {
  struct sysinfo info {};
  ::sysinfo(&info);
  const double memory = static_cast<double>(info.totalram) * info.mem_unit / kGiB;
  const unsigned cores = std::thread::hardware_concurrency();
  out.push_back({memory < 2.0 ? State::note : State::good, "machine",
                 fmt::format("{} cores, {:.1f} GiB of memory{}", cores, memory,
                             memory < 2.0 ? "; plans over many candidates want 1 GiB free" : "")});
  std::error_code error;
  const auto space = fs::space(".", error);
  const double free = error ? 0.0 : static_cast<double>(space.available) / kGiB;
  out.push_back(
      {free < 0.5 ? State::note : State::good, "disk", fmt::format("{:.1f} GiB free here", free)});
  try {
    check_writable("runs/doctor-probe");
    out.push_back({State::good, "results", "can be written below this folder"});
  } catch (const sim::core::InputError& problem) {
    out.push_back({State::bad, "results", problem.what()});
  }
}

void look_at_programs(Findings& out) {
#ifdef FORETOKEN_WITH_MPI
  const bool mpirun = has_program("mpirun");
  out.push_back({mpirun ? State::good : State::note, "ranks",
                 mpirun ? "built with MPI, mpirun is there"
                        : "built with MPI but there is no mpirun: apt-get install openmpi-bin"});
#else
  out.push_back({State::note, "ranks",
                 "built without MPI: install libopenmpi-dev and openmpi-bin and build again, for "
                 "runs and sweeps over several machines"});
#endif
  for (const auto& [program, why] :
       {std::pair{"python3", "reads run.h5 with h5py and pandas (analysis/examples)"},
        std::pair{"c++", "builds a batching policy of your own (models/serving/include)"}})
    out.push_back({has_program(program) ? State::good : State::note, program,
                   has_program(program) ? why : fmt::format("not on the path; it {}", why)});
}

const char* mark(State state) {
  return state == State::good ? "ok" : state == State::note ? "note" : "BAD";
}

}  // namespace

int doctor_command(const Invocation& invocation) {
  CommandPage page;
  page.synopsis = "doctor [--json]";
  page.about =
      "Looks for what is missing or damaged here: the catalogue, the calibration, a short run, "
      "room "
      "and\n"
      "rights to write, what goes over several machines. Exit 3 when something will not work.\n";
  page.options = {{"json", "", "the findings as JSON"}};
  const auto line = parse(page, invocation);
  if (!line) return kOk;
  Findings findings{{State::good, "version", version_line()}};
  look_at_data(findings, invocation.home);
  look_at_a_run(findings, invocation.home);
  look_at_machine(findings);
  look_at_programs(findings);
  bool bad = false;
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::string text;
  for (const Finding& finding : findings) {
    bad = bad || finding.state == State::bad;
    json.push_back(
        {{"what", finding.what}, {"state", mark(finding.state)}, {"text", finding.text}});
    text += fmt::format("{:<5} {:<12} {}\n", mark(finding.state), finding.what, finding.text);
  }
  std::cout << (line->has("json") ? json.dump(2) + "\n" : text);
  return bad ? kBadInput : kOk;
}

}  // namespace foretoken::analysis::app
