#pragma once
// The requests inside one replica: waiting queue, prompts being processed, decoding sequences and
// the KV blocks they hold. Mechanisms only; schedulers decide what to do with them.
//
// All decoding sequences advance together, so a decode step costs O(1) however large the batch:
// each sequence remembers the step it joined at, and a count per position inside the KV block says
// how many sequences need a fresh block in the coming step.
#include <cstdint>
#include <deque>
#include <vector>

namespace foretoken::models::serving {

enum class SequenceState : std::uint8_t { free, waiting, prefilling, decoding };

struct Sequence {
  std::uint32_t request = 0;  // number in order of arrival
  std::int32_t input = 0, output = 0;
  std::int32_t tenant = 0, priority = 0;  // lower priority values are more urgent
  std::int64_t arrival_ps = 0;            // when the client sent it
  std::int64_t queued_ps = 0;             // when it reached the replica
  std::int64_t deadline_ps = -1;          // by when it should be done; -1 = whenever
  double rank = 0;                 // place in the queue: lower first, equal ones as they came
  std::int64_t scheduled_ps = -1;  // first time any of it was processed
  std::int64_t first_ps = -1;      // first streamed chunk left the engine
  std::int32_t target = 0;         // tokens to process before decoding: prompt, and after a
                                   // preemption also what had been generated
  std::int32_t prefilled = 0;
  std::int32_t generated = 0;
  bool swapped = false;        // waits with its `prefilled` tokens of KV in host memory
  std::int32_t blocks = 0;     // KV blocks held; of decoding ones: when they joined
  std::int32_t committed = 0;  // blocks set aside at admission, see AdmissionRule
  std::int32_t preemptions = 0;
  std::int32_t cached_at_join = 0;
  std::int64_t join_step = 0;
  std::uint64_t admission = 0;  // grows with each admission; names this stay in the batch
  std::uint32_t position = 0;   // index in prefilling() or decoding()
  SequenceState state = SequenceState::free;
};

struct AdmissionRule {
  std::int32_t max_sequences = 1;
  std::int32_t watermark_blocks = 0;  // must stay free
  double reserve_output = 0.0;        // share of the output a request finds blocks for
  std::int64_t request_blocks = 0;    // that one request can get at most; 0 = the whole pool
  std::int64_t swap_blocks = 0;       // room in host memory; 0 = preempted requests start over
  // Prefix caching: free blocks keep their content until they are taken, those freed first first,
  // so that a preempted request finds what is left of its own when it returns.
  bool finds_its_blocks = false;
  bool whole_prompt = false;  // all of a prompt finds free blocks, not only its first chunk
};

using Slot = std::uint32_t;

class Batch {
 public:
  Batch(std::int64_t kv_blocks, std::int32_t block_tokens, const AdmissionRule& rule,
        std::int32_t stream_chunk);

  // --- state
  [[nodiscard]] const Sequence& sequence(Slot slot) const { return sequences_[slot]; }
  [[nodiscard]] bool holds(Slot slot) const {
    return slot < sequences_.size() && sequences_[slot].state != SequenceState::free;
  }
  [[nodiscard]] const std::deque<Slot>& waiting() const { return waiting_; }
  [[nodiscard]] const std::vector<Slot>& prefilling() const { return prefilling_; }
  [[nodiscard]] const std::vector<Slot>& decoding() const { return decoding_; }
  [[nodiscard]] std::int32_t running() const {
    return static_cast<std::int32_t>(prefilling_.size() + decoding_.size());
  }
  [[nodiscard]] std::int64_t total_blocks() const { return total_blocks_; }
  [[nodiscard]] std::int64_t free_blocks() const { return free_blocks_; }
  [[nodiscard]] std::int64_t used_blocks() const { return total_blocks_ - free_blocks_; }
  [[nodiscard]] std::int64_t preemptions() const { return preemptions_; }
  // Requests in the queue and the batch at once, and the blocks that all inside at once would hold
  // if each had all its tokens: the most of the run.
  [[nodiscard]] std::int64_t most_inside() const { return most_inside_; }
  [[nodiscard]] std::int64_t most_blocks() const { return most_blocks_; }
  [[nodiscard]] std::int64_t swapped_blocks() const { return swapped_blocks_; }
  // Whether a waiting request's blocks lie among the free ones: then each step changes what it
  // needs.
  [[nodiscard]] bool leaves_behind() const { return !left_behind_.empty(); }
  [[nodiscard]] std::int64_t recomputed_tokens() const { return recomputed_tokens_; }
  [[nodiscard]] std::int32_t max_sequences() const { return rule_.max_sequences; }
  [[nodiscard]] std::int32_t block_tokens() const { return block_tokens_; }
  // Tokens the coming decode step attends to, new ones included.
  [[nodiscard]] std::int64_t decode_context() const {
    return cached_ + static_cast<std::int64_t>(decoding_.size());
  }
  // Fresh blocks the decode step after `ahead` more takes.
  [[nodiscard]] std::int32_t decode_blocks(std::int64_t ahead = 0) const;
  // Decode steps until the next one at which a sequence ends or its first chunk is full.
  [[nodiscard]] std::int64_t steps_to_milestone();
  // Of a waiting one: how many wait before it.
  [[nodiscard]] std::size_t ahead_of(Slot slot) const;
  [[nodiscard]] bool can_ever_hold(std::int32_t input, std::int32_t output) const;

