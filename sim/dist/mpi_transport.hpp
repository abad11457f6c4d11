#pragma once
// Ranks over MPI: the engine's Transport for a program started by mpirun.
#include <memory>

#include "sim/engine/transport.hpp"

namespace foretoken::sim::dist {

// Whether the environment says that mpirun started this process. MPI itself is not touched.
bool started_by_mpirun();

// Initialises MPI, and finalises it when destroyed; make one, in main, and pass it on in
// RunOptions::transport. Null if mpirun did not start this process. Throws InputError if it did
// but the program was built without MPI.
std::unique_ptr<engine::Transport> make_mpi_transport();

}  // namespace foretoken::sim::dist
