// A WAMP client on autobahn-js: subscribes to topics, tells the events, publishes
// and calls on order.
'use strict';
const autobahn = require('autobahn');
const { args, say, orders } = require('./lines');

const serializers = {
  json: () => new autobahn.serializer.JSONSerializer(),
  msgpack: () => new autobahn.serializer.MsgpackSerializer(),
  cbor: () => new autobahn.serializer.CBORSerializer(),
};

// printable makes binary and big values survive JSON.
function printable(value) {
  if (value instanceof Uint8Array) return { binary: Buffer.from(value).toString('base64') };
  if (typeof value === 'bigint') return { big: value.toString() };
  if (Array.isArray(value)) return value.map(printable);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, printable(entry)]));
  }
  return value;
}

const connection = new autobahn.Connection({
  url: args.url,
  realm: args.realm ?? 'realm1',
  serializers: [serializers[args.serializer ?? 'json']()],
  max_retries: args.retry ? -1 : 0,
  initial_retry_delay: 0.05,
  max_retry_delay: 0.2,
  authmethods: args.auth && [args.auth.method],
  authid: args.auth?.authid,
  authextra: args.auth?.pubkey && { pubkey: args.auth.pubkey },
  onchallenge: (session, method, extra) => {
    switch (method) {
      case 'ticket': return args.auth.secret;
      case 'wampcra': {
        const key = extra.salt
          ? autobahn.auth_cra.derive_key(args.auth.secret, extra.salt, extra.iterations, extra.keylen)
          : args.auth.secret;
        return autobahn.auth_cra.sign(key, extra.challenge);
      }
      case 'cryptosign': {
        const nacl = require('tweetnacl');
        const pair = nacl.sign.keyPair.fromSeed(Buffer.from(args.auth.secret, 'hex'));
        return Buffer.from(nacl.sign(Buffer.from(extra.challenge, 'hex'), pair.secretKey)).toString('hex');
      }
    }
  },
});

connection.onopen = async (session, details) => {
  say('open', { authid: details.authid, authrole: details.authrole, session: String(session.id), protocol: details.x_cb_node && '' });
  for (const topic of args.topics ?? []) {
    const { uri, match } = typeof topic === 'string' ? { uri: topic } : topic;
    try {
      await session.subscribe(uri, (eventArgs, kwargs, event) => say('event', {
        args: printable(eventArgs ?? []), kwargs: printable(kwargs ?? {}), topic: event.topic, publication: event.publication,
        publisher: event.publisher,
      }), match ? { match } : {});
      say('subscribed', { topic: uri });
    } catch (error) {
      say('refused', { topic: uri, error: error.error });
    }
  }
};

connection.onclose = (reason, details) => {
  say('close', { reason, detail: details.reason, message: details.message });
  return !args.retry;
};

orders(async (order) => {
  const session = connection.session;
  try {
    if (order.publish) {
      const publication = await session.publish(order.publish, order.args, order.kwargs, { acknowledge: true, ...order.options });
      say('published', { id: publication.id });
    }
    if (order.register) {
      await session.register(order.register, (callArgs) => callArgs);
      say('registered');
    }
    if (order.call) say('result', { value: printable(await session.call(order.call, order.args)) });
    if (order.close) connection.close();
  } catch (error) {
    say('failed', { error: error.error ?? String(error) });
  }
});

connection.open();
