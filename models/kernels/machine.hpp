#pragma once
// The figures of a GPU card that the operator models need, and their way into and out of the
// calibration file (so that a table measured on one GPU can serve another).
#include <array>
#include <map>
#include <string>

#include "models/hardware/hardware.hpp"

namespace foretoken::models::kernels {

struct Machine {
  std::string architecture;
  double sms = 1.0;
  double clock = 1.75e9;   // Hz; where a card gives none, that of a data-centre GPU
  double sustained = 1.0;  // share of the peak left under the power limit in long products
  double bandwidth = 0.0;  // memory, byte/s
  double l2 = 0.0;         // bytes
  // Its tables were timed in a running engine, whose other kernels fill the cache between two calls
  // of one: weights and KV are never found there, only what the kernel before has just written.
  bool timed_in_engine = false;
  double scale_up = 0.0;  // byte/s per GPU, one direction; 0 = none
  double pcie = 0.0;      // byte/s, one direction
  int node_gpus = 0;      // 0 = unknown: every group is inside one node
  double network = 0.0;   // byte/s per GPU between nodes, one direction
  double network_latency_s = 0.0;
  std::array<double, 8> peak{};  // dense tensor FLOP/s by DType; 0 = not supported

  // Formats that the hardware does not multiply run in the next wider one.
  [[nodiscard]] double peak_of(hardware::DType dtype) const;
  // What every SM together can take from the L2 cache, byte/s. An upper limit.
  [[nodiscard]] double l2_bandwidth() const;
};

Machine machine_of(const hardware::GpuSpec& gpu);
Machine machine_of(const hardware::NodeSpec& node);

// "GPU/card/NAME" entries of Calibration::parameters.
void store_machine(const std::string& gpu, const Machine& machine,
                   std::map<std::string, double>& parameters);
// False where the parameters hold no such GPU.
bool load_machine(const std::string& gpu, const std::map<std::string, double>& parameters,
                  Machine& machine);

}  // namespace foretoken::models::kernels
