#include "analysis/web/server.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "sim/core/error.hpp"
#include "tests/unit/analysis/fixture.hpp"

namespace foretoken::analysis {
namespace {

using web::random_token;
using web::same_secret;
using web::Server;

TEST_CASE("tokens are 32 hexadecimal digits and never the same") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string token = random_token();
    CHECK(token.size() == 32);
    CHECK(token.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(seen.insert(token).second);
  }
}

TEST_CASE("secrets are the same or not") {
  CHECK(same_secret("abc", "abc"));
  CHECK_FALSE(same_secret("abc", "abd"));
  CHECK_FALSE(same_secret("abc", "ab"));
  CHECK_FALSE(same_secret("", "abc"));
}

TEST_CASE("a port that is taken, and a folder that is none, are refused") {
  const test::TemporaryFolder folder;
  web::ServerOptions options;
  options.folder = folder.path();
  const Server first(options);
  CHECK(first.port() > 0);
  CHECK(first.url().find(first.token()) != std::string::npos);
  options.folder = folder.path() / "none";
  CHECK_THROWS_AS(Server(options), sim::core::InputError);
}

}  // namespace
}  // namespace foretoken::analysis