  // --- what schedulers do
  // Behind all of its rank or lower. One that comes `swapped`, its prompt done elsewhere, waits
  // with its KV outside the pool and decodes as soon as it is admitted.
  Slot enqueue(const Sequence& arrival);
  // Whether the rules allow a waiting request to process `tokens` more of its prompt while
  // `keep_free` blocks stay available to others.
  [[nodiscard]] bool can_admit(Slot slot, std::int32_t tokens, std::int64_t keep_free) const;
  // From the queue into the batch, which can_admit() must have allowed. A request whose KV lies in
  // host memory gets it back; if its prompt was done it decodes at once. Returns blocks copied.
  std::int32_t admit(Slot slot, std::int32_t tokens, std::int64_t now_ps);
  // Blocks for `tokens` more of a prompt; false (and nothing changed) if there are too few beside
  // `keep_free`.
  bool extend(Slot slot, std::int32_t tokens, std::int64_t keep_free);
  // Back to the queue, ahead of all of its rank or higher. Its KV goes to host memory where there
  // is room, else the request starts over. Returns blocks copied.
  std::int32_t preempt(Slot slot, double rank);
  // The running sequence of the highest rank, the latest admitted of equals: first to give way.
  [[nodiscard]] Slot last_in_rank() const;
  // Decodes write to their blocks before anything else is admitted: what a preempted request left
  // in those is gone when it looks. The blocks themselves are taken as the step begins.
  void claim_decode_blocks() {
    claimed_ = decode_blocks();
    overwrite(claimed_);
  }
  void set_rank(Slot slot, double rank) { sequences_[slot].rank = rank; }  // of a running one

  // --- what the replica does
  // Takes the blocks it writes to.
  void begin_decode_step() {
    const std::int64_t count = decode_blocks();
    free_blocks_ -= count;
    overwrite(std::max<std::int64_t>(0, count - claimed_));
    claimed_ = 0;
  }
  void end_decode_step();
  // `tokens` of the prompt of `slot` are in the cache. True if that was the last: a token came out.
  bool end_chunk(Slot slot, std::int32_t tokens, std::int64_t now_ps);
  // Sequences due at the current decode step, in order of admission: stamps first chunks, returns
  // the ended ones still in place for release().
  void collect_finished(std::int64_t now_ps, std::vector<Slot>& finished);
  void release(Slot slot);
  // Out of the queue or the batch, done or not.
  void abandon(Slot slot);
  [[nodiscard]] std::int32_t cached_tokens(Slot slot) const;
  [[nodiscard]] std::int32_t generated_tokens(Slot slot) const;

  template <class A>
  void fields(A& archive) {  // all that changes; see archive.hpp
    archive(free_blocks_, committed_blocks_, sequences_, free_slots_, waiting_, prefilling_,
            decoding_, phase_count_, milestones_, any_left_early_, cached_, step_, admissions_,
            preemptions_, swapped_blocks_, recomputed_tokens_, left_behind_, inside_blocks_,
            most_inside_, most_blocks_, claimed_);
  }

 private:
  struct Milestone {  // min-heap on (step, admission)
    std::int64_t step;
    std::uint64_t admission;
    Slot slot;
    bool ends;
  };
  // Blocks of a preempted request among the free ones, whose queue is: for each of these `ahead`
  // others, then its own, the last of its prompt first; then all the rest.
  struct LeftBehind {
    std::int64_t ahead = 0;
    std::int64_t blocks = 0;
    Slot slot = 0;
  };
  void take_blocks(std::int64_t count) {
    free_blocks_ -= count;
    overwrite(count);
  }
  void overwrite(std::int64_t count);
  std::int64_t leave_behind(Slot slot);
  // Ends what a request left behind: its blocks, which leave the queue or stay there as others.
  std::int64_t reclaim(Slot slot, bool stay_free);
  struct Later {
    bool operator()(const Milestone& a, const Milestone& b) const {
      return a.step != b.step ? a.step > b.step : a.admission > b.admission;
    }
  };
  // Blocks of a sequence with all its tokens, and one to write ahead.
  [[nodiscard]] std::int64_t most_of(const Sequence& s) const {
    return blocks_for(std::int64_t{s.input} + s.output) + 1;
  }
  [[nodiscard]] std::int32_t blocks_for(std::int64_t tokens) const {
    return static_cast<std::int32_t>((tokens + block_tokens_ - 1) / block_tokens_);
  }
  [[nodiscard]] std::size_t phase_of(const Sequence& sequence) const;
  [[nodiscard]] std::int32_t committed_for(const Sequence& sequence) const;
  void join_decode(Slot slot);
  void leave_decode(Slot slot);
  void push_milestone(const Milestone& milestone);
  void drop_stale_milestones();
  void leave(std::vector<Slot>& list, Slot slot);

  std::int64_t total_blocks_, free_blocks_, committed_blocks_ = 0;
  std::int32_t block_tokens_;
  AdmissionRule rule_;
  std::int32_t stream_chunk_;  // generated tokens at which the first chunk leaves
  std::vector<Sequence> sequences_;
  std::vector<Slot> free_slots_;
  std::deque<Slot> waiting_;
  std::vector<Slot> prefilling_;  // in order of admission
  std::vector<Slot> decoding_;
  std::vector<std::int32_t> phase_count_;  // decoding sequences by phase
  std::vector<Milestone> milestones_;
  bool any_left_early_ = false;  // so that milestones may be stale
  std::int64_t cached_ = 0;      // KV tokens of the decoding sequences
  std::int64_t step_ = 0;        // decode steps done
  std::uint64_t admissions_ = 0;
  std::int64_t preemptions_ = 0;
  std::int64_t swapped_blocks_ = 0;     // in host memory now
  std::int64_t recomputed_tokens_ = 0;  // processed before and thrown away
  std::int64_t claimed_ = 0;            // blocks of the coming decode step, content gone already
  std::int64_t inside_blocks_ = 0, most_inside_ = 0, most_blocks_ = 0;
  std::vector<LeftBehind> left_behind_;  // first to be overwritten first
};

}  // namespace foretoken::models::serving
