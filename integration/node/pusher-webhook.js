// An application's receiver of webhooks: an HTTP server that validates them with
// the official Pusher server library and tells what they hold. The first
// args.refuse of them are answered 500.
'use strict';
const { createServer } = require('node:http');
const Pusher = require('pusher');
const { args, say, orders } = require('./lines');

const pusher = new Pusher({ appId: args.appId, key: args.key, secret: args.secret });
let refusals = args.refuse;

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const rawBody = Buffer.concat(chunks).toString();
  const webhook = pusher.webhook({ headers: request.headers, rawBody });
  if (!webhook.isValid()) {
    say('invalid', { headers: request.headers, body: rawBody });
    response.writeHead(401).end();
    return;
  }
  const refused = refusals-- > 0;
  say('webhook', { refused, body: rawBody, time: webhook.getTime().getTime() });
  for (const event of webhook.getEvents()) {
    if (!refused) say('event', event);
  }
  response.writeHead(refused ? 500 : 200).end();
});
server.listen(0, '127.0.0.1', () => say('listening', { port: server.address().port }));

orders();
