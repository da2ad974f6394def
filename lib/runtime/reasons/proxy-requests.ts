/** Why is a request refused for what a proxy adds to it? Rows of the table in reason-codes.ts. */

/** Of the router or network and the source address that a proxy sends. */
export const proxyRequestReasons = {
  identity_missing: {
    status: 400,
    publicText: 'The request does not name the network it came through',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'Whoever connects to this socket adds no router or network id. Check which proxy uses it and the flavour of the listener.',
  },
  identity_conflict: {
    status: 400,
    publicText: 'The request names both a router and a network',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'Two kinds of identity header arrived. Behind haproxy, check that it deletes the other kind; otherwise a process is forging them.',
  },
  identity_repeated: {
    status: 400,
    publicText: 'The request names its origin more than once',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'Our proxy never repeats an identity header: something else writes to this socket. Check its mode and owner.',
  },
  identity_malformed: {
    status: 400,
    publicText: 'The id of the network or router is malformed',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The id in the identity header is no id. Check the name of the namespace or the mapping it came from.',
  },
  source_address_missing: {
    status: 400,
    publicText: 'The request does not name the address it came from',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The proxy sent no X-Forwarded-For. Check "option forwardfor" of a foreign haproxy.',
  },
  source_address_malformed: {
    status: 400,
    publicText: 'The source address is not one IP address',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The last X-Forwarded-For is not exactly one address. Check what stands between the guest and the agent.',
  },
  scope_not_allowed: {
    status: 403,
    publicText: 'This proxy may not speak for that network',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The certificate of the proxy does not cover this router or network. Compare with the scopes allowed to it.',
  },
  scope_not_served: {
    status: 503,
    publicText: 'The network is changing, try again',
    retryAfter: 1,
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'A worker of this host sent a request for a router or network that its supervisor does not report as served. Nothing if the namespace is new or just gone. Otherwise "overlapd status" shows who reports: an older overlapd-proxy that took the place of one that did needs a restart of the agent, and a worker that sends requests for many others was broken into.',
  },
} as const
