#pragma once
// A policy from a shared library as a Scheduler. The loader opens the library (scenarios/loader);
// here are only its functions.
#include <cstdint>
#include <memory>
#include <string>

#include "models/serving/include/foretoken/policy.hpp"
#include "models/serving/scheduler.hpp"

namespace foretoken::models::serving {

class PolicyPlugin {
 public:
  using Create = policy::Policy* (*)(const policy::Limits*);
  using Destroy = void (*)(policy::Policy*);

  // `library` keeps the code in memory.
  PolicyPlugin(std::string name, Create create, Destroy destroy, std::shared_ptr<void> library)
      : name_(std::move(name)), create_(create), destroy_(destroy), library_(std::move(library)) {}
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::unique_ptr<Scheduler> make(const BatchingSpec& batching,
                                                std::int32_t ranks) const;

 private:
  std::string name_;
  Create create_;
  Destroy destroy_;
  std::shared_ptr<void> library_;
};

}  // namespace foretoken::models::serving
