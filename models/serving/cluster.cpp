#include "models/serving/cluster.hpp"

namespace foretoken::models::serving {

const char* in_words(RequestReason reason) {
  switch (reason) {
    case RequestReason::none:
      return "";
    case RequestReason::too_long:
      return "longer than the model's context";
    case RequestReason::never_fits:
      return "larger than the KV cache of a replica";
    case RequestReason::turned_away:
      return "turned away by admission control";
    case RequestReason::timed_out:
      return "not started before the client gave up";
    case RequestReason::lost:
      return "lost in a failure, retries used up";
    case RequestReason::no_replica:
      return "no replica in service, retries used up";
    case RequestReason::no_router:
      return "the router was down, retries used up";
    case RequestReason::still_inside:
      return "still inside when the run stopped";
  }
  return "";
}

}  // namespace foretoken::models::serving
