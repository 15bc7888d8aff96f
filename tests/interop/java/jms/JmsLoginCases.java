// SPDX-License-Identifier: Apache-2.0
// Qpid JMS: logins, and what it does about a broker that is killed.

import jakarta.jms.Connection;
import jakarta.jms.JMSSecurityException;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.Topic;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.qpid.jms.JmsConnectionFactory;

final class JmsLoginCases {
  /** run.py's broker knows alice, who may do all, and bob, who may use shared-*. */
  static final List<Interop.Case> LOGIN = List.of(
      new Interop.Case("PLAIN: a good password comes in, a bad one is a security exception",
          JmsLoginCases::plain),
      new Interop.Case("SCRAM-SHA-1, -256, -512 and its own choice: good and bad passwords",
          JmsLoginCases::scram),
      new Interop.Case("ANONYMOUS is a security exception where there are users",
          JmsLoginCases::anonymous),
      new Interop.Case("permissions: a security exception for what is not allowed",
          JmsLoginCases::permissions));

  /** run.py kills its broker at the line `kill` and starts it again on the same port. */
  static final List<Interop.Case> RESTART = List.of(
      new Interop.Case("three kills: failover reconnects, nothing persistent is lost",
          JmsLoginCases::failover),
      new Interop.Case("a durable subscription and its messages survive kill -9",
          JmsLoginCases::subscription));

  private static Connection login(Interop.Env env, String user, String password)
      throws Exception {
    return login(env, user, password, "");
  }

  /** By one of `mechanisms`; empty: by the best one that both sides know. */
  private static Connection login(Interop.Env env, String user, String password,
      String mechanisms) throws Exception {
    JmsConnectionFactory factory = new JmsConnectionFactory("amqp://127.0.0.1:" + env.port
        + (mechanisms.isEmpty() ? "" : "?amqp.saslMechanisms=" + mechanisms));
    Connection out = env.keep(factory.createConnection(user, password));
    out.start();
    return out;
  }

  private static void come(Interop.Env env, String mechanisms) throws Exception {
    Connection connection = login(env, "alice", "wonder land", mechanisms);
    Session session = Jms.session(connection);
    Queue queue = session.createQueue("jms-login");
    Jms.send(session, queue, "x");
    Jms.expect(session.createConsumer(queue), "x");
    connection.close();  // its consumer would take the next one's message
    Interop.expect(JMSSecurityException.class,
        () -> login(env, "alice", "wonder lane", mechanisms), "a wrong password");
    Interop.expect(JMSSecurityException.class,
        () -> login(env, "nobody", "wonder land", mechanisms), "an unknown user");
  }

  private static void plain(Interop.Env env) throws Exception {
    come(env, "PLAIN");
  }

  /** Qpid JMS ends a login whose server signature is missing or wrong. */
  private static void scram(Interop.Env env) throws Exception {
    for (String name : List.of("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "")) {
      come(env, name);
    }
  }

  private static void anonymous(Interop.Env env) throws Exception {
    Interop.expect(JMSSecurityException.class, () -> Jms.connect(env), "no login");
  }

  private static void permissions(Interop.Env env) throws Exception {
    Session session = Jms.session(login(env, "bob", "builder"));
    for (String name : List.of("private", "shared-new")) {
      Queue queue = session.createQueue(name);
      Interop.expect(JMSSecurityException.class, () -> session.createConsumer(queue), name);
      Interop.expect(JMSSecurityException.class, () -> session.createProducer(queue), name);
    }
    Interop.expect(JMSSecurityException.class, session::createTemporaryQueue, "a new queue");
    Queue queue = session.createQueue("shared-a");
    Jms.send(session, queue, "x");
    Jms.expect(session.createConsumer(queue), "x");
  }

  /** Asks for a kill; what is returned opens when a connection of its own has been lost by it. */
  private static CountDownLatch kill(Interop.Env env) throws Exception {
    CountDownLatch lost = new CountDownLatch(1);
    Jms.connect(env).setExceptionListener(why -> lost.countDown());
    System.out.println("kill");
    System.out.flush();
    return lost;
  }

  private static void await(CountDownLatch lost) throws Exception {
    Interop.check(lost.await(Interop.PATIENCE, TimeUnit.MILLISECONDS), "no kill came");
    Interop.overlookComplaints();
  }

  private static Connection lasting(Interop.Env env) throws Exception {
    Connection out = env.keep(new JmsConnectionFactory("failover:(amqp://127.0.0.1:" + env.port
        + ")?failover.reconnectDelay=20&failover.maxReconnectDelay=200").createConnection());
    out.start();
    return out;
  }

  private static void failover(Interop.Env env) throws Exception {
    final int total = 600;
    Session session = Jms.session(lasting(env));
    Queue queue = session.createQueue("jms-failover");
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    Jms.session(lasting(env)).createConsumer(queue).setMessageListener(message -> {
      try {
        seen.add(message.getBody(String.class));
      } catch (Exception failed) {
        seen.add(failed.toString());
      }
    });
    MessageProducer to = session.createProducer(queue);
    TreeSet<String> sent = new TreeSet<>();
    CountDownLatch lost = null;
    for (int i = 0; i < total; i++) {
      if (i % 150 == 50 && i < 450) lost = kill(env);
      if (i % 150 == 140 && i < 450) await(lost);  // what is sent next is sent to the next broker
      sent.add("" + i);
      to.send(session.createTextMessage("" + i));  // returns when accepted, over a reconnect too
    }
    Interop.await(() -> new TreeSet<>(List.of(seen.toArray())).size() >= total, "all messages");
    Interop.checkEqual(new TreeSet<>(seen), sent, "what was seen");
  }

  private static void subscription(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env, "", "jms-survivor");
    Session session = Jms.session(connection);
    Topic topic = session.createTopic("jms-survivor");
    session.createDurableConsumer(topic, "s").close();
    session.createSharedDurableConsumer(topic, "shared").close();
    connection.close();
    Session publisher = Jms.session(lasting(env));
    Jms.send(publisher, topic, "a", "b");
    await(kill(env));
    Jms.send(publisher, topic, "c");
    Session again = Jms.session(Jms.connect(env, "", "jms-survivor"));
    MessageConsumer from = again.createDurableConsumer(topic, "s");
    Jms.expect(from, "a", "b", "c");
    from.close();
    again.unsubscribe("s");
    from = again.createSharedDurableConsumer(topic, "shared");
    Jms.expect(from, "a", "b", "c");
    from.close();
    again.unsubscribe("shared");
  }

  private JmsLoginCases() {}
}
