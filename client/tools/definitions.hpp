// SPDX-License-Identifier: Apache-2.0
// What a broker has been told to have, as a JSON document: written, read, compared. The document
// has the shape of RabbitMQ's definitions, so those can be read too.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "amqp/codec/value.hpp"
#include "client/tools/management_client.hpp"

namespace whimbrel::client {

/// Something that can be declared: what it is called, and the body that declares it.
struct definition {
  std::string kind = {};  // queue, exchange, binding or policy
  std::string name = {};  // for people, and to find it again
  amqp::codec::map body = {};
};

struct definition_set {
  std::vector<definition> all = {};       // in the order in which they can be made
  std::vector<std::string> left_out = {};  // what the document has and cannot be imported
};

/// Throws std::runtime_error with the place of what cannot be read.
[[nodiscard]] definition_set read_definitions(const std::string& text, const std::string& vhost);

[[nodiscard]] definition_set fetch_definitions(management_client& from);
[[nodiscard]] boost::json::value to_document(const definition_set& what);

struct difference {
  enum class kind { added, differs } is = kind::added;
  definition wanted = {};
  std::string how = {};  // differs: which attributes
};
/// What of `wanted` is not there, or is there otherwise. What is there and not wanted stays.
[[nodiscard]] std::vector<difference> compare(const definition_set& present,
                                              const definition_set& wanted);

using entity_visitor = std::function<void(const amqp::codec::map& attributes)>;
/// Every entity of `type`, page by page; false if the broker does not know the type. Throws
/// std::runtime_error if it refuses.
bool each_entity(management_client& at, const std::string& type,
                 const std::vector<std::string>& attributes, const entity_visitor& visit);

[[nodiscard]] std::string entity_type(const std::string& kind);

}  // namespace whimbrel::client
