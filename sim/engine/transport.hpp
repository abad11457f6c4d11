#pragma once
// How ranks of one run talk. Every rank builds the same simulation and runs its share of the
// partitions; sim/dist implements this over MPI.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace foretoken::sim::engine {

class Transport {
 public:
  virtual ~Transport() = default;
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;

  // Element-wise over all ranks; every rank gets the result.
  virtual void all_min(std::span<std::uint64_t> values) = 0;
  virtual void all_sum(std::span<std::uint64_t> values) = 0;
  // Sends out[i] to neighbours[i] and returns what each of them sent here, in the same order.
  // Every rank calls it with neighbours that name each other.
  virtual std::vector<std::vector<std::byte>> exchange(
      std::span<const int> neighbours, std::span<const std::vector<std::byte>> out) = 0;
  // Every rank's bytes, by rank, on every rank.
  virtual std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) = 0;
};

}  // namespace foretoken::sim::engine
