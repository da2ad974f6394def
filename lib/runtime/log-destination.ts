/** Where do log lines go when no process can take them? Logging must never hold up or end the process that logs. */
import { fstatSync, writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import type { Bytes, Count } from './clock.ts'
import { causeText } from './errors.ts'
import { isReadByJournal, prioritized } from './journal.ts'

/** What takes lines, each with its line end. */
export interface LineSink {
  /** @throws the system's error, when the line was not taken whole */
  write(line: string): void
}

/** A reader that is stopped leaves lines waiting, up to this; what a kernel pipe holds comes on top. */
const mostWaiting: Bytes = 1024 * 1024

/** A file or a terminal: a write is over at once, or fails at once as on a full disk. */
class FileSink implements LineSink {
  readonly #fd: number
  /** A line that was cut off must not run into the next one. */
  #isTorn = false

  constructor(fd: number) {
    this.#fd = fd
  }

  write(line: string): void {
    const bytes = Buffer.from(this.#isTorn ? `\n${line}` : line)
    let written = 0
    try {
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written)
      this.#isTorn = false
    } catch (cause) {
      this.#isTorn ||= written > 0
      throw cause
    }
  }
}

/** A pipe or a socket, such as the journal's: its reader may be slow, stopped or gone. Node never waits for it. */
class StreamSink implements LineSink {
  readonly #stream: Writable
  #failure: Error | undefined

  constructor(stream: Writable) {
    this.#stream = stream
    this.#stream.on('error', (cause) => {
      this.#failure = cause
    })
  }

  write(line: string): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#stream.writableLength > mostWaiting) throw new Error('the reader of the log is slow')
    this.#stream.write(line)
  }
}

/** Standard output as it is, or with the priority of each line where the journal reads it. */
export function standardOutputSink(): LineSink {
  const sink = plainOutputSink()
  if (!isReadByJournal(1)) return sink
  return { write: (line) => sink.write(prioritized(line)) }
}

/** Node's stream where it is a pipe or a socket, so that the descriptor has one user. */
function plainOutputSink(): LineSink {
  const status = fstatSync(1)
  return status.isFIFO() || status.isSocket() ? new StreamSink(process.stdout) : new FileSink(1)
}

/**
 * Gives lines to a sink. Lines that the sink cannot take are dropped and counted; the first line that goes through again comes
 * after one that has the number of those missing. Never throws.
 */
export class LogDestination {
  readonly #sink: LineSink
  readonly #gapLine: (lines: Count, cause: string) => string
  #dropped: Count = 0
  #cause = ''

  /** @param gapLine makes the line about a gap, with its line end */
  constructor(sink: LineSink, gapLine: (lines: Count, cause: string) => string) {
    this.#sink = sink
    this.#gapLine = gapLine
  }

  write(line: string): void {
    try {
      if (this.#dropped > 0) this.#sink.write(this.#gapLine(this.#dropped, this.#cause))
      this.#dropped = 0
      this.#sink.write(line)
    } catch (thrown) {
      this.#dropped += 1
      this.#cause = causeText(thrown)
    }
  }
}
