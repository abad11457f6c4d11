#pragma once
// A batching policy of your own, as a shared library. Stands alone: C++17, no other header of the
// project, nothing to link.
//
//   #include <foretoken/policy.hpp>
//   class Mine final : public foretoken::policy::Policy {
//    public:
//     explicit Mine(const foretoken::policy::Limits& limits) : limits_(limits) {}
//     void plan(foretoken::policy::Engine& engine) override { ... }
//    private:
//     foretoken::policy::Limits limits_;
//   };
//   FORETOKEN_POLICY(Mine)
//
// In a scenario: deployment.batching: {policy: ./libmine.so}. One object is made for each engine
// replica; it is used by one thread at a time and must not share mutable state with others, or
// results would depend on the number of threads.
//
// Rules of a plan. Every step the engine may decode all decoding requests (one token each) and
// process pieces of prompts, of at most max_tokens in all, decodes included, and max_chunk of one
// prompt. KV blocks are paged: a decode takes a block whenever the last is full. A plan that holds
// no work while nothing else is going to happen (no wake_at, no arrival) ends the run with an
// error.
#include <cstddef>
#include <cstdint>

namespace foretoken::policy {

// Grows with every change of what follows. A library of another version is refused.
inline constexpr std::uint32_t kInterfaceVersion = 1;

struct Limits {
  std::int32_t max_tokens = 0;     // new tokens a step
  std::int32_t max_chunk = 0;      // of one prompt
  std::int32_t max_sequences = 0;  // running at once
  std::int32_t block_tokens = 0;
  std::int64_t kv_blocks = 0;
};

enum class State : std::uint8_t { waiting, prefilling, decoding };

// Names a request as long as it is in the engine; numbers are used again afterwards.
using Id = std::uint32_t;

struct Request {
  std::uint32_t number = 0;  // of the run, in order of arrival
  std::int32_t tenant = 0, priority = 0;
  std::int32_t input = 0;   // prompt tokens
  std::int32_t output = 0;  // tokens it will have generated in the end: an oracle's knowledge
  std::int32_t generated = 0;
  std::int32_t to_process = 0;  // prompt tokens left before it decodes
  std::int32_t cached = 0;      // tokens in the KV cache
  std::int32_t preemptions = 0;
  State state = State::waiting;
  std::int64_t arrival_ps = 0;
  std::int64_t deadline_ps = -1;  // -1 = none
};

// The engine as plan() sees it. Times in picoseconds of the run.
class Engine {
 public:
  virtual std::int64_t now_ps() const = 0;
  virtual std::int64_t free_blocks() const = 0;
  virtual std::int32_t decode_blocks() const = 0;  // that a decode in this step takes
  virtual std::int32_t tokens_left() const = 0;    // of the step's budget
  // Waiting requests in order of arrival, preempted ones first; running ones in no order. The
  // arrays hold until the next call that changes anything.
  virtual std::size_t waiting(const Id** ids) const = 0;
  virtual std::size_t prefilling(const Id** ids) const = 0;
  virtual std::size_t decoding(const Id** ids) const = 0;
  virtual Request request(Id id) const = 0;

  // Every decoding request adds a token in this step. False, and nothing is planned, if blocks or
  // tokens of the budget are too few.
  virtual bool decode() = 0;
  // `tokens` of a waiting or prefilling request's prompt are processed in this step; it leaves the
  // queue if it waited. False, and nothing is planned, if that breaks a limit.
  virtual bool prefill(Id id, std::int32_t tokens) = 0;
  // A running request goes back to the queue and starts over.
  // False if it is not running or already part of this step's plan.
  virtual bool preempt(Id id) = 0;
  // Ask again at this time if nothing happens before.
  virtual void wake_at(std::int64_t time_ps) = 0;

 protected:
  ~Engine() = default;
};

class Policy {
 public:
  virtual ~Policy() = default;
  virtual void plan(Engine& engine) = 0;
  virtual void arrived(const Engine& engine, Id id) { (void)engine, (void)id; }
  virtual void finished(const Engine& engine, Id id) { (void)engine, (void)id; }
};

}  // namespace foretoken::policy

// Exports a class whose constructor takes `const Limits&`. Once in a library.
#define FORETOKEN_POLICY(Class)                                                                \
  extern "C" {                                                                                 \
  __attribute__((visibility("default"))) std::uint32_t foretoken_policy_interface() {          \
    return ::foretoken::policy::kInterfaceVersion;                                             \
  }                                                                                            \
  __attribute__((visibility("default"))) ::foretoken::policy::Policy* foretoken_policy_create( \
      const ::foretoken::policy::Limits* limits) {                                             \
    return new Class(*limits);                                                                 \
  }                                                                                            \
  __attribute__((visibility("default"))) void foretoken_policy_destroy(                        \
      ::foretoken::policy::Policy* policy) {                                                   \
    delete policy;                                                                             \
  }                                                                                            \
  }
