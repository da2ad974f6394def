/**
 * Upper bounds of every latency histogram, in seconds. The low end sees a cache hit on loopback, the high end a slow
 * vendordata target. Apart from metrics.ts, so that a worker need not load a metrics library to count.
 */
export const latencyBuckets = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]
