#pragma once
// A claim file: what an article says, what to compute, what to compare it with.
#include <filesystem>
#include <vector>

#include "validation/claims/claim.hpp"
#include "validation/claims/quantity.hpp"

namespace foretoken::validation::claims {

// Throws InputError with every problem of the file and of the scenarios that it names.
Claim read_claim(const std::filesystem::path& path, Workshop& workshop);

// Every .yaml of the folder: letters first, then numbers as numbers (A2 before A10). Throws
// InputError if there is none.
std::vector<std::filesystem::path> claim_files(const std::filesystem::path& folder);

}  // namespace foretoken::validation::claims
