#include "sim/dist/mpi_transport.hpp"

#include <algorithm>
#include <cstdlib>

#include "sim/core/error.hpp"

#ifdef FORETOKEN_HAVE_MPI
#define OMPI_SKIP_MPICXX 1  // only the C interface, so that libmpi alone is linked
#include <mpi.h>
#endif

namespace foretoken::sim::dist {

bool started_by_mpirun() {
  // Set by OpenMPI's, MPICH's and Slurm's launchers.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

#ifdef FORETOKEN_HAVE_MPI

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 30;  // MPI counts in int
constexpr int kTag = 1;

class MpiTransport final : public engine::Transport {
 public:
  MpiTransport() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  ~MpiTransport() override { MPI_Finalize(); }
  MpiTransport(const MpiTransport&) = delete;
  MpiTransport& operator=(const MpiTransport&) = delete;

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  void all_min(std::span<std::uint64_t> values) override { reduce(values, MPI_MIN); }
  void all_sum(std::span<std::uint64_t> values) override { reduce(values, MPI_SUM); }

  std::vector<std::vector<std::byte>> exchange(
      std::span<const int> neighbours, std::span<const std::vector<std::byte>> out) override {
    std::vector<MPI_Request> requests(neighbours.size());
    for (std::size_t i = 0; i < neighbours.size(); ++i) {
      SIM_ASSERT(out[i].size() <= kPiece, "over a gigabyte of messages left a rank in one window");
      MPI_Isend(out[i].data(), static_cast<int>(out[i].size()), MPI_BYTE, neighbours[i], kTag,
                MPI_COMM_WORLD, &requests[i]);
    }
    std::vector<std::vector<std::byte>> in(neighbours.size());
    for (std::size_t i = 0; i < neighbours.size(); ++i) {
      MPI_Status status;
      MPI_Probe(neighbours[i], kTag, MPI_COMM_WORLD, &status);
      int bytes = 0;
      MPI_Get_count(&status, MPI_BYTE, &bytes);
      in[i].resize(static_cast<std::size_t>(bytes));
      MPI_Recv(in[i].data(), bytes, MPI_BYTE, neighbours[i], kTag, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
    }
    MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
    return in;
  }

  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) override {
    std::vector<std::uint64_t> sizes(static_cast<std::size_t>(size_));
    const std::uint64_t bytes = mine.size();
    MPI_Allgather(&bytes, 1, MPI_UINT64_T, sizes.data(), 1, MPI_UINT64_T, MPI_COMM_WORLD);
    std::vector<std::vector<std::byte>> all(sizes.size());
    for (int r = 0; r < size_; ++r) {
      auto& part = all[static_cast<std::size_t>(r)];
      if (r == rank_) {
        part.assign(mine.begin(), mine.end());
      } else {
        part.resize(sizes[static_cast<std::size_t>(r)]);
      }
      for (std::size_t at = 0; at < part.size(); at += kPiece) {
        const auto n = static_cast<int>(std::min(kPiece, part.size() - at));
        MPI_Bcast(part.data() + at, n, MPI_BYTE, r, MPI_COMM_WORLD);
      }
    }
    return all;
  }

 private:
  static void reduce(std::span<std::uint64_t> values, MPI_Op op) {
    MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_UINT64_T, op,
                  MPI_COMM_WORLD);
  }

  int rank_ = 0;
  int size_ = 1;
};

}  // namespace

std::unique_ptr<engine::Transport> make_mpi_transport() {
  if (!started_by_mpirun()) return nullptr;
  return std::make_unique<MpiTransport>();
}

#else

std::unique_ptr<engine::Transport> make_mpi_transport() {
  if (!started_by_mpirun()) return nullptr;
  throw core::InputError(
      "mpirun started this program, but it was built without MPI: install libopenmpi-dev and "
      "build again, or start it without mpirun");
}

#endif

}  // namespace foretoken::sim::dist
