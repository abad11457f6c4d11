// Started by mpirun: every rank compares each model over ranks with the serial run, bit by bit.
// Also an exception on one rank, which all must report. Exits with 1 on the first difference.
#include <cstdio>
#include <stdexcept>
#include <string>

#include "sim/dist/mpi_transport.hpp"
#include "tests/determinism/models.hpp"

using namespace foretoken::sim::engine;
using namespace foretoken::tests;

namespace {

int failures = 0;

void expect(bool holds, const char* what, int rank) {
  if (holds) return;
  std::fprintf(stderr, "rank %d: %s differs\n", rank, what);
  ++failures;
}

void compare_models(Transport& transport) {
  for (const Model& model : kModels) {
    const Outcome expected = run(model.make(1), {});
    for (const std::uint32_t partitions : {1U, 8U, 64U}) {
      for (const int threads : {1, 2}) {
        RunOptions options;
        options.executor = ExecutorKind::ranks;
        options.transport = &transport;
        options.threads = threads;
        options.shuffle_mailboxes = 99;
        expect(run(model.make(partitions), options) == expected, model.name, transport.rank());
      }
    }
  }
}

class Failing final : public Process {
 public:
  explicit Failing(int at) : at_(at) {}
  void start(Context& c) override { c.schedule(Duration::picoseconds(at_), 0); }
  void handle(Context&, const Event&) override {
    throw std::invalid_argument("failed at " + std::to_string(at_));
  }

 private:
  int at_;
};

void compare_failures(Transport& transport) {
  Simulation s;
  for (const int at : {300, 200}) s.add_process(std::make_unique<Failing>(at), s.add_partition());
  s.connect(EntityId{0}, EntityId{1}, Duration::picoseconds(1000));
  RunOptions options;
  options.executor = ExecutorKind::ranks;
  options.transport = &transport;
  std::string words;
  try {
    s.run(options);
  } catch (const std::invalid_argument& e) {
    words = e.what();
  }
  expect(words == "failed at 200", "the error", transport.rank());
}

void compare_limit(Transport& transport) {
  Built built = make_mixed(8);
  RunOptions options;
  options.executor = ExecutorKind::ranks;
  options.transport = &transport;
  options.wall_limit_s = 0.0;
  expect(built.simulation.run(options).reason == StopReason::time_limit, "the limit",
         transport.rank());
}

}  // namespace

int main(int argc, char** argv) {
  const auto transport = foretoken::sim::dist::make_mpi_transport();
  if (transport == nullptr || argc != 2 || std::to_string(transport->size()) != argv[1]) {
    std::fprintf(stderr, "start this with mpirun -np N ranks N\n");
    return 2;
  }
  compare_models(*transport);
  compare_failures(*transport);
  compare_limit(*transport);
  std::uint64_t total[] = {static_cast<std::uint64_t>(failures)};
  transport->all_sum(total);
  return total[0] == 0 ? 0 : 1;
}
