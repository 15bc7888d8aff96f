// SPDX-License-Identifier: Apache-2.0
// What the cases of Qpid JMS share.

import jakarta.jms.Connection;
import jakarta.jms.Destination;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import org.apache.qpid.jms.JmsConnectionFactory;

final class Jms {
  static Connection connect(Interop.Env env, String options, String clientId) throws JMSException {
    String uri = "amqp://127.0.0.1:" + env.port + "?" + options;
    Connection connection = env.keep(new JmsConnectionFactory(uri).createConnection());
    if (clientId != null) connection.setClientID(clientId);
    connection.start();
    return connection;
  }

  static Connection connect(Interop.Env env) throws JMSException {
    return connect(env, "", null);
  }

  static Session session(Connection connection) throws JMSException {
    return connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
  }

  static Session session(Interop.Env env) throws JMSException {
    return session(connect(env));
  }

  static void send(Session session, Destination to, String... bodies) throws JMSException {
    try (MessageProducer producer = session.createProducer(to)) {
      for (String body : bodies) producer.send(session.createTextMessage(body));
    }
  }

  static Message receive(MessageConsumer from) throws JMSException {
    Message got = from.receive(Interop.PATIENCE);
    Interop.check(got != null, "no message came");
    return got;
  }

  static String text(MessageConsumer from) throws JMSException {
    Message got = receive(from);
    Interop.check(got instanceof TextMessage, "a text message came as " + got.getClass());
    return ((TextMessage) got).getText();
  }

  static void expect(MessageConsumer from, String... bodies) throws JMSException {
    for (String body : bodies) Interop.checkEqual(text(from), body, "the next message");
  }

  /** Nothing more comes; the client asks by a drain, which the broker has to answer. */
  static void expectNone(MessageConsumer from, String what) throws JMSException {
    Message got = from.receiveNoWait();
    Interop.check(got == null, what + ": " + got);
  }

  private Jms() {}
}
