/** Why is a request refused for how it came out of the guest? Rows of the table in reason-codes.ts. */

/** Of shields that a policy enforces, and of session tokens. */
export const shieldReasons = {
  token_missing: {
    status: 401,
    publicText:
      'A session token is needed: PUT /latest/api/token, then send it as X-aws-ec2-metadata-token',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'The policy enforces tokens and the client sent none. overlapd shield names the client. Update it, or let the policy observe tokens for this guest.',
  },
  token_invalid: {
    status: 401,
    publicText: 'The session token is not valid here: request another one',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'The token has expired, is of another guest, or was made with a key that this agent does not have. If many guests are affected, give all agents the same shield.token_key_files.',
  },
  token_life_invalid: {
    status: 400,
    publicText: 'X-aws-ec2-metadata-token-ttl-seconds must be one whole number from 1 to 21600',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'Nothing: the client requested a token without a life, or with an impossible one.',
  },
  token_forwarded: {
    status: 403,
    publicText: 'No token is given to a request that a proxy forwarded',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'A request for a token had X-Forwarded-For or the like. A proxy inside the guest passes requests on to the metadata address: exclude that address from it.',
  },
  forwarded_in_guest: {
    status: 403,
    publicText: 'Only programs of the instance itself are served, not what it forwards',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'The request came through a router or a proxy inside the guest, as from a container. If that is wanted, raise hop_limit for this guest or let the policy observe forwarded.',
  },
  host_not_metadata: {
    status: 403,
    publicText: 'Host must name the metadata address',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'The request names another host, as after DNS rebinding. If guests use a name of yours, add it to host_names of the policy.',
  },
  source_port_high: {
    status: 403,
    publicText: 'Only a source port below 1024 is served',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'The policy enforces low_port, which only clients that bind a privileged port meet. Few do.',
  },
  origin_unknown: {
    status: 503,
    publicText: 'It is not known where in the instance the request comes from',
    retryAfter: 1,
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The policy enforces forwarded, host or low_port, and the proxy did not report what that needs: the kernel kept no SYN (SYN cookies, a device without Ethernet), or the proxy is older than the agent.',
  },
  document_sealed: {
    status: 404,
    publicText: 'This document is no longer served to this instance',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'The policy seals user data, vendor data and the password some time after the first fetch. overlapd unseal INSTANCE opens them again, as after a rebuild. If overlapd health reports seals_lost, the instance may be a new one.',
  },
} as const
