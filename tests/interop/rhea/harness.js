// SPDX-License-Identifier: Apache-2.0
// What the rhea programs share: events as promises, and one line a case as run.py reads them.
'use strict';

const rhea = require('rhea');
const message = require('rhea/lib/message.js');

const TIMEOUT = 30000;
let names = 0;
let complaints = [];
let open_connections = [];

// What rhea says about a peer that breaks the rules goes to the console; here it is a failure.
for (const level of ['error', 'warn', 'trace']) {
    console[level] = (...words) => complaints.push(words.join(' '));
}

// The octets of a message as they came, which rhea itself does not keep.
const decode = message.decode;
message.decode = (buffer) => {
    const out = decode(buffer);
    Object.defineProperty(out, 'octets', {value: Buffer.from(buffer)});
    return out;
};

function fail(why) {
    throw new Error(why);
}

function check(condition, what) {
    if (!condition) fail(what);
}

function check_equal(got, expected, what) {
    const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
    if (a !== b) fail(`${what}: got ${a}, expected ${b}`);
}

function within(promise, what, timeout = TIMEOUT) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`waited ${timeout / 1000} s for ${what}`)),
            timeout);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function event(emitter, name, what) {
    return within(new Promise((resolve) => emitter.once(name, resolve)), what || name);
}

function pause(milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function connect(port, options = {}) {
    const container = rhea.create_container({id: `rhea-${process.pid}-${++names}`});
    const connection = container.connect(
        Object.assign({host: '127.0.0.1', port, reconnect: false}, options));
    open_connections.push(connection);
    connection.on('disconnected', () => {});
    await event(connection, 'connection_open', 'open');
    return connection;
}

async function sender(connection, target, options = {}) {
    const link = connection.open_sender(Object.assign({target, autosettle: true}, options));
    await event(link, 'sendable', `credit for ${JSON.stringify(target)}`);
    return link;
}

/** A receiver that settles nothing by itself; what comes is kept in `inbox`. */
async function receiver(connection, source, options = {}) {
    const link = connection.open_receiver(Object.assign(
        {source, credit_window: 0, autoaccept: false, autosettle: false}, options));
    link.inbox = [];
    link.on('message', (context) => {
        link.inbox.push(context);
        link.emit('arrived');
    });
    await event(link, 'receiver_open', 'attach');
    return link;
}

async function receive(link, count = 1) {
    while (link.inbox.length < count) {
        await event(link, 'arrived', `${count} messages, ${link.inbox.length} have come`);
    }
    const out = link.inbox.splice(0, count);
    return count === 1 ? out[0] : out;
}

/** Outcomes of a sender's deliveries, by one set of listeners however many there are. */
function verdicts(link) {
    if (link.verdicts) return link.verdicts;
    link.verdicts = {seen: new Map(), waiting: new Map()};
    for (const name of ['accepted', 'rejected', 'released', 'modified']) {
        link.on(name, (context) => link.verdicts.seen.set(context.delivery, name));
    }
    link.on('settled', (context) => {
        const tell = link.verdicts.waiting.get(context.delivery);
        if (tell) tell(link.verdicts.seen.get(context.delivery));
    });
    return link.verdicts;
}

/** The name of the outcome, once the broker has settled. */
function outcome(link, delivery) {
    return within(new Promise((resolve) => verdicts(link).waiting.set(delivery, resolve)),
        'an outcome');
}

async function put(link, ...messages) {
    for (const one of messages) {
        check_equal(await outcome(link, link.send(one)), 'accepted', 'the outcome of a send');
    }
}

async function drain(link, credit = 50) {
    const answered = event(link, 'receiver_drained', 'the answer to drain');
    link.drain_credit();
    link.add_credit(credit);
    await answered;
    link.drain = false;
    return link.inbox.splice(0);
}

async function run(cases) {
    const port = Number(process.argv[2]);
    let failures = 0;
    for (const [name, body] of cases) {
        complaints = [];
        const began = Date.now();
        let verdict = 'ok';
        let text = '';
        try {
            text = await body(port) || '';
            if (complaints.length > 0) fail('rhea complains: ' + complaints.join('; '));
        } catch (error) {
            verdict = 'FAIL';
            failures++;
            text = String(error.message || error).replace(/\n/g, ' ');
            if (complaints.length > 0) text += ' [rhea: ' + complaints.join('; ') + ']';
        }
        for (const one of open_connections) one.close();
        open_connections = [];
        const seconds = ((Date.now() - began) / 1000).toFixed(2);
        process.stdout.write(`case ${verdict} ${seconds} ${name}${text ? ' | ' + text : ''}\n`);
    }
    process.exit(failures === 0 ? 0 : 1);
}

module.exports = {rhea, message, check, check_equal, connect, drain, event, fail, outcome, pause,
    put, receive, receiver, run, sender, within};
