// The command line: picks the command and turns what it throws into a message and an exit code.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/home.hpp"
#include "analysis/app/options.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::app {
namespace {

void complain(const std::string& text) { fmt::print(stderr, "foretoken: {}\n", text); }

const Command& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == name) return command;
    names.emplace_back(command.name);
  }
  const char* kind = name.starts_with('-') ? "option" : "command";
  throw UsageError(fmt::format("unknown {} '{}'{}; 'foretoken --help' lists them", kind, name,
                               suggestion(name, names)));
}

int dispatch(const std::vector<std::string>& argv) {
  if (argv.size() < 2) {
    std::cout << overview();
    return kUsage;
  }
  const std::string& first = argv[1];
  if (first == "--help" || first == "-h") {
    std::cout << overview();
    return kOk;
  }
  if (first == "--version" || first == "-V") {
    std::cout << version_line() << '\n';
    return kOk;
  }
  const Command& command = find_command(first);
  Invocation invocation{first, {argv.begin() + 2, argv.end()}, find_home(), argv};
  const char* const launcher = std::getenv("FORETOKEN_PROGRAM");
  invocation.argv[0] = launcher != nullptr ? launcher : "foretoken";
  return command.run(invocation);
}

int guarded(const std::vector<std::string>& argv) {
  try {
    const int code = dispatch(argv);
    std::cout.flush();
    if (!std::cout) {
      complain("cannot write to standard output");
      return kBadInput;
    }
    return code;
  } catch (const UsageError& error) {
    complain(error.what());
    return kUsage;
  } catch (const sim::core::InputError& error) {
    for (const auto& diagnostic : error.diagnostics()) {
      fmt::print(stderr, "{}\n", sim::core::to_string(diagnostic));
    }
    return kBadInput;
  } catch (const sim::core::InfeasibleError& error) {
    complain(error.what());
    return kInfeasible;
  } catch (const std::filesystem::filesystem_error& error) {
    complain(error.what());
    return kBadInput;
  } catch (const std::bad_alloc&) {
    complain("out of memory");
    return kLimitHit;
  } catch (const std::exception& error) {
    complain(fmt::format(
        "internal error: {}\nThis is a bug. Please report it with the command line, the scenario "
        "and this line: {}",
        error.what(), version_line()));
    return kBug;
  }
}

}  // namespace
}  // namespace foretoken::analysis::app

int main(int argc, char** argv) {
  return foretoken::analysis::app::guarded(std::vector<std::string>(argv, argv + argc));
}
