#include "scenarios/loader/yaml_reader.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <functional>

#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

using sim::core::Bytes;
using sim::core::BytesPerSecond;
using sim::core::Diagnostic;
using sim::core::Duration;
using sim::core::InputError;
using sim::core::Watts;

// "line:column: message" of every problem, in order.
std::vector<std::string> problems(const std::string& text,
                                  const std::function<void(YamlNode)>& read,
                                  const std::vector<std::string>& overrides = {}) {
  std::vector<std::string> result;
  try {
    YamlFile file = YamlFile::parse(text, "x.yaml");
    for (const std::string& assignment : overrides) file.override_value(assignment);
    read(file.root());
    file.finish();
  } catch (const InputError& error) {
    for (const Diagnostic& d : error.diagnostics()) {
      result.push_back((d.file == "x.yaml" ? "" : d.file + ":") + std::to_string(d.line) + ":" +
                       std::to_string(d.column) + ": " + d.message);
    }
  }
  return result;
}

std::vector<std::string> syntax_problems(const std::string& text) {
  return problems(text, [](YamlNode root) { (void)root.entries(); });
}

using Strings = std::vector<std::string>;

TEST_CASE("values of every kind are read") {
  YamlFile file = YamlFile::parse(
      "memory: 80GB\nlink: 400Gb/s\ntdp: 700W\nspan: 20us\nwait: 1h\nshare: 25%\ncount: 8\n"
      "big: 18446744073709551615\non: true\nname: \"a: b\"\nprice: 1.5CNY/kWh\nlist: [1, 2]\n",
      "x.yaml");
  const YamlNode root = file.root();
  CHECK(root.required<Bytes>("memory").value() == 80e9);
  CHECK(root.required<BytesPerSecond>("link").value() == 50e9);
  CHECK(root.required<Watts>("tdp").value() == 700.0);
  CHECK(root.required<Seconds>("span").value == 20e-6);
  CHECK(root.required<Duration>("wait").ps() == 3'600'000'000'000'000);
  CHECK(root.required<Ratio>("share").value == 0.25);
  CHECK(root.required<int>("count") == 8);
  CHECK(root.required<std::uint64_t>("big") == 18446744073709551615ULL);
  CHECK(root.required<bool>("on"));
  CHECK(root.required<std::string>("name") == "a: b");
  CHECK(root.required<MoneyPerKwh>("price").currency == models::cost::Currency::CNY);
  CHECK(root.any_child("list").items().size() == 2);
  CHECK_NOTHROW(file.finish());
}

TEST_CASE("each problem has its place and all come in one pass") {
  const Strings found =
      problems("gpu:\n  memory: 80\n  tdp: 700GB\n  sm_cuont: 132\n  cards: -1\n  mode: fst\n",
               [](YamlNode root) {
                 const YamlNode gpu = root.required_child("gpu");
                 (void)gpu.required<Bytes>("memory");
                 (void)gpu.required<Watts>("tdp");
                 (void)gpu.required<int>("sm_count");
                 (void)gpu.required<int>("cards");
                 (void)gpu.required_choice<int>("mode", {{"fast", 1}, {"slow", 2}});
               });
  CHECK(found ==
        Strings{"1:1: missing key 'sm_count' in gpu",
                "2:11: gpu.memory: '80' has no unit; expected an amount of memory, such as 80GB",
                "3:8: gpu.tdp: '700GB' is an amount of memory; expected a power, such as 700W",
                "4:3: unknown key 'sm_cuont' in gpu; did you mean 'sm_count'?",
                "5:10: gpu.cards: -1 is too small; at least 0",
                "6:9: gpu.mode: 'fst' is not one of fast, slow; did you mean 'fast'?"});
}

TEST_CASE("a problem shows the line it is on") {
  try {
    YamlFile file = YamlFile::parse("a: 1\nb: {c: 5GB}  # note\n", "x.yaml");
    (void)file.root().required<int>("a");
    (void)file.root().required_child("b").required<Watts>("c");
    file.finish();
    FAIL("no error");
  } catch (const InputError& error) {
    REQUIRE(error.diagnostics().size() == 1);
    CHECK(error.diagnostics()[0].source_line == "b: {c: 5GB}  # note");
    CHECK(error.diagnostics()[0].column == 8);
  }
}

TEST_CASE("a missing block is reported once and its values are not") {
  const Strings found = problems("a: 1\n", [](YamlNode root) {
    (void)root.required<int>("a");
    (void)root.required_child("gpu").required<Bytes>("memory");
    (void)root.required_child("gpu").required_child("peak").required<int>("x");
  });
  CHECK(found == Strings{"0:0: missing key 'gpu'"});
}

TEST_CASE("a value where a block is due, and the other way round") {
  const Strings found =
      problems("gpu: h200\nnodes: {count: 1}\nlist: 3\nempty:\n", [](YamlNode root) {
        (void)root.required_child("gpu").required<int>("x");
        (void)root.required<int>("nodes");
        (void)root.any_child("list").items();
        (void)root.required<int>("empty");
      });
  CHECK(found == Strings{"1:6: 'gpu' is a single value; expected a map of keys",
                         "2:1: 'nodes' is a map of keys; expected a single value",
                         "3:7: 'list' is a single value; expected a list such as [a, b]",
                         "4:1: 'empty' has no value"});
}

TEST_CASE("ranges are told in the unit of the value") {
  const Strings found =
      problems("a: 0GB\nb: 300GB\nc: 0\nd: 9999999999\ne: 1.5\n", [](YamlNode root) {
        (void)root.required<Bytes>("a", kPositive);
        (void)root.required<Bytes>("b", {0, 141e9});
        (void)root.required<int>("c", {1, 8});
        (void)root.required<int>("d", at_least(1));
        (void)root.required<int>("e");
      });
  CHECK(found == Strings{"1:4: a: '0GB' must be greater than 0",
                         "2:4: b: '300GB' is too large; at most 141GB",
                         "3:4: c: 0 is too small; at least 1",
                         "4:4: d: 9999999999 is too large; at most 2147483647",
                         "5:4: e: '1.5' is not a whole number"});
}

TEST_CASE("text that is not YAML is refused with its place") {
  CHECK(syntax_problems("a: 1\na: 2\n") ==
        Strings{"2:1: 'a' is given twice; the first is in line 1"});
  CHECK(syntax_problems("a: b: c\n").at(0).substr(0, 21) == "1:5: not valid YAML: ");
  CHECK(syntax_problems("a: [1,\n").at(0).substr(0, 21) == "2:1: not valid YAML: ");
  CHECK(syntax_problems("a: *b\n").at(0).substr(0, 21) == "1:4: not valid YAML: ");
  CHECK(syntax_problems("") == Strings{"0:0: is empty"});
  CHECK(syntax_problems("# only a comment\n") == Strings{"0:0: is empty"});
  CHECK(syntax_problems("- a\n") == Strings{"1:1: a list at the top; expected 'key: value' lines"});
  CHECK(syntax_problems("a: 1\n---\nb: 2\n") ==
        Strings{"3:1: a second document; one file holds one (remove the ---)"});
  CHECK(syntax_problems(std::string("a: 1\0b", 6)) == Strings{"0:0: not a text file"});
  CHECK(syntax_problems("a: " + std::string(100, '[') + std::string(100, ']') + "\n") ==
        Strings{"1:67: nested more than 64 levels deep"});
}

TEST_CASE("anchors, aliases and merges") {
  YamlFile file =
      YamlFile::parse("base: &b {x: 1, y: 2}\nsame: *b\nmore: {<<: *b, y: 3}\n", "x.yaml");
  const YamlNode root = file.root();
  CHECK(root.required_child("base").required<int>("x") == 1);
  CHECK(root.required_child("base").required<int>("y") == 2);
  CHECK(root.required_child("same").required<int>("y") == 2);
  CHECK(root.required_child("more").required<int>("x") == 1);
  CHECK(root.required_child("more").required<int>("y") == 3);
  CHECK_NOTHROW(file.finish());
  // An alias bomb stays small because aliases share their node.
  std::string bomb = "a0: &a0 [x]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + ", " + before +
            "]\n";
  }
  CHECK(syntax_problems(bomb).empty());
}

