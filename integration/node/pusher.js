// A Pusher client on pusher-js: connects, subscribes to channels, tells what
// happens, subscribes, signs in and sends client events on order. It signs its
// subscriptions itself, as its application's server would.
//
//   {"subscribe": "presence-room"} {"unsubscribe": "c"} {"trigger": "private-c", "event": "client-e", "data": 1}
//   {"bind": "presence-room", "event": "client-e"} {"signin": true} {"members": "presence-room"} {"disconnect": true} {"connect": true}
'use strict';
const { createHash, createHmac } = require('node:crypto');
const { args, say, orders } = require('./lines');
const Pusher = require('pusher-js'); // its build for Node has the encryption

// args: key, secret, host, port, channels, userId, userInfo, masterKey (base64), options (pusher-js's own),
// once (end with the first connection).
const sign = (text) => `${args.key}:${createHmac('sha256', args.secret).update(text).digest('hex')}`;

const channelAuthorization = {
  customHandler: ({ socketId, channelName }, done) => {
    const answer = {};
    let text = `${socketId}:${channelName}`;
    if (channelName.startsWith('presence-') && args.userId !== undefined && !args.user) {
      answer.channel_data = JSON.stringify({ user_id: args.userId, user_info: args.userInfo });
      text += `:${answer.channel_data}`;
    }
    if (channelName.startsWith('private-encrypted-')) {
      answer.shared_secret = createHash('sha256').update(channelName)
        .update(Buffer.from(args.masterKey, 'base64')).digest('base64');
    }
    answer.auth = sign(text);
    done(null, answer);
  },
};

const userAuthentication = {
  customHandler: ({ socketId }, done) => {
    const userData = JSON.stringify(args.user);
    done(null, { auth: sign(`${socketId}::user::${userData}`), user_data: userData });
  },
};

const pusher = new Pusher(args.key, {
  wsHost: args.host, wsPort: args.port, forceTLS: false, enabledTransports: ['ws'], disableStats: true, cluster: 'none',
  channelAuthorization, userAuthentication, ...args.options,
});

pusher.connection.bind('state_change', ({ previous, current }) => {
  say('state', { state: current, socket: pusher.connection.socket_id });
  if (args.once && previous === 'connected') process.exit(0);
});
pusher.connection.bind('error', (error) => say('error', { code: error?.data?.code ?? error?.error?.data?.code ?? null,
  message: error?.data?.message ?? error?.error?.data?.message ?? String(error?.error ?? error?.type ?? error) }));

// The user takes events from here on.
pusher.connection.bind('message', ({ event }) => event === 'pusher:signin_success' && say('signedin'));

// bind_global tells of everything but pusher-js's own notices about itself.
function listen(channel) {
  channel.bind_global((event, data) => {
    if (event === 'pusher:subscription_succeeded' && data?.members) {
      say('subscribed', { channel: channel.name, me: data.me, members: data.members, count: data.count });
    } else if (event === 'pusher:member_added' || event === 'pusher:member_removed') {
      say(event.slice('pusher:'.length), { channel: channel.name, id: data.id, info: data.info });
    } else {
      say('event', { channel: channel.name, event, data });
    }
  });
}

pusher.user.bind_global((event, data) => say('user', { event, data }));
pusher.user.watchlist.bind_global((event, data) => say('watchlist', { event, data }));

const handlers = {
  subscribe: (name) => listen(pusher.subscribe(name)),
  unsubscribe: (name) => pusher.unsubscribe(name),
  // what is bound tells besides who sent a client event
  bind: (name, order) => pusher.channel(name).bind(order.event, (data, metadata) => say('bound', {
    channel: name, event: order.event, data, user: metadata?.user_id })),
  trigger: (name, order) => say('triggered', { sent: pusher.channel(name).trigger(order.event, order.data) }),
  members: (name) => say('members', { channel: name, members: pusher.channel(name).members.members }),
  signin: () => pusher.signin(),
  disconnect: () => pusher.disconnect(),
  connect: () => pusher.connect(),
};

orders((order) => {
  for (const [name, value] of Object.entries(order)) {
    try {
      handlers[name]?.(value, order);
    } catch (error) {
      say('failed', { order: name, message: String(error) });
    }
  }
});

for (const name of args.channels ?? []) handlers.subscribe(name);
