/** Why is a request not answered although it is valid? Rows of the table in reason-codes.ts. */

/** Of agents, the compute metadata API, queues, and our own processes. */
export const upstreamReasons = {
  agent_unreachable: {
    status: 503,
    publicText: 'The metadata service is temporarily unavailable, try again',
    retryAfter: 1,
    logLevel: 'error',
    fault: 'config',
    operatorAction:
      'The proxy cannot connect to any agent. Check that one runs and that the path, mode and group of its socket agree, or its address and both certificates.',
  },
  agent_timeout: {
    status: 503,
    publicText: 'The metadata service did not answer in time, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'config',
    operatorAction:
      "The agent accepted the request and did not answer within agent.timeout_headers. Look at the agent's log with the same request id.",
  },
  agent_broken_answer: {
    status: 502,
    publicText: 'The metadata service gave no usable answer',
    retryAfter: 1,
    logLevel: 'error',
    fault: 'bug',
    operatorAction:
      'The agent closed the connection or answered something that is not HTTP. Look at its log with the same request id.',
  },
  compute_unreachable: {
    status: 503,
    publicText: 'The compute metadata service is temporarily unavailable, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'compute',
    operatorAction:
      'No compute metadata endpoint could be connected to. Check compute.upstreams and the service behind them.',
  },
  compute_timeout: {
    status: 503,
    publicText: 'The compute metadata service did not answer in time, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'compute',
    operatorAction:
      'The compute metadata API was connected but did not answer in time. Dynamic vendordata is the usual cause; see compute.timeout_headers.',
  },
  compute_broken_answer: {
    status: 502,
    publicText: 'The compute metadata service gave no usable answer',
    retryAfter: 1,
    logLevel: 'error',
    fault: 'compute',
    operatorAction:
      'The compute metadata API closed the connection or answered something that is not HTTP.',
  },
  compute_cut_off: {
    status: 502,
    publicText: 'The compute metadata service gave no answer to this request',
    retryAfter: 1,
    logLevel: 'warn',
    fault: 'compute',
    operatorAction:
      "The compute metadata API took the request, twice for a GET, and closed the connection without a word, while it answers others: its application fails at this path. Look at Nova's log for the same target.",
  },
  overloaded: {
    status: 503,
    publicText: 'The metadata service is busy, try again',
    retryAfter: 2,
    logLevel: 'warn',
    fault: 'compute',
    operatorAction:
      'Queues are full. Look at concurrency limits and at the latency of the compute metadata API.',
  },
  shutting_down: {
    status: 503,
    publicText: 'The metadata service is restarting, try again',
    retryAfter: 1,
    logLevel: 'info',
    fault: 'config',
    operatorAction: 'Nothing: the process was stopped and the request came in the last moment.',
  },
  internal_error: {
    status: 500,
    publicText: 'The metadata service failed',
    logLevel: 'error',
    fault: 'bug',
    operatorAction:
      'A defect of overlapd. The log has the stack under the same request id; please report it.',
  },
} as const
