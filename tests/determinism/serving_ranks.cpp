// Run by mpirun: every case over the ranks, gathered on rank 0, against the same case on one.
#include <iostream>

#include "sim/dist/mpi_transport.hpp"
#include "tests/determinism/serving_cases.hpp"

using namespace foretoken::models::serving::testing;

int main() {
  const auto transport = foretoken::sim::dist::make_mpi_transport();
  if (!transport) {
    std::cerr << "not started by mpirun\n";
    return 2;
  }
  int wrong = 0;
  for (const Case& c : serving_cases()) {
    foretoken::sim::engine::RunOptions ranks;
    ranks.executor = foretoken::sim::engine::ExecutorKind::ranks;
    ranks.transport = transport.get();
    const auto spread = run_case(c, ranks);
    if (transport->rank() != 0) continue;
    const auto serial = run_case(c, {});
    const bool same = digest(spread) == digest(serial);
    std::cout << c.name << ": " << (same ? "same bytes" : "DIFFERS") << ", completed "
              << spread.completed << " of " << spread.arrived << '\n';
    wrong += !same || spread.completed == 0;
  }
  return wrong == 0 ? 0 : 1;
}
