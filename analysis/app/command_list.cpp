// foretoken list: what the catalogue holds.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::analysis::app {
namespace {

using Entries = std::vector<scenarios::loader::Catalogue::Entry>;

void print_text(const Entries& entries) {
  std::size_t width = 0;
  for (const auto& entry : entries) width = std::max(width, entry.name.size());
  for (const auto& entry : entries) {
    const std::string kind = entry.kind.empty() ? "" : fmt::format("{:<7}  ", entry.kind);
    std::cout << fmt::format("{:<{}}  {}{}\n", entry.name, width, kind, entry.summary);
  }
}

void print_json(const Entries& entries) {
  auto json = nlohmann::ordered_json::array();
  for (const auto& entry : entries) {
    json.push_back({{"name", entry.name}, {"summary", entry.summary}, {"file", entry.file}});
    if (!entry.kind.empty()) json.back()["kind"] = entry.kind;
  }
  std::cout << json.dump(2) << '\n';
}

}  // namespace

int list_command(const Invocation& invocation) {
  const std::vector<std::string> kinds = {"models", "hardware", "engines", "policies", "workloads"};
  CommandPage page;
  page.synopsis = fmt::format("list {}", fmt::join(kinds, "|"));
  page.about = "Names that scenario files may use, with one line on each.\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {{"json", "", "as JSON, with the file of each card"}};
  const auto line = parse(page, invocation);
  if (!line) return kOk;
  const std::string& kind = line->arguments[0];
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    throw UsageError(fmt::format("nothing to list called '{}'{}; it is one of {}", kind,
                                 suggestion(kind, kinds), fmt::join(kinds, ", ")));
  }
  const Entries entries = scenarios::loader::Catalogue(invocation.home).list(kind);
  line->has("json") ? print_json(entries) : print_text(entries);
  return kOk;
}

}  // namespace foretoken::analysis::app
