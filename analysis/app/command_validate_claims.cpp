// foretoken validate claims: what two articles say about local deployments, run and judged.
#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"
#include "analysis/results_store.hpp"
#include "validation/claims/claim_text.hpp"
#include "validation/claims/claims_page.hpp"
#include "validation/claims/run_claims.hpp"
#include "validation/claims/verdict.hpp"

namespace foretoken::analysis::app {
namespace {

namespace claims = validation::claims;
using claims::claimed_text;
using claims::number_text;
using claims::outcome_text;
using claims::predicted_text;
using Json = nlohmann::ordered_json;

CommandPage page() {
  CommandPage page;
  page.synopsis = "validate claims [options]";
  page.about =
      "Every system and number of the two articles on what a local DeepSeek deployment needs and\n"
      "costs, computed and judged: holds, off by N x, impossible, contradicts itself, or not\n"
      "testable here. Each claim is a file of scenarios/claims, with the scenarios that it runs.\n";
  page.examples =
      "  foretoken validate claims\n"
      "  foretoken validate claims --only B5 --json\n"
      "  foretoken validate claims --language zh\n";
  page.options = {
      {"only", "ID", "only this claim; may be repeated", "", true},
      {"dir", "DIR", "claim files of your own (default: scenarios/claims)"},
      {"language", "CODE", "en or zh", "en"},
      {"verbose", "", "every part of every claim, with the quantities behind it"},
      {"html", "FILE", "also write a page in Chinese and English there"},
      {"json", "", "as JSON"},
  };
  return page;
}

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json predicted_json(const claims::Check& check) {
  const auto& p = check.predicted;
  Json json = {{"text", predicted_text(check)},
               {"value", p.value.infeasible.empty() ? finite(p.value.value) : Json(nullptr)},
               {"low", finite(p.low)},
               {"high", finite(p.high)},
               {"unit", check.unit},
               {"provenance", to_string(p.value.provenance)}};
  if (!p.value.infeasible.empty()) json["infeasible"] = p.value.infeasible;
  return json;
}

Json check_json(const claims::Check& check) {
  return {{"says", check.says.en},
          {"says_zh", check.says.zh},
          {"claimed", claimed_text(check)},
          {"within_pct", 100 * check.within},
          {"predicted", predicted_json(check)},
          {"verdict", outcome_text(check)},
          {"why", check.because.en},
          {"why_zh", check.because.zh}};
}

Json claim_json(const claims::Claim& claim) {
  const auto* const worst = claim.worst();
  Json json = {{"id", claim.id},
               {"article", claim.article},
               {"claim", claim.says.en},
               {"claim_zh", claim.says.zh},
               {"claimed", worst != nullptr ? Json(claimed_text(*worst)) : Json(nullptr)},
               {"predicted", worst != nullptr ? predicted_json(*worst) : Json(nullptr)},
               {"verdict", claim.verdict()},
               {"why", claim.why().en},
               {"why_zh", claim.why().zh},
               {"checks", Json::array()},
               {"quantities", Json::object()}};
  for (const auto& check : claim.checks) json["checks"].push_back(check_json(check));
  for (const auto& [name, value] : claim.values) {
    json["quantities"][name] = {{"value", finite(value.value)},
                                {"error_pct", 100 * value.relative_error},
                                {"provenance", to_string(value.provenance)}};
  }
  return json;
}

void print_claim(const claims::Claim& claim, bool zh, bool verbose) {
  const auto pick = [zh](const claims::Text& text) { return zh ? text.zh : text.en; };
  std::cout << fmt::format("{:<4}{:<20} {}\n", claim.id, claim.verdict(), pick(claim.says));
  const auto* const worst = claim.worst();
  if (worst != nullptr && !claim.checks.empty()) {
    std::cout << fmt::format("    {}: claimed {}, predicted {}  [{}]\n", pick(worst->says),
                             claimed_text(*worst), predicted_text(*worst),
                             to_string(worst->predicted.value.provenance));
  }
  std::cout << "    " << pick(claim.why()) << '\n';
  if (!verbose) return;
  for (const auto& check : claim.checks) {
    std::cout << fmt::format("      - {:<18} {}: claimed {}, predicted {}\n        {}\n",
                             outcome_text(check), pick(check.says), claimed_text(check),
                             predicted_text(check), pick(check.because));
  }
  for (const auto& [name, value] : claim.values) {
    std::cout << fmt::format("        {:<24} {} +-{:.0f} %  {}\n", name, number_text(value.value),
                             100 * value.relative_error, to_string(value.provenance));
  }
}

void print_text(const std::vector<claims::Claim>& all, bool zh, bool verbose) {
  std::map<claims::Outcome, int> counts;
  for (const auto& claim : all) {
    print_claim(claim, zh, verbose);
    ++counts[claim.outcome()];
  }
  std::cout << fmt::format("\n{} claims:", all.size());
  for (const auto& [outcome, count] : counts)
    std::cout << fmt::format(" {} {}", count, to_string(outcome));
  std::cout << '\n';
}

}  // namespace

int validate_claims_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  const bool zh = line->choice("language", {"en", "zh"}) == "zh";
  claims::ClaimOptions options;
  options.folder = line->has("dir") ? std::filesystem::path(line->text("dir"))
                                    : invocation.home / "scenarios" / "claims";
  options.calibration = calibration_file(invocation.home);
  options.only = line->list("only");
  const auto all = claims::run_claims(scenarios::loader::Catalogue(invocation.home), options);
  if (line->has("html")) {
    const std::filesystem::path file = line->text("html");
    write_file_atomically(file, claims::claims_page(all));
    fmt::print(stderr, "page written to {}\n", file.string());
  }
  if (line->has("json")) {
    Json list = Json::array();
    for (const auto& claim : all) list.push_back(claim_json(claim));
    std::cout << Json{{"claims", std::move(list)}}.dump(2) << '\n';
  } else {
    print_text(all, zh, line->has("verbose"));
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
