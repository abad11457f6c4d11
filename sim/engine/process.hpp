#pragma once
// The contract between what is simulated and what runs it. A Process owns its state and talks to
// others only by messages over channels with a declared minimum delay (lookahead). It is written
// once and runs under every executor (serial, threads, MPI ranks) with identical results.
#include <cstddef>
#include <span>
#include <vector>

#include "sim/engine/context.hpp"
#include "sim/engine/event.hpp"

namespace foretoken::sim::engine {

class Process {
 public:
  Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  virtual ~Process() = default;

  virtual void start(Context&) {}  // at time zero, in order of entity id
  virtual void handle(Context& context, const Event& event) = 0;

  // True for a process that may call Context::stop(): the engine then never lets another
  // partition run past the next event of this one, so that the run ends at exactly that time.
  [[nodiscard]] virtual bool may_stop() const { return false; }

  // Under MPI every rank builds the whole system but runs its own part of it. When the run ends,
  // rank 0 restores each of its copies from what the rank that ran the process saved.
  virtual void save(std::vector<std::byte>& /*out*/) const {}
  virtual void restore(std::span<const std::byte> /*in*/) {}
};

}  // namespace foretoken::sim::engine
