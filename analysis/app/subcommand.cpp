#include "analysis/app/subcommand.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {

int run_subcommand(const Invocation& invocation, std::string_view noun, std::string_view about,
                   const std::vector<Subcommand>& subcommands) {
  if (invocation.pages != nullptr) {
    PageList& list = *invocation.pages;
    CommandPage page;
    page.synopsis = fmt::format("{} NAME [options]", invocation.command);
    page.about = fmt::format("{}\n", about);
    list.entries.push_back({invocation.command, std::move(page)});
    list.prefix = invocation.command + " ";
    for (const Subcommand& sub : subcommands)
      sub.run({std::string(sub.name), {}, {}, {}, invocation.pages});
    list.prefix.clear();
    return kOk;
  }
  const std::vector<std::string>& args = invocation.args;
  if (!args.empty() && (args[0] == "--help" || args[0] == "-h")) {
    std::cout << fmt::format("usage: foretoken {} NAME [options]\n\n{}\n", invocation.command,
                             about);
    for (const Subcommand& sub : subcommands) {
      std::cout << fmt::format("  {:<10} {}\n", sub.name, sub.summary);
    }
    std::cout << fmt::format("\n'foretoken {} NAME --help' shows the options of one.\n",
                             invocation.command);
    return kOk;
  }
  std::vector<std::string> names;
  for (const Subcommand& sub : subcommands) {
    names.emplace_back(sub.name);
    if (args.empty() || sub.name != args[0]) continue;
    Invocation inner = invocation;
    inner.args.erase(inner.args.begin());
    return sub.run(inner);
  }
  if (args.empty()) {
    throw UsageError(fmt::format("which {}? It is one of {}", noun, fmt::join(names, ", ")));
  }
  throw UsageError(fmt::format("unknown {} '{}'{}; it is one of {}", noun, args[0],
                               suggestion(args[0], names), fmt::join(names, ", ")));
}

}  // namespace foretoken::analysis::app
