/** Why is a request refused for what the guest sent? Rows of the table in reason-codes.ts. */

/** Of bytes, rates and connections of guests; nothing is looked up for them. */
export const guestRequestReasons = {
  malformed_request: {
    status: 400,
    publicText: 'The request is not valid HTTP/1.1',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'Nothing, unless many guests are affected: a client sends bytes that RFC 9112 does not allow.',
  },
  ambiguous_framing: {
    status: 400,
    publicText: 'The length of the request body is given in two ways',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'A guest sent Content-Length twice or together with Transfer-Encoding, as request smuggling does. Look at that guest if it repeats.',
  },
  request_target_invalid: {
    status: 400,
    publicText: 'The request target must be a path, or name the metadata address',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'A guest uses the service as a forward proxy (absolute-form with another host) or sent an impossible path.',
  },
  http_version_unsupported: {
    status: 505,
    publicText: 'This service speaks HTTP/1.1 and HTTP/1.0',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'A client of the guest speaks HTTP/2 without negotiation (prior knowledge). Configure it for HTTP/1.1.',
  },
  host_invalid: {
    status: 400,
    publicText: 'The request must have exactly one Host header',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction: 'Nothing: the client is broken or probing.',
  },
  method_not_supported: {
    status: 405,
    publicText: 'This method is not supported here',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction: 'Nothing: CONNECT, TRACE and protocol upgrades have no meaning for metadata.',
  },
  request_timeout: {
    status: 408,
    publicText: 'The request did not arrive in time',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'A slow or stalled guest. If many guests of one network are affected, look at its MTU and at packet loss.',
  },
  body_too_large: {
    status: 413,
    publicText: 'The request body is too large',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'Raise limits.body_bytes only if a real client needs it: Nova itself accepts 1,020 bytes.',
  },
  expectation_failed: {
    status: 417,
    publicText: 'This expectation cannot be met',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction: 'Nothing: only "Expect: 100-continue" has a meaning.',
  },
  header_too_large: {
    status: 431,
    publicText: 'The request head is too large',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction: 'Nothing: no metadata client needs 16 KiB of headers.',
  },
  rate_limited: {
    status: 429,
    publicText: 'Too many requests from this instance',
    retryAfter: 1,
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'The instance polls faster than rate_limit allows. Raise the limit or find the poller.',
  },
  too_many_connections: {
    status: 503,
    publicText: 'Too many connections are open',
    retryAfter: 1,
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'One guest, one namespace or all guests together hold as much as they may (limits.*), or a guest did not read its answer. Find the guest that holds most: overlapd_proxy_held_bytes and the log name it.',
  },
  request_pipelined: {
    status: 400,
    publicText: 'A request came while another was being answered',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'A proxy sent a request before the one before it was answered, which neither haproxy nor ours does: its connection was ended. Find out who connects to this listener.',
  },
  answer_unread: {
    status: 408,
    publicText: 'The answer was not read in time',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'An answer was broken off since it was not read: either all unread answers took more than 64 MiB of memory and this source had most of it, or it was longer than 4 MiB and stood still for 5 s. Look at the source that the log names.',
  },
} as const