TEST_CASE("--set replaces, adds, and is shown when wrong") {
  const auto read = [](YamlNode root) {
    const YamlNode a = root.required_child("a");
    CHECK(a.required<int>("n") == 5);
    CHECK(a.value_or<int>("m", 1) == 7);
    CHECK(root.any_child("list").items().at(1).as<std::string>() == "z");
  };
  const std::string text = "a: {n: 1}\nlist: [x, y]\n";
  CHECK(problems(text, read, {"a.n=5", "a.m=7", "list.1=z"}).empty());

  const auto quiet = [](YamlNode root) {
    (void)root.required_child("a").required<Watts>("n");
    (void)root.any_child("list").items();
  };
  CHECK(problems(text, quiet, {"a.n=5GB", "a.q=1"}) ==
        Strings{"--set:1:3: unknown key 'q' in a; known keys: n",
                "--set:1:5: a.n: '5GB' is an amount of memory; expected a power, such as 700W"});
  CHECK(problems(text, quiet, {"a.n=5W", "nonsense"}) ==
        Strings{"--set:1:1: write --set path.to.key=value"});
  CHECK(problems(text, quiet, {"a.n=5W", "list.7=1"}) ==
        Strings{"--set:1:6: '7' is no index of a list of 2"});
  CHECK(problems(text, quiet, {"a.n=5W", "a..n=1"}) ==
        Strings{"--set:1:3: empty name in the path"});
}

