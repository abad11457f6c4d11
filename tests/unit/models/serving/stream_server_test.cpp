#include "models/serving/stream_server.hpp"

#include <catch2/catch.hpp>

using foretoken::models::serving::StreamServer;

TEST_CASE("Below its rate the front end adds the time of one step's tokens") {
  StreamServer server(10.0);  // 10 ps a token
  // 4 tokens every 100 ps: each batch leaves 40 ps after its step.
  CHECK(server.send(100, 4) == 140);
  CHECK(server.send(200, 4) == 240);
  CHECK(server.after(220) == 240);
  CHECK(server.after(260) == 260);
}

TEST_CASE("Above its rate tokens queue up and leave at its pace") {
  StreamServer server(10.0);
  // 20 tokens every 100 ps take 200 ps: the n-th batch leaves at 100 + 200 n.
  for (std::int64_t n = 1; n <= 5; ++n) CHECK(server.send(100 * n, 20) == 100 + 200 * n);
  StreamServer none(0.0);
  CHECK(none.send(100, 20) == 100);
}
