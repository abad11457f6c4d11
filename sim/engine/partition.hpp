#pragma once
// Processes that share one event queue, and the loop that runs their events.
#include <cstdint>
#include <exception>
#include <vector>

#include "sim/engine/context.hpp"
#include "sim/engine/process.hpp"

namespace foretoken::sim::engine {

// An exception that left a handler, and the event it was handling. Of several, the one with the
// smallest key is reported, so that the error does not depend on the executor.
struct Failure {
  Key key;
  std::exception_ptr error;
};

class alignas(64) Partition final : public Context {
 public:
  struct Wiring {
    const std::vector<Address>* addresses;
    const std::vector<Channel>* channels;
    const std::vector<std::string>* names;
    bool alone;
  };

  Partition(std::uint32_t index, const Wiring& wiring);

  std::uint32_t add(Process& process, EntityId id);  // its index in this partition
  void set_lookahead(std::uint64_t ps) { lookahead_ = ps; }
  void start(std::uint32_t local, Outbox& outbox);

  // Moves what others sent into the queue. Order does not matter: keys decide.
  void drain(Mailbox& box);
  void set_shuffle(std::uint64_t seed) { shuffle_ = seed | 1; }

  static constexpr std::uint64_t kNoReply = std::uint64_t{1} << 63;

  // Runs events before `limit`, at most `budget` of them. After a message leaves, the limit drops
  // to its arrival plus `reply` (kNoReply: not at all). Returns the number of events run.
  // Meanwhile it fetches what `fetch` names.
  std::uint64_t run(std::uint64_t limit, std::uint64_t reply, Outbox& outbox, std::uint64_t budget,
                    const FetchAhead& fetch = {});
  void add_memory(FetchAhead& ahead) const;  // what a turn will read, but for the mail

  [[nodiscard]] std::uint64_t next_time() {
    return failed() ? EventQueue::kNever : queue_.next_time();
  }
  [[nodiscard]] bool failed() const { return failure_.error != nullptr; }
  [[nodiscard]] const Failure& failure() const { return failure_; }
  [[nodiscard]] std::uint64_t stop_time() const { return stop_at_; }
  void clear_stop() { stop_at_ = EventQueue::kNever; }

  [[nodiscard]] std::uint64_t lookahead() const { return lookahead_; }
  [[nodiscard]] bool may_stop() const;
  // The time before which the promises of all processes here keep everything inside; zero if any
  // has made none. `absolute` tells whether a message from outside cannot change that.
  [[nodiscard]] std::uint64_t silent_until(bool& absolute) const;

  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] std::uint64_t last_time() const { return events_ == 0 ? 0 : now_; }
  [[nodiscard]] std::uint64_t hash() const;
  [[nodiscard]] std::size_t pending() const { return queue_.size(); }
  [[nodiscard]] std::size_t queue_bytes() const { return queue_.bytes(); }
  [[nodiscard]] std::size_t processes() const { return entities_.size(); }
  [[nodiscard]] Process& process(std::size_t local) { return *entities_[local].process; }
  [[nodiscard]] EntityId id(std::size_t local) const { return EntityId{entities_[local].id}; }

 private:
  void run_one();
  void shuffle(std::vector<Message>& messages);

  std::vector<Entity> entities_;
  Key last_;
  Payload payload_;  // of the event being handled
  std::uint64_t events_ = 0;
  std::uint64_t lookahead_ = EventQueue::kNever;  // least delay of a channel that leaves
  std::uint64_t shuffle_ = 0;  // state of the generator that shuffles mailboxes; zero: off
  Failure failure_;
};

}  // namespace foretoken::sim::engine
