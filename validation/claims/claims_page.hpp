#pragma once
// Every claim with its verdict on one page, in Chinese and English. The page needs no script: the
// language is chosen by a pair of radio buttons, and everything else is text.
#include <string>
#include <vector>

#include "validation/claims/claim.hpp"

namespace foretoken::validation::claims {

std::string claims_page(const std::vector<Claim>& claims);

}  // namespace foretoken::validation::claims
