// SPDX-License-Identifier: Apache-2.0
#include "client/tools/verb.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>

#include "client/tools/pairs.hpp"

namespace whimbrel::client {

void add_common(CLI::App& app, common_arguments& a) {
  app.add_option("URL", a.url,
                 "amqp://USER:PASSWORD@HOST:PORT/ADDRESS, or amqps:// for TLS; what stands behind "
                 "the first slash is the address: amqp://localhost/orders, "
                 "amqp://localhost//queues/orders")
      ->required();
  app.add_option("--address", a.address, "the address, instead of the URL's");
  app.add_option("--capability", a.capabilities,
                 "ask for a node of this kind: queue, topic, ...; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--container-id", a.container_id, "our name (default: a random one)");
  app.add_flag("--no-sasl", a.no_sasl, "connect without SASL");
  app.add_option("--mechanism", a.mechanisms,
                 "log in by this SASL mechanism: SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, "
                 "ANONYMOUS; may be repeated, the first that the peer offers counts (default: the "
                 "strongest)")
      ->allow_extra_args(false);
  app.add_flag("--trace", a.trace, "print every frame to the standard error");
  app.add_flag("--quiet", a.quiet, "no progress, no summary");
  add_tls(app, a.tls);
}

void add_tls(CLI::App& app, tls_options& t, const char* key_flag) {
  app.add_option("--ca", t.ca_file,
                 "amqps: PEM file with the roots to believe (default: the system's)");
  app.add_option("--cert", t.certificate_file, "amqps: PEM file with our certificate, if any");
  app.add_option(key_flag, t.key_file, "amqps: PEM file with its key, without a passphrase");
  app.add_flag_callback(
      "--insecure", [&t] { t.verify = false; },
      "amqps: believe whoever answers, and whoever is in between");
}

broker_url url_of(const std::string& text, const tls_options& t) {
  broker_url out = parse_broker_url(text);
  if (!out.tls && t != tls_options{}) {
    throw usage_error("--ca, --cert, its key and --insecure are for TLS: write amqps:// as scheme");
  }
  return out;
}

connection connect(const common_arguments& a, std::string& address, bool may_be_empty) {
  const broker_url url = url_of(a.url, a.tls);
  address = a.address.empty() ? url.address : a.address;
  if (address.empty() && !may_be_empty) {
    throw usage_error("no address: append it to the URL (amqp://localhost/orders), or --address");
  }
  connection_options how;
  how.time_out = a.time_out();
  how.container_id = a.container_id;
  how.sasl = !a.no_sasl;
  how.sasl_mechanisms = a.mechanisms;
  how.tls = a.tls;
  if (a.trace) {
    how.trace = [](bool ours, std::uint16_t channel, std::string_view text) {
      std::fprintf(stderr, "%s %u %.*s\n", ours ? "->" : "<-", static_cast<unsigned>(channel),
                   static_cast<int>(text.size()), text.data());
    };
  }
  return connection::open(url, how);
}

verb_result result_of(error_scope scope) {
  switch (scope) {
    case error_scope::usage: return verb_result::usage;
    case error_scope::time_out:
    case error_scope::network:
    case error_scope::connection: return verb_result::no_connection;
    case error_scope::session:
    case error_scope::link:
    case error_scope::refused: break;
  }
  return verb_result::refused;
}

int run_verb(CLI::App& app, int argc, char** argv, const std::function<verb_result()>& run) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(verb_result::usage);
  }
  verb_result out = verb_result::usage;
  try {
    return static_cast<int>(run());
  } catch (const error& e) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), e.what());
    out = result_of(e.scope());
  } catch (const usage_error& e) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), e.what());
  }
  return static_cast<int>(out);
}

}  // namespace whimbrel::client
