#pragma once
// Parts of a claim as people read them.
#include <string>

#include "validation/claims/claim.hpp"

namespace foretoken::validation::claims {

std::string number_text(double value);           // 15,768; 3.13; never (of what is no number)
std::string claimed_text(const Check& check);    // at least 20 requests/s
std::string predicted_text(const Check& check);  // 61 (57 to 65) tokens/s; does not run
std::string outcome_text(const Check& check);    // off by 3.1 x

}  // namespace foretoken::validation::claims
