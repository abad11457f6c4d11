// foretoken validate SUBJECT: predictions beside measurements.
#include "analysis/app/validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {
namespace {

struct Subject {
  std::string_view name, summary;
  int (*run)(const Invocation&);
};

const std::vector<Subject>& subjects() {
  static const std::vector<Subject> kSubjects = {
      {"trace", "kernels of a profiler's trace: classes, overlap, predicted against measured",
       validate_trace_command},
  };
  return kSubjects;
}

std::string page() {
  std::string text =
      "usage: foretoken validate SUBJECT [arguments] [options]\n\n"
      "Sets what the models predict beside what was measured.\n\nsubjects:\n";
  for (const Subject& subject : subjects())
    text += fmt::format("  {:<10} {}\n", subject.name, subject.summary);
  return text + "\n'foretoken validate SUBJECT --help' shows a subject's options.\n";
}

}  // namespace

int validate_command(const Invocation& invocation) {
  if (invocation.args.empty()) throw UsageError("validate what? See foretoken validate --help");
  const std::string& name = invocation.args.front();
  if (name == "--help" || name == "-h") {
    std::cout << page();
    return kOk;
  }
  std::vector<std::string> names;
  for (const Subject& subject : subjects()) names.emplace_back(subject.name);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw UsageError(
        fmt::format("validate {}: no such subject{}; 'foretoken validate --help' lists them", name,
                    suggestion(name, names)));
  Invocation rest = invocation;
  rest.command += " " + name;
  rest.args.erase(rest.args.begin());
  return subjects()[static_cast<std::size_t>(found - names.begin())].run(rest);
}

}  // namespace foretoken::analysis::app