TEST_CASE("resolved values say where they are from") {
  YamlFile file = YamlFile::parse("a: 80GB\nb: {c: 2}\n", "dir/x.yaml");
  file.override_value("b.d=3");
  (void)file.root().required<Bytes>("a");
  const YamlNode b = file.root().child("b");
  (void)b.required<int>("c");
  (void)b.required<int>("d");
  (void)b.value_or<Duration>("e", Duration::from_seconds(0.5));
  (void)b.value_or<Bytes>("f", Bytes(1e9), {}, "card h200");
  std::vector<std::string> lines;
  for (const ResolvedValue& v : file.resolved()) {
    lines.push_back(v.path + " = " + v.value + " (" + v.origin + ")");
  }
  CHECK(lines == Strings{"a = 80GB (x.yaml:1)", "b.c = 2 (x.yaml:2)", "b.d = 3 (--set)",
                         "b.e = 500ms (default)", "b.f = 1GB (card h200)"});
}

TEST_CASE("warnings do not stop the reading") {
  YamlFile file = YamlFile::parse("a: 1\n", "x.yaml");
  file.root().any_child("a").warning("odd");
  CHECK_NOTHROW(file.finish());
  REQUIRE(file.warnings().size() == 1);
  CHECK(file.warnings()[0].warning);
}

TEST_CASE("files that cannot be read") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(YamlFile::open(folder.path() / "none.yaml"), Catch::Contains("no such file"));
  CHECK_THROWS_WITH(YamlFile::open(folder.path()), Catch::Contains("is a folder"));
  const auto large = folder.write("large.yaml", "a: " + std::string(5 << 20, 'x'));
  CHECK_THROWS_WITH(YamlFile::open(large), Catch::Contains("too large"));
}

TEST_CASE("any text is read or refused with an InputError") {
  CHECK(rc::check("no other exception", [] {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::elementOf(std::string("ab: \n-[]{},&*#'\"|>!%@`?\t10GB<")));
    try {
      YamlFile file = YamlFile::parse(text, "x.yaml");
      (void)file.root().required<Bytes>("a");
      (void)file.root().child("b").required<int>("a");
      file.finish();
    } catch (const InputError& error) {
      RC_ASSERT(!error.diagnostics().empty());
    }
  }));
}

}  // namespace
}  // namespace foretoken::scenarios::loader
