// SPDX-License-Identifier: Apache-2.0

// Azure's go-amqp against the broker: `interop SUITE PORT` runs the cases of one suite and prints
// one line for each, as run.py reads them. See build.sh for how it is built.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	amqp "github.com/Azure/go-amqp"
)

const patience = 30 * time.Second

type testCase struct {
	name string
	body func(*env)
}

// What one case has: the broker's port, a limit to all waiting, and what is to be closed after it.
type env struct {
	port  string
	ctx   context.Context
	conns []*amqp.Conn
}

type failure string

func fail(format string, words ...any) { panic(failure(fmt.Sprintf(format, words...))) }

func check(condition bool, format string, words ...any) {
	if !condition {
		fail(format, words...)
	}
}

func checkEqual(got, expected any, what string) {
	if !reflect.DeepEqual(got, expected) {
		fail("%s: got %#v, expected %#v", what, got, expected)
	}
}

// must passes on what a call returned, unless it returned an error.
func must[T any](value T, err error) T {
	if err != nil {
		fail("%v", err)
	}
	return value
}

func ok(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func ptr[T any](value T) *T { return &value }

func (e *env) dial(options *amqp.ConnOptions) (*amqp.Conn, error) {
	conn, err := amqp.Dial(e.ctx, "amqp://127.0.0.1:"+e.port, options)
	if err == nil {
		e.conns = append(e.conns, conn)
	}
	return conn, err
}

func (e *env) session() *amqp.Session {
	conn := must(e.dial(&amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()}))
	return must(conn.NewSession(e.ctx, nil))
}

func (e *env) sender(s *amqp.Session, address string, options *amqp.SenderOptions) *amqp.Sender {
	return must(s.NewSender(e.ctx, address, options))
}

func (e *env) receiver(s *amqp.Session, address string,
	options *amqp.ReceiverOptions) *amqp.Receiver {
	return must(s.NewReceiver(e.ctx, address, options))
}

func (e *env) receive(r *amqp.Receiver) *amqp.Message { return must(r.Receive(e.ctx, nil)) }

// outcome sends and returns what the broker made of it.
func (e *env) outcome(to *amqp.Sender, message *amqp.Message) amqp.DeliveryState {
	receipt := must(to.SendWithReceipt(e.ctx, message, nil))
	return must(receipt.Wait(e.ctx))
}

// put sends messages one after the other, each of which must be accepted.
func (e *env) put(to *amqp.Sender, messages ...*amqp.Message) {
	for _, one := range messages {
		state := e.outcome(to, one)
		_, accepted := state.(*amqp.StateAccepted)
		check(accepted, "the outcome of a send: %T %+v", state, state)
	}
}

// expectEmpty shows that a queue is empty: a message that is put into it is the first to come out.
func (e *env) expectEmpty(session *amqp.Session, address, what string) {
	to := e.sender(session, address, nil)
	e.put(to, text("the marker"))
	from := e.receiver(session, address, nil)
	got := e.receive(from)
	checkEqual(got.Value, "the marker", what)
	ok(from.AcceptMessage(e.ctx, got), "accept")
	ok(from.Close(e.ctx), "close")
	ok(to.Close(e.ctx), "close")
}

func (e *env) closeAndExpectEmpty(session *amqp.Session, from *amqp.Receiver) {
	ok(from.Close(e.ctx), "close")
	e.expectEmpty(session, from.Address(), "what is left")
}

// header of a message: all defaults when none came.
func header(message *amqp.Message) amqp.MessageHeader {
	if message.Header == nil {
		return amqp.MessageHeader{Priority: 4}
	}
	return *message.Header
}

func text(body string) *amqp.Message { return &amqp.Message{Value: body} }

func number(body int) *amqp.Message { return &amqp.Message{Value: int64(body)} }

func runCase(one testCase, port string) (why string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	e := &env{port: port, ctx: ctx}
	defer cancel()
	defer func() {
		if caught := recover(); caught != nil {
			why = fmt.Sprint(caught)
		}
		for _, conn := range e.conns {
			conn.Close()
		}
	}()
	one.body(e)
	return ""
}

func main() {
	suites := map[string][]testCase{
		"messages": messageCases, "outcomes": outcomeCases, "links": linkCases,
		"login": loginCases, "restart": restartCases,
	}
	if len(os.Args) != 3 || suites[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: interop messages|outcomes|links|login|restart PORT")
		os.Exit(2)
	}
	status := 0
	for _, one := range suites[os.Args[1]] {
		began := time.Now()
		why := runCase(one, os.Args[2])
		verdict, note := "ok", ""
		if why != "" {
			verdict, note, status = "FAIL", " | "+strings.ReplaceAll(why, "\n", " "), 1
		}
		fmt.Printf("case %s %.2f %s%s\n", verdict, time.Since(began).Seconds(), one.name, note)
	}
	os.Exit(status)
}
