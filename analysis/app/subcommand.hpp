#pragma once
// Commands that have commands: bench and validate.
#include <string_view>
#include <vector>

#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

struct Subcommand {
  std::string_view name;
  std::string_view summary;
  int (*run)(const Invocation&);  // args without the name
};

// Runs the one that args[0] names, prints a page for --help, UsageError otherwise. `noun` is what
// one of them is called, `about` a paragraph for the page.
int run_subcommand(const Invocation& invocation, std::string_view noun, std::string_view about,
                   const std::vector<Subcommand>& subcommands);

}  // namespace foretoken::analysis::app
