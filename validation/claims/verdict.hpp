#pragma once
// From figures to verdicts.
#include "validation/claims/claim.hpp"

namespace foretoken::validation::claims {

// Fills everything of `check` that is known only after running.
//   figure      holds where the claimed range, widened by `within`, meets the prediction's
//   interval;
//               else off by the factor between the nearest ends. A prediction that is not a
//               positive finite number, or needs a deployment that cannot run, makes the claim
//               impossible.
//   possible    holds unless the figure is 0
//   consistent  holds where both sides agree to `within`; else the article contradicts itself
void judge(Check& check, const Values& values);

std::string_view to_string(Outcome outcome);

// `text` with {name:spec} replaced by quantities, and by predicted, low, high, claimed and factor;
// {name?one|other} by `one` where the quantity is not 0.
// Throws InputError for a name that is not there.
std::string filled(const std::string& text, const Values& values, const Check& check);

}  // namespace foretoken::validation::claims
