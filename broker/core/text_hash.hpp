// SPDX-License-Identifier: Apache-2.0
// Tables keyed by text that are asked with text borrowed from elsewhere, without a copy.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace whimbrel::broker::core {

struct text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

template <class T>
using text_map = std::unordered_map<std::string, T, text_hash, std::equal_to<>>;

}  // namespace whimbrel::broker::core
