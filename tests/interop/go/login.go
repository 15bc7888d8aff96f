// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	amqp "github.com/Azure/go-amqp"
)

// run.py's broker knows alice, who may do all, and bob, who may use shared-*.
var loginCases = []testCase{
	{"PLAIN: by the option and in the URL", plain},
	{"PLAIN: a wrong password and an unknown user are refused", wrongPassword},
	{"ANONYMOUS and no SASL are refused where there are users", anonymousRefused},
	{"permissions: a link that is not allowed is refused", permissions},
}

func plain(e *env) {
	conn := must(e.dial(&amqp.ConnOptions{SASLType: amqp.SASLTypePlain("alice", "wonder land")}))
	e.expectEmpty(must(conn.NewSession(e.ctx, nil)), "go-login", "the queue")
	conn = must(amqp.Dial(e.ctx, "amqp://bob:builder@127.0.0.1:"+e.port, nil))
	e.conns = append(e.conns, conn)
	e.expectEmpty(must(conn.NewSession(e.ctx, nil)), "shared-a", "the queue")
}

func wrongPassword(e *env) {
	for _, login := range [][2]string{{"alice", "wonder lane"}, {"nobody", "wonder land"}} {
		_, err := e.dial(&amqp.ConnOptions{SASLType: amqp.SASLTypePlain(login[0], login[1])})
		check(err != nil, "%s came in", login[0])
	}
}

func anonymousRefused(e *env) {
	for _, options := range []*amqp.ConnOptions{nil, {SASLType: amqp.SASLTypeAnonymous()}} {
		_, err := e.dial(options)
		check(err != nil, "somebody came in without a password")
	}
}

func permissions(e *env) {
	conn := must(e.dial(&amqp.ConnOptions{SASLType: amqp.SASLTypePlain("bob", "builder")}))
	session := must(conn.NewSession(e.ctx, nil))
	for _, address := range []string{"private", "shared-new"} {
		_, err := session.NewReceiver(e.ctx, address, nil)
		expectRefused(err, amqp.ErrCondUnauthorizedAccess)
		_, err = session.NewSender(e.ctx, address, nil)
		expectRefused(err, amqp.ErrCondUnauthorizedAccess)
	}
	e.expectEmpty(session, "shared-a", "the session after the refusals")
}

// run.py kills its broker at the line `kill` and starts it again on the same port.
var restartCases = []testCase{
	{"durable messages survive kill -9, transient ones do not; accepted ones stay gone", restart},
}

func restart(e *env) {
	session := e.session()
	to := e.sender(session, "go-restart", nil)
	for i := range 100 {
		durable := number(i)
		durable.Header = &amqp.MessageHeader{Durable: true}
		e.put(to, durable)
		e.put(to, text("transient"))
	}
	mode := amqp.ReceiverSettleModeSecond
	from := e.receiver(session, "go-restart", &amqp.ReceiverOptions{SettlementMode: &mode})
	for i := range 20 {
		got := e.receive(from)
		if i%2 == 0 {
			checkEqual(got.Value, int64(i/2), "body")
		}
		ok(from.AcceptMessage(e.ctx, got), "accept")
	}
	conn := e.conns[0]
	fmt.Println("kill")
	<-conn.Done()
	from = e.receiver(e.sessionAgain(), "go-restart", &amqp.ReceiverOptions{Credit: 10})
	for i := 10; i < 100; i++ {
		got := e.receive(from)
		checkEqual(got.Value, int64(i), "what is there after the restart")
		ok(from.AcceptMessage(e.ctx, got), "accept")
	}
	ok(from.Close(e.ctx), "close")
	e.expectEmpty(e.session(), "go-restart", "what is left")
}

// sessionAgain dials until the broker is there.
func (e *env) sessionAgain() *amqp.Session {
	for e.ctx.Err() == nil {
		if conn, err := e.dial(nil); err == nil {
			return must(conn.NewSession(e.ctx, nil))
		}
	}
	fail("the broker did not come back")
	return nil
}
