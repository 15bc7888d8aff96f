// SPDX-License-Identifier: Apache-2.0
// RabbitMQ's AMQP 1.0 client: management, confirms, consumers. run.py's broker claims to be
// RabbitMQ 4.3.0 (setting rabbitmq-identity), without which the client refuses it.

import com.rabbitmq.client.amqp.AmqpException;
import com.rabbitmq.client.amqp.AmqpException.AmqpEntityDoesNotExistException;
import com.rabbitmq.client.amqp.BackOffDelayPolicy;
import com.rabbitmq.client.amqp.ByteCapacity;
import com.rabbitmq.client.amqp.Connection;
import com.rabbitmq.client.amqp.Consumer;
import com.rabbitmq.client.amqp.Environment;
import com.rabbitmq.client.amqp.Management;
import com.rabbitmq.client.amqp.Message;
import com.rabbitmq.client.amqp.Publisher;
import com.rabbitmq.client.amqp.Requester;
import com.rabbitmq.client.amqp.Resource;
import com.rabbitmq.client.amqp.impl.AmqpEnvironmentBuilder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

final class RabbitCases {
  static final List<Interop.Case> CASES = List.of(
      new Interop.Case("queues: declared, told of, declared again, deleted", RabbitCases::queues),
      new Interop.Case("queues: names that need encoding", RabbitCases::names),
      new Interop.Case("queues: exclusive, auto-delete, named by the client",
          RabbitCases::exclusive),
      new Interop.Case("1,000 messages: confirmed, consumed in order", RabbitCases::order),
      new Interop.Case("a message comes as it was sent", RabbitCases::message),
      new Interop.Case("consumers: accept, requeue, requeue with annotations, discard",
          RabbitCases::outcomes),
      new Interop.Case("consumers: batches are accepted as ranges", RabbitCases::batches),
      new Interop.Case("consumers: pre-settled; pause and unpause", RabbitCases::preSettled),
      new Interop.Case("consumers: a delayed retry", RabbitCases::delayedRetry),
      new Interop.Case("consumers: priority; single active", RabbitCases::ranks),
      new Interop.Case("publishers: rejected by a full queue, released without a route",
          RabbitCases::refusals),
      new Interop.Case("exchanges: declared, bound by key, unbound, deleted",
          RabbitCases::exchanges),
      new Interop.Case("exchanges: headers, and bindings between exchanges", RabbitCases::headers),
      new Interop.Case("purge", RabbitCases::purge),
      new Interop.Case("filters: properties and SQL are echoed and apply", RabbitCases::filters),
      new Interop.Case("requester and responder", RabbitCases::requests));

  /** run.py kills its broker at the line `kill` and starts it again on the same port. */
  static final List<Interop.Case> RESTART = List.of(
      new Interop.Case("a kill: connection, publisher, consumer and topology recover",
          RabbitCases::recovery));

  private static Connection connect(Interop.Env env) {
    Environment environment = env.keep(new AmqpEnvironmentBuilder().connectionSettings()
        .host("127.0.0.1").port(env.port).saslMechanism("ANONYMOUS").environmentBuilder().build());
    return env.keep(environment.connectionBuilder().recovery()
        .backOffDelayPolicy(BackOffDelayPolicy.fixed(Duration.ofMillis(100)))
        .connectionBuilder().build());
  }

