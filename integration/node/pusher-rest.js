// An application on the official Pusher server library: calls its methods on
// order and tells what they answer or throw.
//
//   {"call": "trigger", "arguments": ["chat", "hello", {"to": "all"}]}
'use strict';
const Pusher = require('pusher');
const { args, say, orders } = require('./lines');

// args are the library's own options, appId, key, secret, host, port, useTLS, …; or
// url, which has most of them.
const pusher = args.url ? Pusher.forURL(args.url, args) : new Pusher(args);

async function answer(call, parameters) {
  const response = await pusher[call](...parameters);
  if (typeof response?.text !== 'function') return { value: response };
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

orders(async ({ call, arguments: parameters = [] }) => {
  try {
    say('answer', { call, ...(await answer(call, parameters)) });
  } catch (error) {
    say('failed', { call, name: error.name, message: error.message, status: error.status, body: error.body });
  }
});
say('open');
