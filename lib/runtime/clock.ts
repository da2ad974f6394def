import { setTimeout as delay } from 'node:timers/promises'

/** A span of time in milliseconds. */
export type Milliseconds = number
/** A span of time in whole seconds, where a protocol counts in them. */
export type Seconds = number
/** A point in time: milliseconds since the epoch, by the wall clock. For people, logs and documents. */
export type EpochMilliseconds = number
/** A point on a clock that never jumps; only differences mean something. Every age and time limit uses this one. */
export type MonotonicMilliseconds = number
export type Bytes = number
export type Count = number

/**
 * Where logic gets the time and waits, so that tests need not sleep and a jump of the wall clock cannot
 * make an old mapping young again.
 */
export interface Clock {
  now(): MonotonicMilliseconds
  wallTime(): EpochMilliseconds
  /** Waits; rejects with the signal's reason when it is aborted. Does not keep the process alive. */
  sleep(span: Milliseconds, signal?: AbortSignal): Promise<void>
  /** Runs the callback once after the span unless cancelled. Does not keep the process alive. */
  schedule(span: Milliseconds, callback: () => void): Cancel
}

/** Takes a scheduled callback back; calling it again, or too late, does nothing. */
export type Cancel = () => void

/** The clock of the machine. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  async sleep(span, signal) {
    await delay(span, undefined, { ref: false, ...(signal && { signal }) })
  },
  schedule(span, callback) {
    const timer = setTimeout(callback, span)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
