// foretoken validate cases: published deployments and figures beside predictions.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"
#include "validation/cases/run_cases.hpp"

namespace foretoken::analysis::app {
namespace {

namespace cases = validation::cases;
using Json = nlohmann::ordered_json;

CommandPage page() {
  CommandPage page;
  page.synopsis = "validate cases [options]";
  page.about =
      "Published deployments and figures, one row each: what was measured, what is predicted, and\n"
      "how near the two must be. Each case is a file of validation/cases, with its source.\n";
  page.examples =
      "  foretoken validate cases\n"
      "  foretoken validate cases --only profile-decode --json\n";
  page.options = {
      {"only", "ID", "only this case; may be repeated", "", true},
      {"dir", "DIR", "case files of your own (default: validation/cases)"},
      {"require", "", "exit 5 if a case is outside its limit"},
      {"json", "", "as JSON"},
  };
  return page;
}

Json to_json(const std::vector<cases::CaseRow>& rows) {
  Json list = Json::array();
  for (const auto& row : rows) {
    Json item = {{"id", row.head.id},
                 {"quantity", row.head.quantity},
                 {"measured", row.head.measured},
                 {"predicted", row.predicted ? Json(*row.predicted) : Json(nullptr)},
                 {"ape", row.predicted ? Json(row.error) : Json(nullptr)},
                 {"limit", row.head.limit},
                 {"unit", row.head.points ? "points" : "percent"},
                 {"holds", row.holds()},
                 {"source", row.head.source + " (" + row.head.date + ")"}};
    if (!row.refused.empty()) item["refused"] = row.refused;
    list.push_back(std::move(item));
  }
  return {{"cases", std::move(list)}};
}

std::string number(double value) {
  return std::abs(value) < 100 ? fmt::format("{:.3g}", value) : fmt::format("{:.0f}", value);
}

void print_text(const std::vector<cases::CaseRow>& rows) {
  std::size_t width = 4;
  for (const auto& row : rows) width = std::max(width, row.head.id.size());
  std::cout << fmt::format("{:<{}} {:>12} {:>12} {:>9} {:>7}  {}\n", "case", width, "measured",
                           "predicted", "off by", "limit", "quantity");
  for (const auto& row : rows) {
    const char* const unit = row.head.points ? "pt" : " %";
    std::cout << fmt::format(
        "{:<{}} {:>12} {:>12} {:>9} {:>4.3g}{}  {}{}\n", row.head.id, width,
        number(row.head.measured), row.predicted ? number(*row.predicted) : std::string("refused"),
        row.predicted ? fmt::format("{:.1f}{}", row.error, unit) : "", row.head.limit, unit,
        row.head.quantity, row.holds() ? "" : "  OUTSIDE");
    if (!row.refused.empty()) std::cout << "  " << row.refused << '\n';
  }
}

}  // namespace

int validate_cases_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  cases::CaseOptions options;
  options.folder = line->has("dir") ? std::filesystem::path(line->text("dir"))
                                    : invocation.home / "validation" / "cases";
  options.calibration = calibration_file(invocation.home);
  options.only = line->list("only");
  const auto rows = cases::run_cases(scenarios::loader::Catalogue(invocation.home), options);
  if (line->has("json"))
    std::cout << to_json(rows).dump(2) << '\n';
  else
    print_text(rows);
  const bool all = std::all_of(rows.begin(), rows.end(), [](const auto& r) { return r.holds(); });
  return all || !line->has("require") ? kOk : kGateFailed;
}

}  // namespace foretoken::analysis::app
