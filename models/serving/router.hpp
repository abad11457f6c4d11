#pragma once
// Which replica gets a request. One class a policy.
#include <cstdint>
#include <memory>
#include <string>

namespace foretoken::models::serving {

class Router {
 public:
  Router() = default;
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  virtual ~Router() = default;
  virtual std::uint32_t route() = 0;
  virtual void done(std::uint32_t replica) { (void)replica; }
  // True if it must hear of completions; if not, requests can be routed ahead of their time.
  [[nodiscard]] virtual bool needs_feedback() const = 0;
};

// Throws InputError for a name it does not know.
std::unique_ptr<Router> make_router(const std::string& name, std::uint32_t replicas);

}  // namespace foretoken::models::serving
