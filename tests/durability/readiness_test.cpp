// SPDX-License-Identifier: Apache-2.0
// /ready says whether the store commits, and not merely that somebody answers.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "client/tools/http_get.hpp"
#include "tests/durability/embedded_broker.hpp"
#include "tests/support/recording_vfs.hpp"
#include "tests/support/scratch_directory.hpp"

namespace whimbrel {
namespace {

client::http_answer get(const tests::embedded_broker& from, const std::string& path) {
  const auto place = client::parse_http_url("http://" + from.http_address() + path);
  REQUIRE(place.has_value());
  return client::http_get(*place, std::chrono::seconds(60));
}

TEST_CASE("readiness: a broker whose disk is full is alive and not ready, until there is room") {
  tests::scratch_directory directory;
  tests::recording_vfs vfs("readiness");
  tests::embedded_broker broker(directory.path().string(), 1, {.vfs = "readiness"});
  CHECK(get(broker, "/ready").status == 200);
  vfs.fail({.effect = tests::vfs_effect::full, .file = tests::vfs_file::log});
  const auto full = get(broker, "/ready");
  CHECK(full.status == 503);
  CHECK(full.body.find("not committed") != std::string::npos);
  CHECK(get(broker, "/ready").status == 503);  // asked again while the first commit still waits
  CHECK(get(broker, "/live").status == 200);
  CHECK(vfs.faults_hit() > 0);
  vfs.heal();
  CHECK(get(broker, "/ready").status == 200);
}

}  // namespace
}  // namespace whimbrel
