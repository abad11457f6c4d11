#pragma once
// Every claim of the articles, run.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "scenarios/loader/scenario.hpp"
#include "validation/claims/claim.hpp"

namespace foretoken::validation::claims {

struct ClaimOptions {
  std::filesystem::path folder;
  std::filesystem::path calibration;
  std::vector<std::string> only;  // ids; empty = all
  std::function<void(const std::string& id)> progress;
};

// Throws InputError with every problem of every file, and for an id that no file has.
std::vector<Claim> run_claims(const scenarios::loader::Catalogue& catalogue,
                              const ClaimOptions& options);

}  // namespace foretoken::validation::claims
