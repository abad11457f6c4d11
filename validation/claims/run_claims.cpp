#include "validation/claims/run_claims.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "scenarios/loader/quantity.hpp"
#include "sim/core/error.hpp"
#include "validation/claims/claim_file.hpp"
#include "validation/claims/verdict.hpp"

namespace foretoken::validation::claims {
namespace {

namespace fs = std::filesystem;
using sim::core::Diagnostic;
using sim::core::InputError;

void check_ids(const ClaimOptions& options, const std::vector<fs::path>& files) {
  std::vector<std::string> ids;
  std::string all;
  for (const auto& file : files) {
    ids.push_back(file.stem().string());
    all += (all.empty() ? "" : ", ") + ids.back();
  }
  for (const auto& id : options.only) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end())
      throw InputError(fmt::format("no claim '{}'; there are: {}", id, all));
  }
}

void run(Claim& claim) {
  for (const Quantity& quantity : claim.quantities)
    claim.values[quantity.name] = quantity.compute(claim.values);
  for (Check& check : claim.checks) judge(check, claim.values);
}

}  // namespace

std::vector<Claim> run_claims(const scenarios::loader::Catalogue& catalogue,
                              const ClaimOptions& options) {
  const auto files = claim_files(options.folder);
  check_ids(options, files);
  Workshop workshop(catalogue, options.calibration);
  std::vector<Claim> claims;
  std::vector<Diagnostic> problems;
  for (const auto& path : files) {
    const std::string id = path.stem().string();
    if (!options.only.empty() &&
        std::find(options.only.begin(), options.only.end(), id) == options.only.end())
      continue;
    try {
      claims.push_back(read_claim(path, workshop));
    } catch (const InputError& error) {
      problems.insert(problems.end(), error.diagnostics().begin(), error.diagnostics().end());
    }
  }
  if (!problems.empty()) throw InputError(std::move(problems));
  for (Claim& claim : claims) {
    if (options.progress) options.progress(claim.id);
    run(claim);
  }
  return claims;
}

}  // namespace foretoken::validation::claims