  private static byte[] octets(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(Message message) {
    return new String(message.body(), StandardCharsets.UTF_8);
  }

  /** Publishes and returns what became of it. */
  private static Publisher.Status publish(Publisher to, Message message) throws Exception {
    BlockingQueue<Publisher.Status> outcome = new LinkedBlockingQueue<>();
    to.publish(message, context -> outcome.add(context.status()));
    Publisher.Status out = outcome.poll(Interop.PATIENCE, TimeUnit.MILLISECONDS);
    Interop.check(out != null, "no confirm came");
    return out;
  }

  private static void put(Publisher to, String... bodies) throws Exception {
    for (String body : bodies) {
      Interop.checkEqual(publish(to, to.message(octets(body))), Publisher.Status.ACCEPTED, body);
    }
  }

  record Got(Consumer.Context context, Message message) {}

  /** A consumer that leaves it to the case what becomes of a message. */
  private static BlockingQueue<Got> inbox(Connection connection, String queue) {
    BlockingQueue<Got> out = new LinkedBlockingQueue<>();
    connection.consumerBuilder().queue(queue)
        .messageHandler((context, message) -> out.add(new Got(context, message))).build();
    return out;
  }

  private static Got take(BlockingQueue<Got> inbox, String body) throws Exception {
    Got out = inbox.poll(Interop.PATIENCE, TimeUnit.MILLISECONDS);
    Interop.check(out != null, "no message came; expected was " + body);
    Interop.checkEqual(text(out.message), body, "the next message");
    return out;
  }

  private static void awaitCount(Management management, String queue, long count)
      throws Exception {
    Interop.await(() -> management.queueInfo(queue).messageCount() == count,
        "a message count of " + count + " of " + queue);
  }

  private static void queues(Interop.Env env) throws Exception {
    Management management = connect(env).management();
    Management.QueueInfo info = management.queue("rmq-classic").classic().queue()
        .maxLength(1000).messageTtl(Duration.ofHours(1)).declare();
    Interop.checkEqual(info.name(), "rmq-classic", "name");
    Interop.checkEqual(info.type(), Management.QueueType.CLASSIC, "type");
    Interop.check(info.durable() && !info.exclusive() && !info.autoDelete(), "what it is");
    Interop.checkEqual(((Number) info.arguments().get("x-max-length")).longValue(), 1000L,
        "max length");
    Interop.checkEqual(info.messageCount() + info.consumerCount(), 0L, "counts");
    management.queue("rmq-classic").classic().queue().maxLength(1000)
        .messageTtl(Duration.ofHours(1)).declare();
    AmqpException other = Interop.expect(AmqpException.class,
        () -> management.queue("rmq-classic").maxLength(999).declare(), "another length");
    Interop.check(other.getMessage().contains("409"), "the refusal: " + other.getMessage());
    info = management.queue("rmq-quorum").quorum().deliveryLimit(5).initialMemberCount(1).queue()
        .maxLengthBytes(ByteCapacity.MB(10)).declare();
    Interop.checkEqual(info.type(), Management.QueueType.QUORUM, "type");
    Interop.expect(AmqpException.class, () -> management.queue("rmq-stream").stream().queue()
        .declare(), "a stream, of which this broker has none");
    for (String name : List.of("rmq-classic", "rmq-quorum")) {
      Interop.checkEqual(management.queueInfo(name).name(), name, "what is told of it");
      management.queueDelete(name);
      Interop.expect(AmqpEntityDoesNotExistException.class, () -> management.queueInfo(name),
          "a deleted queue");
    }
  }

  private static void names(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    for (String name : List.of("rmq with spaces", "rmq/slash", "rmq+plus&=?#%", "größer")) {
      connection.management().queue(name).declare();
      put(connection.publisherBuilder().queue(name).build(), name);
      take(inbox(connection, name), name).context.accept();
      awaitCount(connection.management(), name, 0);
    }
  }

  private static void exclusive(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    Management management = connection.management();
    String own = management.queue().exclusive(true).autoDelete(true).declare().name();
    Interop.check(!own.isEmpty(), "no name");
    put(connection.publisherBuilder().queue(own).build(), "x");
    take(inbox(connection, own), "x").context.accept();
    Connection other = connect(env);
    Interop.expect(AmqpException.class, () -> other.consumerBuilder().queue(own)
        .messageHandler((context, message) -> context.accept()).build(), "another connection");
    connection.close();
    Interop.await(() -> {
      try {
        other.management().queueInfo(own);
        return false;
      } catch (AmqpEntityDoesNotExistException gone) {
        return true;
      }
    }, "the exclusive queue to go");
  }

  private static void order(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    connection.management().queue("rmq-order").declare();
    BlockingQueue<Got> inbox = inbox(connection, "rmq-order");
    Publisher to = connection.publisherBuilder().queue("rmq-order").build();
    AtomicInteger confirmed = new AtomicInteger();
    for (int i = 0; i < 1000; i++) {
      to.publish(to.message(octets("" + i)), context -> {
        if (context.status() == Publisher.Status.ACCEPTED) confirmed.incrementAndGet();
      });
    }
    for (int i = 0; i < 1000; i++) take(inbox, "" + i).context.accept();
    Interop.await(() -> confirmed.get() == 1000, "1,000 confirms");
    awaitCount(connection.management(), "rmq-order", 0);
  }

  private static void message(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    connection.management().queue("rmq-message").declare();
    Publisher to = connection.publisherBuilder().queue("rmq-message").build();
    byte[] body = new byte[300_000];
    Arrays.fill(body, (byte) 7);
    Message sent = to.message(body).messageId(1L).correlationId("correlation").subject("subject")
        .userId(octets("guest")).contentType("text/plain").groupId("group").groupSequence(3)
        .creationTime(1_700_000_000_123L).replyTo("/queues/elsewhere").durable(true)
        .priority((byte) 7).ttl(Duration.ofHours(1)).property("int", 1).property("long", -2L)
        .propertyUnsigned("ubyte", (byte) -1).property("string", "größer")
        .propertySymbol("symbol", "s").property("double", 0.5).property("boolean", true)
        .annotation("x-opt-mine", "kept");
    Interop.checkEqual(publish(to, sent), Publisher.Status.ACCEPTED, "the outcome");
    Got got = inbox(connection, "rmq-message").poll(Interop.PATIENCE, TimeUnit.MILLISECONDS);
    Interop.check(got != null, "nothing came");
    Message it = got.message;
    Interop.check(Arrays.equals(it.body(), body), "the body");
    Interop.checkEqual(it.messageIdAsLong(), 1L, "message-id");
    Interop.checkEqual(it.correlationIdAsString(), "correlation", "correlation-id");
    Interop.checkEqual(it.subject(), "subject", "subject");
    Interop.checkEqual(it.groupSequence(), 3, "group-sequence");
    Interop.checkEqual(it.creationTime(), 1_700_000_000_123L, "creation-time");
    Interop.checkEqual(it.replyTo(), "/queues/elsewhere", "reply-to");
    Interop.checkEqual(it.durable(), true, "durable");
    Interop.checkEqual(it.priority(), (byte) 7, "priority");
    Interop.checkEqual(it.firstAcquirer(), true, "first-acquirer");
    Interop.checkEqual(it.deliveryCount(), 0L, "delivery-count");
    Interop.checkEqual(it.annotation("x-opt-mine"), "kept", "annotation");
    List<String> differing = new ArrayList<>();
    sent.forEachProperty((name, value) -> {
      if (!value.equals(it.property(name))) differing.add(name + " as " + it.property(name));
    });
    Interop.checkEqual(differing, List.of(), "properties that differ");
    got.context.accept();
  }

  private static void outcomes(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    Management management = connection.management();
    management.queue("rmq-dead").declare();
    management.exchange("rmq-dlx").type(Management.ExchangeType.FANOUT).declare();
    management.binding().sourceExchange("rmq-dlx").destinationQueue("rmq-dead").key("").bind();
    management.queue("rmq-outcomes").deadLetterExchange("rmq-dlx").quorum().queue().declare();
    Publisher to = connection.publisherBuilder().queue("rmq-outcomes").build();
    BlockingQueue<Got> inbox = inbox(connection, "rmq-outcomes");
    BlockingQueue<Got> dead = inbox(connection, "rmq-dead");
    put(to, "accepted");
    take(inbox, "accepted").context.accept();
    put(to, "requeued");
    Got got = take(inbox, "requeued");
    Interop.checkEqual(got.message.firstAcquirer(), true, "first-acquirer");
    got.context.requeue();
    got = take(inbox, "requeued");
    Interop.checkEqual(got.message.firstAcquirer(), false, "first-acquirer");
    Interop.checkEqual(got.message.deliveryCount(), 0L, "delivery-count after a requeue");
    got.context.requeue(Map.of("x-opt-why", "tired"));
    got = take(inbox, "requeued");
    Interop.checkEqual(got.message.annotation("x-opt-why"), "tired", "annotation");
    got.context.discard();
    take(dead, "requeued").context.accept();
    put(to, "discarded");
    take(inbox, "discarded").context.discard(Map.of("x-opt-why", "bad"));
    got = take(dead, "discarded");
    Interop.checkEqual(got.message.annotation("x-opt-why"), "bad", "annotation of a dead letter");
    got.context.accept();
    awaitCount(management, "rmq-outcomes", 0);
    awaitCount(management, "rmq-dead", 0);
  }

  private static void batches(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    connection.management().queue("rmq-batches").declare();
    AtomicInteger seen = new AtomicInteger();
    Consumer.BatchContext[] batch = {null};
    connection.consumerBuilder().queue("rmq-batches").initialCredits(200)
        .messageHandler((context, message) -> {
          if (batch[0] == null) batch[0] = context.batch(50);
          batch[0].add(context);
          seen.incrementAndGet();
          if (batch[0].size() < 50) return;
          batch[0].accept();
          batch[0] = null;
        }).build();
    Publisher to = connection.publisherBuilder().queue("rmq-batches").build();
    for (int i = 0; i < 500; i++) to.publish(to.message(octets("" + i)), context -> {});
    Interop.await(() -> seen.get() == 500, "500 messages");
    awaitCount(connection.management(), "rmq-batches", 0);
  }

  private static void preSettled(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    connection.management().queue("rmq-pre-settled").declare();
    Publisher to = connection.publisherBuilder().queue("rmq-pre-settled").build();
    BlockingQueue<String> seen = new LinkedBlockingQueue<>();
    Consumer consumer = connection.consumerBuilder().queue("rmq-pre-settled").preSettled()
        .messageHandler((context, message) -> seen.add(text(message))).build();
    put(to, "a", "b", "c");
    for (String each : List.of("a", "b", "c")) {
      Interop.checkEqual(seen.poll(Interop.PATIENCE, TimeUnit.MILLISECONDS), each, "the next");
    }
    awaitCount(connection.management(), "rmq-pre-settled", 0);
    consumer.pause();
    put(to, "d");
    awaitCount(connection.management(), "rmq-pre-settled", 1);
    Interop.checkEqual(seen.size(), 0, "what came to a paused consumer");
    consumer.unpause();
    Interop.checkEqual(seen.poll(Interop.PATIENCE, TimeUnit.MILLISECONDS), "d", "the next");
  }

  private static void delayedRetry(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    connection.management().queue("rmq-retry").quorum().queue().declare();
    BlockingQueue<Got> inbox = inbox(connection, "rmq-retry");
    put(connection.publisherBuilder().queue("rmq-retry").build(), "x");
    long before = System.currentTimeMillis();
    take(inbox, "x").context.delayedRetry(Duration.ofMillis(400));
    take(inbox, "x").context.accept();
    Interop.check(System.currentTimeMillis() >= before + 400, "it came before its time");
  }

  private static void ranks(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    Management management = connection.management();
    Publisher to;
    for (boolean single : new boolean[] {false, true}) {
      String queue = single ? "rmq-single" : "rmq-priority";
      management.queue(queue).singleActiveConsumer(single).declare();
      AtomicInteger[] count = {new AtomicInteger(), new AtomicInteger()};
      Consumer[] consumers = new Consumer[2];
      for (int i = 0; i < 2; i++) {
        int which = i;
        consumers[i] = connection.consumerBuilder().queue(queue).priority(single ? 0 : i)
            .messageHandler((context, message) -> {
              count[which].incrementAndGet();
              context.accept();
            }).build();
      }
      to = connection.publisherBuilder().queue(queue).build();
      int chosen = single ? 0 : 1;
      for (int i = 0; i < 20; i++) put(to, "" + i);
      Interop.await(() -> count[0].get() + count[1].get() == 20, "20 messages");
      Interop.checkEqual(count[chosen].get(), 20, "messages of the one that is chosen");
      consumers[chosen].close();
      put(to, "next");
      Interop.await(() -> count[1 - chosen].get() == 1, "the other to take over");
    }
  }

  private static void refusals(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    Management management = connection.management();
    management.queue("rmq-full").maxLength(2)
        .overflowStrategy(Management.OverflowStrategy.REJECT_PUBLISH).declare();
    Publisher to = connection.publisherBuilder().queue("rmq-full").build();
    put(to, "a", "b");
    Interop.checkEqual(publish(to, to.message(octets("c"))), Publisher.Status.REJECTED, "a third");
    management.exchange("rmq-nowhere").declare();
    Publisher exchange = connection.publisherBuilder().exchange("rmq-nowhere").key("k").build();
    Interop.checkEqual(publish(exchange, exchange.message(octets("x"))),
        Publisher.Status.RELEASED, "without a route");
    Publisher any = connection.publisherBuilder().build();
    Message addressed = any.message(octets("x")).toAddress().queue("rmq-not-there").message();
    Interop.check(publish(any, addressed) != Publisher.Status.ACCEPTED, "a queue not there");
    Interop.expect(AmqpEntityDoesNotExistException.class,
        () -> connection.publisherBuilder().queue("rmq-not-there").build(), "a publisher for it");
    Interop.expect(AmqpEntityDoesNotExistException.class,
        () -> inbox(connection, "rmq-not-there"), "a consumer of it");
  }

  private static void exchanges(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    Management management = connection.management();
    management.exchange("rmq shop").type(Management.ExchangeType.TOPIC).declare();
    management.queue("rmq-orders").declare();
    management.binding().sourceExchange("rmq shop").destinationQueue("rmq-orders")
        .key("order.*.paid/now").bind();
    Publisher to = connection.publisherBuilder().exchange("rmq shop").key("order.7.paid/now")
        .build();
    put(to, "a");
    Publisher any = connection.publisherBuilder().build();
    Interop.checkEqual(publish(any, any.message(octets("b")).toAddress().exchange("rmq shop")
        .key("order.8.paid/now").message()), Publisher.Status.ACCEPTED, "by `to`");
    BlockingQueue<Got> inbox = inbox(connection, "rmq-orders");
    take(inbox, "a").context.accept();
    take(inbox, "b").context.accept();
    management.unbind().sourceExchange("rmq shop").destinationQueue("rmq-orders")
        .key("order.*.paid/now").unbind();
    Interop.checkEqual(publish(to, to.message(octets("c"))), Publisher.Status.RELEASED, "unbound");
    Interop.expect(AmqpException.class, () -> management.exchange("rmq shop")
        .type(Management.ExchangeType.FANOUT).declare(), "another type");
    to.close();
    any.close();
    management.exchangeDelete("rmq shop");
    Interop.expect(AmqpException.class,
        () -> connection.publisherBuilder().exchange("rmq shop").build(), "a deleted exchange");
  }

  private static void headers(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    Management management = connection.management();
    management.exchange("rmq-in").type(Management.ExchangeType.FANOUT).declare();
    management.exchange("rmq-headers").type(Management.ExchangeType.HEADERS).declare();
    management.queue("rmq-red").declare();
    management.binding().sourceExchange("rmq-in").destinationExchange("rmq-headers").bind();
    management.binding().sourceExchange("rmq-headers").destinationQueue("rmq-red")
        .argument("colour", "red").argument("x-match", "all").bind();
    Publisher to = connection.publisherBuilder().exchange("rmq-in").build();
    Interop.checkEqual(publish(to, to.message(octets("red")).property("colour", "red")),
        Publisher.Status.ACCEPTED, "red");
    Interop.checkEqual(publish(to, to.message(octets("blue")).property("colour", "blue")),
        Publisher.Status.RELEASED, "blue");
    take(inbox(connection, "rmq-red"), "red").context.accept();
    management.unbind().sourceExchange("rmq-headers").destinationQueue("rmq-red")
        .argument("colour", "red").argument("x-match", "all").unbind();
    Interop.checkEqual(publish(to, to.message(octets("red")).property("colour", "red")),
        Publisher.Status.RELEASED, "red, unbound");
  }

  private static void purge(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    Management management = connection.management();
    management.queue("rmq-purge").declare();
    put(connection.publisherBuilder().queue("rmq-purge").build(), "a", "b", "c");
    awaitCount(management, "rmq-purge", 3);
    Interop.checkEqual(management.queuePurge("rmq-purge").messageCount(), 3L, "purged");
    awaitCount(management, "rmq-purge", 0);
    Interop.expect(AmqpException.class, () -> management.queuePurge("rmq-not-there"),
        "a queue that is not there");
  }

  private static void filters(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    connection.management().queue("rmq-filters").declare();
    Publisher to = connection.publisherBuilder().queue("rmq-filters").build();
    for (int i = 0; i < 6; i++) {
      Message message = to.message(octets("" + i)).subject(i % 2 == 0 ? "even" : "odd")
          .property("i", (long) i);
      Interop.checkEqual(publish(to, message), Publisher.Status.ACCEPTED, "a message");
    }
    BlockingQueue<Got> even = new LinkedBlockingQueue<>();
    Consumer one = connection.consumerBuilder().queue("rmq-filters").stream().filter()
        .subject("even").property("i", 2L).stream().builder()
        .messageHandler((context, message) -> even.add(new Got(context, message))).build();
    take(even, "2").context.accept();
    BlockingQueue<Got> chosen = new LinkedBlockingQueue<>();
    connection.consumerBuilder().queue("rmq-filters").stream().filter()
        .sql("properties.subject = 'odd' AND i > 1").stream().builder()
        .messageHandler((context, message) -> chosen.add(new Got(context, message))).build();
    take(chosen, "3").context.accept();
    take(chosen, "5").context.accept();
    one.close();
    BlockingQueue<Got> rest = inbox(connection, "rmq-filters");
    for (String each : List.of("0", "1", "4")) take(rest, each).context.accept();
    Interop.expect(AmqpException.class, () -> connection.consumerBuilder().queue("rmq-filters")
        .stream().filter().sql("i > > 1").stream().builder()
        .messageHandler((context, message) -> {}).build(), "a wrong filter");
  }

  private static void requests(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    connection.management().queue("rmq-requests").declare();
    env.keep(connection.responderBuilder().requestQueue("rmq-requests")
        .handler((context, question) -> context.message(octets(text(question) + "!"))).build());
    Requester requester = env.keep(connect(env).requesterBuilder().requestAddress()
        .queue("rmq-requests").requester().build());
    for (int i = 0; i < 50; i++) {
      Message answer = requester.publish(requester.message(octets("" + i)))
          .get(Interop.PATIENCE, TimeUnit.MILLISECONDS);
      Interop.checkEqual(text(answer), i + "!", "the answer");
    }
  }

  private static void recovery(Interop.Env env) throws Exception {
    Connection connection = connect(env);
    Management management = connection.management();
    management.queue("rmq-recovery").declare();
    management.exchange("rmq-recovery").type(Management.ExchangeType.DIRECT).declare();
    management.binding().sourceExchange("rmq-recovery").destinationQueue("rmq-recovery").key("k")
        .bind();
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    List<Resource.State> states = Collections.synchronizedList(new ArrayList<>());
    connection.consumerBuilder().queue("rmq-recovery")
        .listeners(context -> states.add(context.currentState()))
        .messageHandler((context, message) -> {
          seen.add(text(message));
          context.accept();
        }).build();
    Publisher to = connection.publisherBuilder().exchange("rmq-recovery").key("k").build();
    put(to, "a", "b");
    Interop.await(() -> seen.size() == 2, "two messages");
    System.out.println("kill");
    System.out.flush();
    Interop.await(() -> states.contains(Resource.State.RECOVERING), "the loss to be noticed");
    Interop.await(() -> states.get(states.size() - 1) == Resource.State.OPEN, "recovery");
    Interop.await(() -> {
      try {
        return publish(to, to.message(octets("c"))) == Publisher.Status.ACCEPTED;
      } catch (AmqpException recovering) {
        return false;
      }
    }, "a publisher that is back");
    Interop.overlookComplaints();
    Interop.await(() -> new TreeSet<>(seen).size() == 3, "what was sent after the kill");
  }

  private RabbitCases() {}
}
