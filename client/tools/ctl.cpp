// SPDX-License-Identifier: Apache-2.0
// The verb `whimbrel ctl`: administers a broker through its `$management` node.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "client/command.hpp"
#include "client/tools/completion.hpp"
#include "client/tools/ctl.hpp"
#include "client/tools/definitions.hpp"
#include "client/tools/http_get.hpp"
#include "client/tools/input.hpp"
#include "client/tools/json.hpp"
#include "client/tools/pairs.hpp"
#include "client/tools/table.hpp"
#include "whimbrel/client/error.hpp"

namespace whimbrel::client {

namespace ctl {

namespace json = boost::json;
using amqp::codec::map;
using amqp::codec::value;

namespace {

map typed_pairs(const std::vector<std::string>& pairs) { return typed_map(pairs, "--argument"); }

void print(const std::string& text) { std::printf("%s\n", text.c_str()); }

map on_entity(const char* kind, const std::string& name) {
  return {{value("type"), value(entity_type(kind))}, {value("name"), value(name)}};
}

result said(const management_response& r, const char* text) {
  if (!r.is_ok()) return refused(r);
  print(r.code == 200 ? "there already" : text);
  return result::done;
}

// --- commands --------------------------------------------------------------------------------

result list(const arguments& a, session& s, const char* kind,
            const std::vector<std::string>& attributes) {
  json::array all;
  const bool known = each_entity(*s, entity_type(kind), attributes,
                                 [&](const map& q) { all.push_back(to_json(value(q))); });
  if (!known) throw std::runtime_error(std::string("the broker knows no type ") + kind);
  if (a.as_json) print(pretty(all));
  else print_table(attributes, all);
  return result::done;
}

result list_queues(const arguments& a, session& s) {
  return list(a, s, "queue",
              {"name", "queue_type", "durable", "exclusive", "message_count", "consumer_count",
               "arguments"});
}

result list_policies(const arguments& a, session& s) {
  return list(a, s, "policy", {"name", "pattern", "priority", "arguments"});
}

/// Made, or made to be so.
result set_policy(const arguments& a, session& s) {
  const map body{{value("pattern"), value(a.pattern)},
                 {value("priority"), value(a.priority)},
                 {value("arguments"), value(typed_pairs(a.pairs))}};
  const map which = on_entity("policy", a.name);
  const auto r = (*s).request("CREATE", which, value(body));
  if (r.code != 409) return said(r, "set");
  const auto changed = (*s).request("UPDATE", which, value(body));
  if (!changed.is_ok()) return refused(changed);
  print("changed");
  return result::done;
}

result list_exchanges(const arguments& a, session& s) {
  return list(a, s, "exchange",
              {"name", "exchange_type", "durable", "auto_delete", "internal", "arguments"});
}

result list_bindings(const arguments& a, session& s) {
  return list(a, s, "binding",
              {"source", "destination_type", "destination", "binding_key", "arguments"});
}

result get(const arguments& a, session& s, const char* kind) {
  const auto r = (*s).request("READ", on_entity(kind, a.name));
  if (!r.is_ok()) return refused(r);
  const json::value fields = to_json(r.body);
  if (a.as_json) print(pretty(fields));
  else print_fields(fields.as_object());
  return result::done;
}

result declare_queue(const arguments& a, session& s) {
  const map body{{value("durable"), value(!a.transient)},
                 {value("auto_delete"), value(a.auto_delete)},
                 {value("arguments"), value(typed_pairs(a.pairs))}};
  return said((*s).request("CREATE", on_queue(a.name), value(body)), "created");
}

result declare_exchange(const arguments& a, session& s) {
  map more = typed_pairs(a.pairs);
  if (!a.alternate.empty()) more.set(value("alternate-exchange"), value(a.alternate));
  const map body{{value("exchange_type"), value(a.type)},
                 {value("durable"), value(!a.transient)},
                 {value("auto_delete"), value(a.auto_delete)},
                 {value("internal"), value(a.internal)},
                 {value("arguments"), value(more)}};
  return said((*s).request("CREATE", on_entity("exchange", a.name), value(body)), "created");
}

result delete_exchange(const arguments& a, session& s) {
  return said((*s).request("DELETE", on_entity("exchange", a.name)), "deleted");
}

result delete_policy(const arguments& a, session& s) {
  return said((*s).request("DELETE", on_entity("policy", a.name)), "deleted");
}

result change_binding(const arguments& a, session& s, const char* operation, const char* text) {
  const map body{{value("source"), value(a.name)},
                 {value("destination"), value(a.destination)},
                 {value("destination_type"), value(a.to_exchange ? "exchange" : "queue")},
                 {value("binding_key"), value(a.key)},
                 {value("arguments"), value(typed_pairs(a.pairs))}};
  return said((*s).request(operation, on_entity("binding", ""), value(body)), text);
}

result delete_queue(const arguments& a, session& s) {
  const map body{{value("if_empty"), value(a.if_empty)}, {value("if_unused"), value(a.if_unused)}};
  const auto r = (*s).request("DELETE", on_queue(a.name), value(body));
  if (!r.is_ok()) return refused(r);
  print("deleted");
  return result::done;
}

result purge_queue(const arguments& a, session& s) {
  const auto r = (*s).request("PURGE", on_queue(a.name));
  if (!r.is_ok()) return refused(r);
  const auto gone = r.body.to<map>().value_or(map{}).get<std::uint64_t>("message_count");
  print(std::to_string(gone.value_or(0)) + " messages dropped");
  return result::done;
}

result export_definitions(const arguments& a, session& s) {
  const definition_set all = fetch_definitions(*s);
  const std::string text = pretty(to_document(all)) + "\n";
  for (const std::string& what : all.left_out) std::fprintf(stderr, "%s\n", what.c_str());
  if (a.file.empty() || a.file == "-") {
    std::fputs(text.c_str(), stdout);
    return result::done;
  }
  std::ofstream out(a.file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw usage_error(a.file + " cannot be written");
  return result::done;
}

/// What is there stays; what is missing is made; what differs is told, and is a failure.
result import_definitions(const arguments& a, session& s) {
  definition_set wanted;
  try {
    wanted = read_definitions(read_input(a.file), a.vhost);
  } catch (const usage_error&) {
    throw;
  } catch (const std::runtime_error& e) {
    throw usage_error(a.file + ": " + e.what());
  }
  for (const std::string& what : wanted.left_out) print("  not imported: " + what);
  result out = result::done;
  std::size_t made = 0;
  const auto differences = compare(fetch_definitions(*s), wanted);
  for (const difference& d : differences) {
    const std::string what = d.wanted.kind + " " + d.wanted.name;
    if (d.is == difference::kind::differs) {
      print("! " + what + ": " + d.how);
      out = result::refused;
      continue;
    }
    print("+ " + what + " " + json::serialize(to_json(value(d.wanted.body))));
    if (a.dry_run) continue;
    const map properties{{value("type"), value(entity_type(d.wanted.kind))},
                         {value("name"), value(d.wanted.name)}};
    const auto r = (*s).request("CREATE", properties, value(d.wanted.body));
    if (r.is_ok()) ++made;
    else out = refused(r);
  }
  print(std::to_string(wanted.all.size()) + " definitions, " +
        std::to_string(wanted.all.size() - differences.size()) + " there already, " +
        std::to_string(made) + " made" + (a.dry_run ? " (dry run)" : ""));
  return out;
}

/// Of a broker's HTTP address: whether it can accept a durable message. Of an AMQP one: whether its
/// management answers, whatever it says.
result ping(const arguments& a, session& s) {
  using clock = std::chrono::steady_clock;
  const auto begin = clock::now();
  const auto say = [&](const std::string& what) {
    const std::chrono::duration<double, std::milli> took = clock::now() - begin;
    std::printf("%s (%.1f ms)\n", what.c_str(), took.count());
    return result::done;
  };
  if (auto place = parse_http_url(a.url)) {
    if (place->path == "/") place->path = "/ready";
    http_answer said = http_get(*place, a.time_out());
    if (said.body.ends_with('\n')) said.body.pop_back();
    if (said.status == 200) return say(said.body);
    std::fprintf(stderr, "whimbrel ctl: %s (%u)\n", said.body.c_str(), said.status);
    return result::refused;
  }
  (void)(*s).request("QUERY", {{value("entityType"), value(entity_type("queue"))},
                               {value("count"), value(std::int32_t{0})}},
                     value(map{{value("attributeNames"), value(amqp::codec::list{})}}));
  return say("alive");
}

// --- the command line ------------------------------------------------------------------------

CLI::App* group(CLI::App& app, const char* name, const char* help) {
  auto* made = app.add_subcommand(name, help);
  made->require_subcommand(1);
  return made;
}

CLI::App* named(CLI::App* of, arguments& a) {
  of->add_option("NAME", a.name, "its name")->required();
  return of;
}

void takes_pairs(CLI::App* of, arguments& a) {
  of->add_option("--argument", a.pairs, "KEY=VALUE; may be repeated")->allow_extra_args(false);
}

void add_queries(CLI::App& app, arguments& a, command& chosen) {
  auto* lists = group(app, "list", "list what there is");
  add(lists, "queues", "queues with their counts", chosen, list_queues);
  add(lists, "exchanges", "exchanges", chosen, list_exchanges);
  add(lists, "bindings", "bindings", chosen, list_bindings);
  add(lists, "policies", "policies, in the order in which they are asked", chosen, list_policies);
  auto* gets = group(app, "get", "look at one thing");
  for (const char* kind : {"queue", "exchange", "policy"}) {
    named(add(gets, kind, "with all that is known of it", chosen,
              [kind](const arguments& b, session& s) { return get(b, s, kind); }),
          a);
  }
}

void add_changes(CLI::App& app, arguments& a, command& chosen) {
  auto* declares = group(app, "declare", "make what is not there yet");
  auto* queue = named(add(declares, "queue", "a queue", chosen, declare_queue), a);
  queue->add_flag("--transient", a.transient, "not kept over a restart");
  queue->add_flag("--auto-delete", a.auto_delete, "goes with its last consumer");
  takes_pairs(queue, a);
  auto* exchange = named(add(declares, "exchange", "an exchange", chosen, declare_exchange), a);
  exchange->add_option("--type", a.type, "direct (default), topic, fanout or headers");
  exchange->add_option("--alternate", a.alternate, "where messages go for which it has no binding");
  exchange->add_flag("--internal", a.internal, "takes messages from other exchanges alone");
  exchange->add_flag("--auto-delete", a.auto_delete, "goes with the last binding from it");
  exchange->add_flag("--transient", a.transient, "not kept over a restart");
  takes_pairs(exchange, a);
  auto* deletes = group(app, "delete", "delete something");
  queue = named(add(deletes, "queue", "a queue, with its messages", chosen, delete_queue), a);
  queue->add_flag("--if-empty", a.if_empty, "only if it has no messages");
  queue->add_flag("--if-unused", a.if_unused, "only if it has no consumers");
  named(add(deletes, "exchange", "an exchange, with its bindings", chosen, delete_exchange), a);
  named(add(deletes, "policy", "a policy", chosen, delete_policy), a);
  auto* policy = named(add(&app, "set-policy", "say the same to all queues of a name pattern",
                           chosen, set_policy), a);
  policy->add_option("PATTERN", a.pattern, "* is any run of characters, ? is one")->required();
  policy->add_option("--priority", a.priority, "the higher one decides where two set the same");
  takes_pairs(policy, a);
  named(add(&app, "purge", "drop the messages of a queue that nobody holds", chosen, purge_queue),
        a);
}

void add_bindings(CLI::App& app, arguments& a, command& chosen) {
  const auto binding = [&](const char* name, const char* help, command run) {
    auto* made = add(&app, name, help, chosen, std::move(run));
    made->add_option("SOURCE", a.name, "the exchange")->required();
    made->add_option("DESTINATION", a.destination, "a queue, or an exchange")->required();
    made->add_flag("--to-exchange", a.to_exchange, "the destination is an exchange");
    made->add_option("--key", a.key, "the binding's key");
    takes_pairs(made, a);
  };
  binding("bind", "lead messages from an exchange to a queue or an exchange",
          [](const arguments& b, session& s) { return change_binding(b, s, "CREATE", "bound"); });
  binding("unbind", "remove such a binding", [](const arguments& b, session& s) {
    return change_binding(b, s, "DELETE", "unbound");
  });
}

/// Adds the commands to `app`; `chosen` becomes the one that was given.
void add_commands(CLI::App& app, arguments& a, command& chosen) {
  add_queries(app, a, chosen);
  add_changes(app, a, chosen);
  add_bindings(app, a, chosen);
  add_message_commands(app, a, chosen);
  auto* definitions = group(app, "definitions", "what the broker has been told to have, as JSON");
  add(definitions, "export", "write them", chosen, export_definitions)
      ->add_option("FILE", a.file, "default: standard output");
  auto* import = add(definitions, "import",
                     "make what is missing; also from RabbitMQ's definitions", chosen,
                     import_definitions);
  import->add_option("FILE", a.file, "- is standard input")->required();
  import->add_flag("--dry-run", a.dry_run, "only say what would be made, and what differs");
  import->add_option("--vhost", a.vhost, "whose of the document's definitions (default /)");
  add(&app, "ping", "ask whether the broker is well; with an http URL, whether its store commits",
      chosen, ping);
  add(&app, "completion", "print completions for bash", chosen, [](const arguments&, session&) {
    std::fputs(bash_completion, stdout);
    return result::done;
  });
}

}  // namespace

CLI::App* add(CLI::App* to, const char* name, const char* help, command& chosen, command run) {
  auto* made = to->add_subcommand(name, help);
  made->final_callback([&chosen, run = std::move(run)] { chosen = run; });
  return made;
}

result refused(const management_response& r) {
  std::fprintf(stderr, "whimbrel ctl: %s (%d)\n", r.text.c_str(), r.code);
  return result::refused;
}

map on_queue(const std::string& name) { return on_entity("queue", name); }

}  // namespace ctl

int run_ctl(int argc, char** argv) {
  using ctl::result;
  ctl::arguments a;
  ctl::command chosen;
  CLI::App app("Administers a broker through its $management node.", "whimbrel ctl");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Exit codes: 0 done, 1 the broker refused, 2 wrong arguments or file, "
             "3 no connection.");
  app.add_option("--url", a.url,
                 "amqp://USER:PASSWORD@HOST:PORT (default amqp://localhost:5672), or amqps:// for "
                 "TLS; for ping also http://HOST:PORT, the broker's --http")
      ->envname("WHIMBREL_URL");
  app.add_option("--timeout", a.timeout, "seconds to wait for each answer (default 10)")
      ->check(CLI::Range(0.1, 3600.0));
  app.add_flag("--json", a.as_json, "print JSON");
  add_tls(app, a.tls, "--cert-key");  // --key is a binding's
  ctl::add_commands(app, a, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(result::usage);
  }
  ctl::session s(a);
  try {
    return static_cast<int>(chosen(a, s));
  } catch (const connection_error& e) {
    std::fprintf(stderr, "whimbrel ctl: %s\n", e.what());
    return static_cast<int>(result::no_connection);
  } catch (const error& e) {
    const bool is_url = std::string_view(e.what()).starts_with("not a URL");
    std::fprintf(stderr, "whimbrel ctl: %s%s\n", is_url ? "--url: " : "", e.what());
    return static_cast<int>(result_of(e.scope()));
  } catch (const usage_error& e) {
    std::fprintf(stderr, "whimbrel ctl: %s\n", e.what());
    return static_cast<int>(result::usage);
  } catch (const std::runtime_error& e) {
    std::fprintf(stderr, "whimbrel ctl: %s\n", e.what());
    return static_cast<int>(result::refused);
  }
}

}  // namespace whimbrel::client
