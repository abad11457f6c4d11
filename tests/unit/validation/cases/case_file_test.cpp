#include "validation/cases/case_file.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "sim/core/error.hpp"

using namespace foretoken::validation::cases;
using foretoken::scenarios::loader::YamlFile;

namespace {

std::string text(const std::string& limit) {
  return "case: mine\nquantity: tokens/s\nmeasured: 2000\nlimit: " + limit +
         "\nsource: {is: a report, date: 2025-05}\nevaluate: step\n";
}

CaseHead read(const std::string& limit) {
  YamlFile file = YamlFile::parse(text(limit), "mine.yaml");
  CaseHead head = read_case_head(file, "mine.yaml");
  file.finish();
  return head;
}

}  // namespace

TEST_CASE("A case says what was measured, by whom, and how near a prediction must come") {
  const CaseHead head = read("8%");
  CHECK(head.id == "mine");
  CHECK(head.measured == 2000);
  CHECK(head.limit == 8);
  CHECK_FALSE(head.points);
  CHECK(head.date == "2025-05");
  CHECK(head.evaluator == "step");
  CHECK(read("10 points").points);
}

TEST_CASE("A limit without a unit, a negative one, and another file's name are refused") {
  for (const char* const limit : {"8", "-8%", "8 miles", "x"})
    CHECK_THROWS_AS(read(limit), foretoken::sim::core::InputError);
  YamlFile file = YamlFile::parse(text("8%"), "other.yaml");
  (void)read_case_head(file, "other.yaml");
  CHECK_THROWS_WITH(file.finish(), Catch::Contains("make them equal"));
}

TEST_CASE("A folder without cases is refused") {
  CHECK_THROWS_AS(case_files("/nonexistent"), foretoken::sim::core::InputError);
}

TEST_CASE("Points are cases of their own with the file's name before theirs") {
  const std::string common =
      "case: mine\nquantity: ms\nlimit: 8%\nsource: {is: a report, date: 2025-05}\n"
      "evaluate: step\n";
  const auto points = [&common](const std::string& list) {
    YamlFile file = YamlFile::parse(common + "points: " + list + "\n", "mine.yaml");
    auto read = read_points(file, read_case_head(file, "mine.yaml"));
    std::vector<CaseHead> heads;
    for (const auto& point : read) heads.push_back(point.head);
    file.finish();
    return heads;
  };
  const auto two = points("[{point: a, measured: 3}, {point: b, measured: 4}]");
  REQUIRE(two.size() == 2);
  CHECK(two[1].id == "mine-b");
  CHECK(two[1].measured == 4);
  CHECK(two[1].limit == 8);
  CHECK_THROWS_WITH(points("[{point: a, measured: 3}, {point: a, measured: 4}]"),
                    Catch::Contains("'mine-a' is here twice"));
  CHECK_THROWS_WITH(points("[]"), Catch::Contains("no points"));
  CHECK_THROWS_WITH(points("[{point: a}]"), Catch::Contains("measured"));
  YamlFile single = YamlFile::parse(text("8%"), "mine.yaml");
  CHECK(read_points(single, read_case_head(single, "mine.yaml")).size() == 1);
}
