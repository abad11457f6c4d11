#pragma once
// What must be there and in range before a ledger is written.
#include "models/cost/ledger.hpp"

namespace foretoken::models::cost {

enum class LedgerKind { own, rent, api };

// Throws InputError that lists every problem.
void check_ledger(const CostSpec& spec, const Service& service, LedgerKind kind);

}  // namespace foretoken::models::cost
