// SPDX-License-Identifier: Apache-2.0
// The tree as the tidy checks see it: source files by path, as lines, with and without what the
// compiler does not read.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::tidy {

struct source_file {
  std::string path = {};                // from the root, with `/`
  std::vector<std::string> lines = {};  // as written
  std::vector<std::string> code = {};   // the same lines; comments and literals blanked (C++ only)

  [[nodiscard]] bool is_cpp() const { return path.ends_with(".cpp") || path.ends_with(".hpp"); }
  [[nodiscard]] bool is_below(std::string_view folder) const { return path.starts_with(folder); }
};

/// A file made of text; how the checks are themselves tested.
source_file make_source(std::string path, std::string_view text);

/// Every source file below `root`, in order of path: C++, scripts and build files; no build trees,
/// no packages of others, nothing hidden but .ci.
std::vector<source_file> read_tree(const std::filesystem::path& root);

}  // namespace whimbrel::tidy
